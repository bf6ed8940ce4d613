"""`import gpuctl` against `import psutil`, each in a fresh interpreter that imports nothing else.

Both sides pay the interpreter's start; so does a third row, which shows how much of the ratio
that is. `-I` keeps the environment's own hooks out.
"""

from __future__ import annotations

import subprocess
import sys

MOST_OF_PSUTIL = 1.0


def python(code: str) -> None:
    subprocess.run([sys.executable, "-I", "-c", code], check=True)


def inside(module: str) -> float:
    """Microseconds that the import alone takes, measured by the interpreter that does it."""
    clock = "time.perf_counter_ns()"
    code = f"import time; began = {clock}; import {module}; print({clock} - began)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return int(done.stdout) / 1000


def test_whole_process(compare) -> None:
    row = compare(
        "import gpuctl / import psutil",
        lambda: python("import gpuctl"),
        lambda: python("import psutil"),
        40,
    )
    assert row.ratio <= MOST_OF_PSUTIL


def test_against_nothing(compare) -> None:
    compare(
        "import gpuctl / no import", lambda: python("import gpuctl"), lambda: python("pass"), 40
    )


def test_import_alone() -> None:
    ours = sorted(inside("gpuctl") for _ in range(15))[7]
    peer = sorted(inside("psutil") for _ in range(15))[7]
    print(f"import alone: gpuctl {ours:.0f} us, psutil {peer:.0f} us, ratio {ours / peer:.2f}")
    assert ours <= peer
