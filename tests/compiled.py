"""Libraries that are compiled for a test: one that wants a glibc nobody has.

library = library_for_newer_glibc(folder, "libcuda.so.1")
image = image_with(folder / "image", libc)
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FUTURE = "GLIBC_2.99"
_FAKE_GPU = Path(__file__).resolve().parent / "python/sanity/fake_gpu.c"


def compiler() -> str:
    found = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.fail("no C compiler: it comes with the packages of ./dev test")
    return found


def build(folder: Path, name: str, source: str, *flags: str) -> Path:
    """A shared library from C."""
    code = folder / f"{name}.c"
    code.write_text(source, encoding="ascii")
    target = folder / name
    subprocess.run(
        [compiler(), "-shared", "-fPIC", "-nostdlib", "-o", target, code, *flags],
        check=True,
        timeout=60,
    )
    return target


def library_for_newer_glibc(folder: Path, name: str) -> Path:
    """`name`, which wants GLIBC_2.99 of libc.so.6, as a driver of a newer distribution does."""
    stub = folder / "stub"
    stub.mkdir(exist_ok=True)
    script = stub / "versions"
    script.write_text(f"{FUTURE} {{ global: from_the_future; }};\n", encoding="ascii")
    build(
        stub,
        "libc.so.6",
        "int from_the_future(void) { return 1; }\n",
        "-Wl,-soname,libc.so.6",
        f"-Wl,--version-script={script}",
    )
    return build(
        folder,
        name,
        "int from_the_future(void);\nint cuInit(void) { return from_the_future(); }\n",
        f"-Wl,-soname,{name}",
        str(stub / "libc.so.6"),
    )


def library_that_wants(folder: Path, name: str, version: str, symbol: str) -> Path:
    """The vendor's stand-in (python/sanity/fake_gpu.c) as `name`, which wants `symbol` of that
    version of libc.so.6, and all else in any version: a driver of a distribution of that age."""
    stub = folder / f"stub-{version}"
    stub.mkdir()
    script = stub / "versions"
    script.write_text(f"{version} {{ global: {symbol}; }};\n", encoding="ascii")
    flags = ("-Wl,-soname,libc.so.6", f"-Wl,--version-script={script}")
    build(stub, "libc.so.6", f"int {symbol}(void) {{ return 1; }}\n", *flags)
    source = _FAKE_GPU.read_text(encoding="ascii")
    wanted = f"\nextern int {symbol}(void);\nvoid *gpuctl_wants = (void *)&{symbol};\n"
    return build(
        folder,
        name,
        source + wanted,
        *("-O1", f"-Wl,-soname,{name}", str(stub / "libc.so.6")),
    )


def image_with(folder: Path, *libraries: Path) -> Path:
    """A root file system that has these in lib64, by way of a link as images have it."""
    (folder / "usr/lib64").mkdir(parents=True)
    (folder / "lib64").symlink_to("usr/lib64")
    for path in libraries:
        shutil.copy(path, folder / "usr/lib64" / path.name)
    return folder


def vendor_stand_ins(folder: Path) -> None:
    """libcuda, libamdhip64 and libze_loader that compute on the CPU (python/sanity/fake_gpu.c)."""
    for name in ("libcuda.so.1", "libamdhip64.so.6", "libze_loader.so.1"):
        flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{name}")
        subprocess.run([compiler(), *flags, "-o", folder / name, _FAKE_GPU], check=True, timeout=60)
