"""A cgroup of the test's own in this machine's v2 hierarchy: the fixture `live_group`.

    def test_it(live_group):
        with live_group.start("sleep", "600") as process: ...

Skipped where none can be made. It lies below the test's own cgroup's hierarchy, holds only what
the test starts in it, and is removed at the end.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest


def v2_mount() -> Path | None:
    for place in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (place / "cgroup.procs").exists() and (place / "cgroup.controllers").exists():
            return place
    return None


class LiveGroup:
    def __init__(self, mount: Path, name: str) -> None:
        self.name = f"/{name}"
        self.path = mount / name
        self.path.mkdir()

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Returns once the command runs in the group."""
        script = f'echo 0 > {self.path}/cgroup.procs && echo in && exec "$@"'
        process = subprocess.Popen(
            ["sh", "-c", script, "sh", *argv], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        return process

    def remove(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.rmdir()


def make_live_group(label: str) -> LiveGroup:
    mount = v2_mount()
    if os.geteuid() != 0 or mount is None or not os.access(mount, os.W_OK):
        pytest.skip("needs root and a cgroup v2 hierarchy")
    try:
        return LiveGroup(mount, f"gpuctl-test-{label}-{os.getpid()}")
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
