"""Sleeping processes to fill a node with, and the small programs that benches compile.

with standins(folder, 1000, "flat") as first:
    ...  # 1,000 processes: `first` and 999 below it; all are gone afterwards
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"
SECONDS = 120


def compiled(source: str, target: Path, *flags: str) -> Path:
    """`bench/SOURCE` compiled to `target`; skips where there is no compiler."""
    names = ("c++", "g++") if source.endswith(".cpp") else ("cc", "gcc")
    compiler = os.environ.get("CXX" if source.endswith(".cpp") else "CC") or next(
        filter(None, map(shutil.which, names)), None
    )
    if compiler is None:
        pytest.skip(f"no compiler for bench/{source}")
    subprocess.run(
        [compiler, "-O2", *flags, "-o", str(target), str(BENCH / source)],
        check=True,
        timeout=SECONDS,
    )
    return target


@contextmanager
def standins(folder: Path, count: int, shape: str) -> Iterator[int]:
    """`count` sleeping processes; yields the one that all others are below."""
    program = compiled("standins.c", folder / f"standins-{count}-{shape}")
    with subprocess.Popen(
        [str(program), str(count), shape], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the stand-ins did not start"
        try:
            yield int(line)
        finally:
            process.stdin.close()
            process.wait(SECONDS)
