"""Which driver libraries of the host a container gets, and whether they load there.

A driver's user space must be of the same version as the kernel's part, so it comes from the host;
its own needs must then be met by the image's libc. A host that is newer than the image breaks that
(EL 8 image on an EL 9 host, EL 9 on SUSE 15): the loader says ``version `GLIBC_2.34' not found``,
and with it every program of the image that meets the library.

Example:
    found = host_libraries(["nvidia"])
    verdict = judge(found, Path("/cvmfs/.../compat_el8-x86_64"))
    verdict.bind, verdict.words
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpuctl.containers.elf import Versions, read_versions
from gpuctl.discovery.child import ask
from gpuctl.errors import GpuctlError

__all__ = ["DRIVER_LIBRARIES", "Verdict", "host_libraries", "image_library", "judge"]

# What belongs to the driver and cannot come from an image; the first of a vendor is the one that a
# payload opens. AMD's user space belongs to the image: its kernel interface is a stable one.
DRIVER_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "nvidia": (
        *("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1"),
        *("libnvidia-nvvm.so.4", "libnvidia-opencl.so.1", "libnvidia-gpucomp.so"),
        "libnvidia-cfg.so.1",
    ),
    "amd": (),
    "intel": (),
}
# what an image that brings its own user space has
_ENTRANCES = {
    "nvidia": ("libcuda.so.1",),
    "amd": ("libamdhip64.so", "libhsa-runtime64.so.1", "libOpenCL.so.1"),
    "intel": ("libze_loader.so.1", "libOpenCL.so.1"),
}
_FOLDERS = (
    *("lib64", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"),
    *("lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu", "lib", "usr/lib", "usr/local/lib64"),
    *("usr/local/lib", "opt/rocm/lib", "usr/local/cuda/compat", "usr/lib64/nvidia"),
)
_LDCONFIG = ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig")
_CACHE_LINE = re.compile(r"^\s*(\S+) \(([^)]*)\) => (\S+)$", re.MULTILINE)
_GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")
_DEADLINE = 10.0


@dataclass(frozen=True)
class Verdict:
    """`bind`: what the container gets. `missing`: words for each version that is not there."""

    bind: tuple[str, ...]
    missing: tuple[str, ...]
    own: bool  # the image brings a user space of its own
    words: str

    @property
    def usable(self) -> bool:
        return not self.missing or self.own


def host_libraries(vendors: Iterable[str], cache: str | None = None) -> tuple[str, ...]:
    """Paths of this machine's driver libraries, as the loader would find them; `cache` is what
    `ldconfig -p` prints."""
    rows = _CACHE_LINE.findall(_loader_cache() if cache is None else cache)
    found: dict[str, str] = {}
    for vendor in sorted(set(vendors)):
        for wanted in DRIVER_LIBRARIES.get(vendor, ()):
            for name, kind, path in rows:
                whole = name == wanted or (wanted.endswith(".so") and name.startswith(wanted))
                if whole and "x32" not in kind and _is_ours(kind):
                    found.setdefault(name, path)
    return tuple(found.values())


def judge(
    libraries: Sequence[str], image: Path | None, vendors: Iterable[str] = ("nvidia",)
) -> Verdict:
    """`image`: its root file system; None where it is not a folder, then only a start can tell."""
    if not libraries:
        return Verdict((), (), False, "the host has no driver libraries to bring")
    if image is None:
        return Verdict(tuple(libraries), (), False, "the image is no folder: tried when it starts")
    missing = tuple(words for path in libraries for words in _missing(Path(path), image))
    own = any(image_library(image, name) for vendor in vendors for name in _ENTRANCES[vendor])
    if not missing:
        return Verdict(tuple(libraries), (), own, f"{len(libraries)} driver libraries load there")
    if own:
        return Verdict((), missing, True, f"{missing[0]}: the image's own libraries are used")
    return Verdict(
        (), missing, False, f"{missing[0]}, and the image brings no libraries of its own"
    )


def image_library(image: Path, name: str) -> Path | None:
    """Where an image has a library; links are followed inside the image only."""
    for folder in _FOLDERS:
        found = _inside(image, Path(folder) / name)
        if found is not None and found.is_file():
            return found
    return None


def _loader_cache() -> str:
    program = next(filter(None, map(shutil.which, _LDCONFIG)), None)
    if program is None:
        return ""
    try:
        return ask([program, "-p"], _DEADLINE).stdout.decode("utf-8", "replace")
    except OSError:
        return ""


def _is_ours(kind: str) -> bool:
    """`libc6,x86-64`, `libc6,AArch64`; an i386 library is plain `libc6`."""
    return any(word in kind.lower() for word in ("x86-64", "aarch64", "64bit"))


def _missing(library: Path, image: Path) -> Iterable[str]:
    try:
        wanted = read_versions(library).wanted
    except GpuctlError as error:
        return [str(error)]
    words = []
    for needed, versions in sorted(wanted.items()):
        has = _versions_in(image, needed)
        if has is None:
            continue  # not there at all: it comes from the host, or the library does without it
        for version in sorted(versions - has, key=_order):
            newest = max((each for each in has if _family(each) == _family(version)), key=_order)
            words.append(
                f"`{library.name}` needs {version} of {needed}, the image has up to {newest}"
                if newest
                else f"`{library.name}` needs {version} of {needed}, which the image has not"
            )
    return words


def _versions_in(image: Path, name: str) -> set[str] | None:
    """glibc's libraries are one since 2.34: what is wanted of libdl may be in libc."""
    found = [image_library(image, each) for each in dict.fromkeys((name, *_shared_with(name)))]
    there = [path for path in found if path is not None]
    if not there or found[0] is None:
        return None
    versions: set[str] = set()
    for path in there:
        versions |= _read(path).has
    return versions


def _shared_with(name: str) -> tuple[str, ...]:
    return ("libc.so.6",) if name in _GLIBC else ()


def _read(path: Path) -> Versions:
    try:
        return read_versions(path)
    except GpuctlError:
        return Versions()


def _family(version: str) -> str:
    return version.split("_", 1)[0]


def _order(version: str) -> tuple[str, tuple[int, ...]]:
    """GLIBC_2.9 comes before GLIBC_2.34."""
    name, _, number = version.partition("_")
    parts = number.split(".")
    return name, tuple(int(part) if part.isdecimal() else -1 for part in parts)


def _inside(image: Path, wanted: Path) -> Path | None:
    """`wanted` below `image`, its links taken as the image sees them; None in a circle."""
    todo = list(reversed(wanted.parts))
    here = image
    for _ in range(200):
        if not todo:
            return here
        part = todo.pop()
        if part in ("/", "."):
            continue
        if part == "..":
            here = here.parent if here != image else image
            continue
        step = here / part
        if step.is_symlink():
            target = step.readlink()
            here = image if target.is_absolute() else here
            todo.extend(reversed(target.parts))
        else:
            here = step
    return None
