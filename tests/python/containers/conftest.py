"""Images and libraries for the tests of containers."""

from __future__ import annotations

import re
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
    """This machine's. Before glibc 2.34 the name is a link to `libc-2.31.so` or the like."""
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        if re.search(r"/libc(\.so\.6|-2\.\d+\.so)$", line):
            return Path(line.split()[-1]).with_name("libc.so.6")
    pytest.fail("this Python runs without glibc")
