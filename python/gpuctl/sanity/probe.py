"""One run of the probe program, read line by line, with a deadline.

The probe says where it is before it goes there: the level in which it was when the deadline came,
or when a driver crashed under it, is the one that failed.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpuctl.binary import find_binary
from gpuctl.discovery.child import Output, ask
from gpuctl.errors import UnavailableError
from gpuctl.sanity.answer import LEVELS, Level

__all__ = ["Seen", "find_probe", "run_probe"]

_RESULTS = ("pass", "fail", "skip")
_MAX_DETAIL = 1000


@dataclass
class Seen:
    """What the probe said. `levels` has each level that it came to."""

    levels: dict[str, Level] = field(default_factory=dict)
    begun: str | None = None
    versions: dict[str, str | None] = field(default_factory=dict)
    devices: list[dict[str, Any]] = field(default_factory=list)
    usec: int = 0


def find_probe() -> str:
    """Beside the binary. UnavailableError where the installation has none."""
    path = Path(find_binary()).with_name("gpuctl-sanity-probe")
    if not os.access(path, os.X_OK):
        raise UnavailableError(
            f"`{path}` is missing: `pip install --force-reinstall jalien-gpuctl`", path=str(path)
        )
    return str(path)


def run_probe(argv: Sequence[str], env: Mapping[str, str], deadline: float) -> Seen:
    """Never raises for what a probe does; UnavailableError when it cannot even be tried."""
    try:
        output = ask(argv, deadline, env=env)
    except OSError as error:
        raise UnavailableError(f"`{argv[0]}` cannot be started: {error.strerror}") from None
    seen = Seen(usec=output.usec)
    for line in output.stdout.decode("utf-8", "replace").splitlines():
        _take(line, seen)
    _end(output, seen, deadline)
    return seen


def _take(line: str, seen: Seen) -> None:
    """A line that is none of the probe's was printed by a library."""
    try:
        said = json.loads(line)
    except ValueError:
        return
    if not isinstance(said, dict):
        return
    if said.get("level") in LEVELS:
        _take_level(said, seen)
    elif isinstance(said.get("versions"), dict):
        seen.versions = {str(k): str(v) or None for k, v in said["versions"].items()}
    elif isinstance(said.get("device"), dict):
        seen.devices.append({key: value or None for key, value in said["device"].items()})


def _take_level(said: Mapping[str, Any], seen: Seen) -> None:
    if said.get("result") in _RESULTS:
        usec = said.get("usec")
        detail = str(said.get("detail", ""))[:_MAX_DETAIL]
        level = Level(
            level=said["level"],
            result=said["result"],
            usec=usec if isinstance(usec, int) else None,
            detail=detail,
            device=said.get("device") if isinstance(said.get("device"), int) else None,
        )
        seen.levels[level.level] = level
        seen.begun = None
    else:
        seen.begun = said["level"]


def _end(output: Output, seen: Seen, deadline: float) -> None:
    """Whatever it was in when it ended has failed."""
    failed = seen.begun or ("starts" if not seen.levels else None)
    if failed is None:
        return
    seen.levels[failed] = Level(failed, "fail", None, _why(output, deadline)[:_MAX_DETAIL])


def _why(output: Output, deadline: float) -> str:
    if output.hung or output.exit_status == 124:
        return f"no answer within {deadline:.0f} s"
    status = output.exit_status
    if status is not None and status < 0:
        return f"ended by {_signal(-status)}"
    if status is not None and status > 128:
        return f"ended by {_signal(status - 128)}"
    words = output.stderr.decode("utf-8", "replace").strip().splitlines()
    return words[-1] if words else f"it ended with status {status}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
