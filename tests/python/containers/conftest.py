"""Images and libraries for the tests of containers."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiled import library_for_newer_glibc


@pytest.fixture
def future_library(tmp_path: Path) -> Path:
    folder = tmp_path / "host"
    folder.mkdir()
    return library_for_newer_glibc(folder, "libcuda.so.1")


@pytest.fixture(scope="session")
def libc() -> Path:
    """This machine's."""
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        if line.endswith("/libc.so.6"):
            return Path(line.split()[-1])
    pytest.fail("this Python runs without glibc")
