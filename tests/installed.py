"""Where the binary under test is, for tests and benches alike."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest


def installed_binary() -> Path:
    """`GPUCTL_BINARY`, else the one beside this interpreter's scripts."""
    named = os.environ.get("GPUCTL_BINARY")
    binary = Path(named) if named else Path(sysconfig.get_path("scripts")) / "gpuctl"
    if not binary.is_file():
        pytest.fail(f"`{binary}` is not there; `./dev test` builds and installs it")
    return binary
