"""What the sanity check runs on where there is no GPU: PoCL, which computes OpenCL on the CPU."""

from __future__ import annotations

import ctypes.util
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from compiled import build, compiler, vendor_stand_ins
from schemas import validate

HERE = Path(__file__).resolve().parent
Sanity = Callable[..., dict[str, Any]]
QUICK = ("--write-memory", "16MiB")
# llvm::sys::getHostCPUName()
CPU_NAME = """
struct text { const char *data; unsigned long size; };
struct text _ZN4llvm3sys14getHostCPUNameEv(void) { return (struct text){"x86-64", 6}; }
"""


@pytest.fixture(scope="session")
def opencl() -> str:
    """The path of OpenCL's loader."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"):
        path = Path(folder) / "libOpenCL.so.1"
        if path.exists():
            return str(path)
    assert ctypes.util.find_library("OpenCL") is None
    pytest.fail("no OpenCL: `pocl-opencl-icd` and `ocl-icd-libopencl1` come with ./dev test")


@pytest.fixture(scope="session", autouse=True)
def cpu_with_a_name(
    gpuctl: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """PoCL up to 1.8 compiles nothing for a CPU that is younger than its LLVM, which calls it
    `generic` and then knows no such target (pocl issue 1049): there LLVM says x86-64 instead.
    """
    done = gpuctl("sanity", "--json", "--api", "opencl", "--cpu-device", *QUICK, timeout=120)
    if "unknown target CPU 'generic'" not in done.stdout:
        yield
        return
    name = build(tmp_path_factory.mktemp("cpu"), "cpu.so", CPU_NAME)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(name))
        yield


@pytest.fixture(scope="session")
def liar(opencl: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an OpenCL that does as SANITY_WRONG says."""
    folder = tmp_path_factory.mktemp("liar")
    subprocess.run(
        [
            *(compiler(), "-shared", "-fPIC", "-O1", f'-DREAL="{opencl}"'),
            *("-Wl,-soname,liar.so", "-o", folder / "libOpenCL.so.1"),
            *(HERE / "opencl_wrapper.c", "-Wl,--no-as-needed", f"-L{_real(opencl, folder)}"),
            *("-l:real.so", "-ldl"),
        ],
        check=True,
        timeout=60,
    )
    return folder


def _real(opencl: str, folder: Path) -> Path:
    """A stub whose name is the real one's path: what is not overridden is found there."""
    stub = folder / "stub"
    stub.mkdir()
    subprocess.run(
        [
            compiler(),
            "-shared",
            "-nostdlib",
            f"-Wl,-soname,{opencl}",
            "-o",
            stub / "real.so",
            "-x",
            "c",
            "/dev/null",
        ],
        check=True,
        timeout=60,
    )
    return stub


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stand-ins for the vendors' libraries."""
    folder = tmp_path_factory.mktemp("stand-ins")
    vendor_stand_ins(folder)
    return folder


@pytest.fixture
def sanity(gpuctl: Callable[..., Any]) -> Sanity:
    """`gpuctl sanity --json`: its answer, which is a valid one and has the exit code that fits."""

    def run(*arguments: object, env: dict[str, str | None] | None = None) -> dict[str, Any]:
        quick = () if "--write-memory" in arguments else QUICK
        done = gpuctl("sanity", "--json", *quick, *arguments, env=env, timeout=120)
        assert done.stdout, done.stderr
        assert "Traceback" not in done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        validate("sanity.json", answer)
        assert done.returncode == (0 if answer["verdict"] == "pass" else 1)
        return answer

    return run
