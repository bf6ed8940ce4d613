"""Which runtime is there, and whether it can start this very container here.

The version says nothing about that: user namespaces may be off, subordinate ids missing, an image's
file system unreadable. So the container is started with what the job will get, for one word, in a
child with a deadline.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpuctl.containers import apptainer, podman
from gpuctl.containers.fence import fenced
from gpuctl.containers.request import ContainerRequest, Launch
from gpuctl.discovery.child import Output, ask

__all__ = ["DEADLINE_SECONDS", "RUNTIMES", "Runtime", "Trial", "find_runtime", "try_out"]

RUNTIMES = ("apptainer", "podman")
DEADLINE_SECONDS = 60.0  # the first start of a day reads an image over the network
_FORGET_SECONDS = 20.0
_WORD = "gpuctl-container-works"
_PROOF = "/tmp/.gpuctl-fence"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # Apptainer's words end with one, on a line of its own


@dataclass(frozen=True)
class Runtime:
    name: str
    program: str
    options: tuple[str, ...] = ()  # what it needs here, before its verb

    def launch(self, request: ContainerRequest) -> Launch:
        if self.name == "apptainer":
            return apptainer.launch(self.program, request)
        limited = replace(request, rlimits=_rlimits())
        return podman.launch(self.program, limited, self.options)

    def forget(self, name: str) -> None:
        """Podman's record of a container outlives a killed `podman run --rm`."""
        if self.name == "podman":
            words = ("rm", "--force", "--ignore", "--time=0", name)
            with suppress(OSError):
                ask([self.program, *self.options, *words], _FORGET_SECONDS)


@dataclass(frozen=True)
class Trial:
    """`words` say why it does not work."""

    works: bool
    words: str
    usec: int = 0
    ps_works: bool | None = None  # None: the image has no ps of procps
    fence: Mapping[str, Any] | None = None  # what the entry program proved


def find_runtime(name: str, folder: Path, environ: Mapping[str, str]) -> Runtime | None:
    """FORCE_BINPATH of JAliEn, then the site's folder of runtimes, then PATH."""
    forced = environ.get("FORCE_BINPATH") if name == "apptainer" else None
    current = "current" if os.uname().machine == "x86_64" else f"current-{os.uname().machine}"
    own = folder / name / current / "bin" / name
    for path in (forced, str(own), shutil.which(name, path=environ.get("PATH"))):
        if path and os.access(path, os.X_OK):
            return Runtime(name, path, _needed(name))
    return None


def try_out(
    runtime: Runtime, request: ContainerRequest, deadline: float = DEADLINE_SECONDS
) -> Trial:
    """Starts the container for `echo`, and for `ps --version`, which tells as in JAliEn whether an
    image still works with the libraries that are bound into it."""
    script = f"cat {_PROOF}; rm -f {_PROOF}; echo {_WORD}; ps --version 2>&1; echo status $?"
    command = ("/bin/sh", "-c", script)
    plain = replace(request, workdir=False, name=None)
    launch = runtime.launch(fenced(plain, command, _PROOF))
    try:
        output = ask(launch.argv, deadline, env=launch.environ(os.environ))
    except OSError as error:
        return Trial(False, f"`{runtime.program}` cannot be started: {error.strerror}")
    return _judge(runtime, output, deadline)


def _judge(runtime: Runtime, output: Output, deadline: float) -> Trial:
    if output.hung:
        return Trial(
            False, f"`{runtime.name}` did not start it within {deadline:.0f} s", output.usec
        )
    text = output.stdout.decode("utf-8", "replace")
    if output.exit_status != 0 or _WORD not in text:
        words = _COLOUR.sub("", output.stderr.decode("utf-8", "replace")).strip().splitlines()
        last = words[-1][:400] if words else f"status {output.exit_status}"
        return Trial(False, f"`{runtime.name}` cannot start it: {last}", output.usec)
    return Trial(True, "", output.usec, _ps(text), _fence(text))


def _ps(text: str) -> bool | None:
    """procps says `ps from procps-ng 3.3.17`; status 127 is no ps, busybox knows no --version."""
    if "ps from" in text:
        return True
    loader = "error while loading shared libraries" in text or "version `GLIBC" in text
    return False if loader else None


def _fence(text: str) -> Mapping[str, Any] | None:
    for line in text.splitlines():
        if line.startswith("{"):
            with suppress(ValueError):
                return dict(json.loads(line))
    return None


def _rlimits() -> tuple[tuple[str, int, int], ...]:
    kinds = (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
    return tuple((name, *resource.getrlimit(kind)) for name, kind in kinds)


def _needed(name: str) -> tuple[str, ...]:
    """Without a user's systemd Podman would ask it for a scope and wait; with all cgroups of the
    container left to the caller it needs none."""
    return ("--cgroup-manager=cgroupfs",) if name == "podman" else ()
