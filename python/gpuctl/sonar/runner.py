"""One probe: a child with a deadline and an environment of its own.

The deadline covers reading its output: what it leaves behind with the pipe open is ended and not
waited for. No variable of the agent reaches it but those listed here; a token is none of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuctl.discovery.child import Output, ask
from gpuctl.host_paths import TOOL_FOLDERS
from gpuctl.sonar.client import MAX_MESSAGE_BYTES

__all__ = ["ProbeResult", "run_probe"]

_SHELL = "/bin/sh"
# what a probe may need to find a container runtime or the work directory
_HANDED_ON = (
    *("HOME", "LANG", "TMPDIR", "TMPBATCH", "WORKDIR", "XDG_RUNTIME_DIR", "CVMFS_PATH"),
    *("APPTAINER_TMPDIR", "APPTAINER_CACHEDIR", "SITESONAR_IMAGE", "SITESONAR_CONTAINER"),
)


@dataclass(frozen=True)
class ProbeResult:
    """`message` is what is uploaded; `problem` is None where the probe did as it should."""

    name: str
    message: Mapping[str, Any]
    exit_code: int | None
    usec: int
    problem: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "message": dict(self.message),
            "exit_code": self.exit_code,
            "execution_usec": self.usec,
            "problem": self.problem,
        }


def run_probe(name: str, path: Path, deadline: float) -> ProbeResult:
    """Never raises: what goes wrong is in `problem`."""
    try:
        output = ask([_SHELL, str(path)], deadline, env=probe_environment(os.environ))
    except OSError as error:
        return ProbeResult(name, _framed({}, 0, None), None, 0, f"it was not started: {error}")
    found, problem = _result(output, deadline)
    message = _framed(found, output.usec, output.exit_status)
    if len(json.dumps(message, separators=(",", ":")).encode()) > MAX_MESSAGE_BYTES:
        problem = f"it says more than {MAX_MESSAGE_BYTES} bytes"
        message = _framed({}, output.usec, output.exit_status)
    return ProbeResult(name, message, output.exit_status, output.usec, problem)


def probe_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """PATH is ours: a probe must find the system's tools, and nobody else's."""
    handed_on = {name: environ[name] for name in _HANDED_ON if environ.get(name)}
    return {**handed_on, "PATH": ":".join(TOOL_FOLDERS), "LC_ALL": "C"}


def _framed(found: Mapping[str, Any], usec: int, status: int | None) -> dict[str, Any]:
    return {**found, "EXECUTION_TIME": usec // 1000, "EXITCODE": status}


def _result(output: Output, deadline: float) -> tuple[dict[str, Any], str | None]:
    """The object that it printed, and what is wrong."""
    if output.hung:
        return {}, f"it did not end within {deadline:.0f} s"
    try:
        found = json.loads(output.stdout.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}, f"its output is not one JSON object{_said(output)}"
    if not isinstance(found, dict):
        return {}, "its output is JSON, but no object"
    if output.exit_status != 0:
        return found, f"it ended with {output.exit_status}{_said(output)}"
    return found, None


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


def _said(output: Output) -> str:
    words = output.stderr.decode("utf-8", "replace").strip().splitlines()
    return f": {words[-1][:200]}" if words else ""
