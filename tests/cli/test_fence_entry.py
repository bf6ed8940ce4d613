"""`gpuctl fence-entry`: what becomes the payload inside a container."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def entered(binary: Path, *command: str, fds: tuple[int, ...] = ()) -> str:
    words = [str(binary), "fence-entry", "--fence=advisory", "--", *command]
    done = subprocess.run(words, pass_fds=fds, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_runtimes_descriptors_do_not_enter(gpuctl_binary: Path) -> None:
    """One of a directory of the host would lead out of the container."""
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert str(folder) in os.listdir("/proc/self/fd")
        script = "for each in /proc/$$/fd/*; do readlink $each; done; true"
        seen = entered(gpuctl_binary, "sh", "-c", script, fds=(folder,))
    finally:
        os.close(folder)
    assert len(seen.split()) >= 3
    assert "/" not in seen.split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to lose")
def test_root_keeps_what_podman_would_leave_it(gpuctl_binary: Path) -> None:
    said = entered(gpuctl_binary, "grep", "-E", "CapEff|CapBnd", "/proc/self/status")
    for line in said.splitlines():
        assert int(line.split()[1], 16) & ~0x800405FB == 0, line
