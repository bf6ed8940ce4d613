"""Symbol versions, against readelf and against broken files."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gpuctl.containers.elf import read_versions
from gpuctl.errors import GpuctlError, IoError, MalformedError

PYTHON = Path(sys.executable).resolve()


def told_by_readelf(path: Path) -> tuple[set[tuple[str, str]], set[str]]:
    text = subprocess.run(
        ["readelf", "-W", "--version-info", str(path)], capture_output=True, text=True, check=True
    ).stdout
    wanted, has, library = set(), set(), ""
    for line in text.splitlines():
        if file := re.search(r"File: (\S+)", line):
            library = file.group(1)
        elif name := re.search(r"Name: (\S+)  Flags: (\S+)", line):
            wanted.add((library, name.group(1)))
        elif name := re.search(r"Name: (\S+)$", line):
            has.add(name.group(1))
    return wanted, has


@pytest.mark.parametrize("which", ["libc", "python"])
def test_as_readelf_has_it(libc: Path, which: str) -> None:
    path = libc if which == "libc" else PYTHON
    versions = read_versions(path)
    wanted, has = told_by_readelf(path)
    assert {(name, each) for name, list_ in versions.wanted.items() for each in list_} == wanted
    assert versions.has == has
    assert ("GLIBC_2.17" in has) == (which == "libc")


def test_a_library_for_a_newer_glibc(future_library: Path) -> None:
    assert read_versions(future_library).wanted == {"libc.so.6": {"GLIBC_2.99"}}


def test_no_elf_file_and_no_file(tmp_path: Path) -> None:
    script = tmp_path / "libcuda.so.1"
    script.write_text("GROUP ( libcuda.so.1 )\n" * 9, encoding="ascii")
    with pytest.raises(MalformedError, match="no ELF file"):
        read_versions(script)
    with pytest.raises(IoError, match="No such file"):
        read_versions(tmp_path / "none")


def test_broken_files_are_refused_and_end(future_library: Path, tmp_path: Path) -> None:
    """Cut and scribbled over at random: an answer or MalformedError, never anything else."""
    good = future_library.read_bytes()
    chance = random.Random(8)
    refused = 0
    for _ in range(300):
        bad = bytearray(good[: chance.randrange(1, len(good))])
        for _ in range(chance.randrange(8)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        path = tmp_path / "bad.so"
        path.write_bytes(bad)
        try:
            read_versions(path)
        except GpuctlError:
            refused += 1
    assert refused > 100
