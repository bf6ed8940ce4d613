"""What the machine and the slot's cgroup say: cores, memory, disk, platform."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpuctl import cgroups
from gpuctl.errors import GpuctlError
from gpuctl.sitemap.slot import Complain, Environ, feature, flag, number

__all__ = ["cores", "disk", "memory_bytes", "platform_of", "platform_name"]

_BYTES_PER_CORE = 2 << 30  # a whole node is cut to what its memory carries
_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")
_LIKE_EL = frozenset(("rhel", "centos", "almalinux", "rocky", "ol", "scientific", "eurolinux"))
_SUSE = frozenset(("sles", "sled", "suse", "opensuse-leap", "sle_hpc"))
_FIELD = re.compile(r"^([A-Z_]+)=(.*)$", re.MULTILINE)


def cores(environ: Environ, memory: int | None, complain: Complain) -> dict[str, Any]:
    """`CPUCores = 0` asks for a whole node; without the variable it is what the slot may use."""
    asked = number(environ, "CPUCores", complain)
    whole = asked == 0 or flag(environ.get("WholeNode")) is True
    if asked:
        return {"CPUCores": asked, "WholeNode": whole}
    count = _usable_cores(environ, complain)
    if whole:
        count = min(count, _carried_by(memory, count))
        count = min(count, feature("MACHINEFEATURES", "log_cores", environ, complain) or count)
    return {"CPUCores": max(1, count), "WholeNode": whole}


def memory_bytes(environ: Environ, complain: Complain) -> int | None:
    """The least of the machine's and the slot's, less what is reserved."""
    known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        limit = cgroups.limits().memory_bytes
        known += [] if limit is None else [int(limit.value)]
    except GpuctlError as error:
        complain(f"the slot's memory limit is not known: {error}")
    reserved = number(environ, "RESERVED_RAM", complain) or 0
    return max(0, min(known) - reserved)


def disk(environ: Environ, folder: str, complain: Complain) -> dict[str, Any]:
    """KiB that an unprivileged user may write where the work directories are made."""
    try:
        status = os.statvfs(folder)
    except OSError as error:
        complain(f"the space in `{folder}` is not known: {error.strerror}")
        return {"workdir": folder, "Disk": None}
    free = status.f_bavail * status.f_frsize // 1024
    reserved = (number(environ, "RESERVED_DISK", complain) or 0) * 1024  # MB
    given = number(environ, "Disk", complain)
    free = max(0, free - reserved)
    return {"workdir": folder, "Disk": free if given is None else min(free, given)}


def platform_name(complain: Complain) -> str | None:
    """`el9-x86_64`, as packages are built for it; None where nobody says what this is."""
    for name in _OS_RELEASE:
        try:
            text = Path(name).read_text("utf-8", "replace")[:65536]
        except OSError:
            continue
        return platform_of(dict(_FIELD.findall(text)), os.uname().machine)
    complain("there is no os-release, so that the platform is not known")
    return None


def platform_of(release: Mapping[str, str], machine: str) -> str | None:
    """Of os-release(5) and uname(2): x86_64, aarch64, riscv64."""
    fields = {key: value.strip().strip("\"'") for key, value in release.items()}
    system, version = fields.get("ID", "").lower(), fields.get("VERSION_ID", "")
    if not system:
        return None
    like = {system, *fields.get("ID_LIKE", "").lower().split()}
    major = version.split(".")[0]
    if system in _LIKE_EL or (like & {"rhel", "centos"} and system != "fedora"):
        return f"el{major}-{machine}"
    if system in _SUSE or like & {"suse"}:
        return f"sles{major}-{machine}"
    return f"{system}{version.replace('.', '')}-{machine}"


def _usable_cores(environ: Environ, complain: Complain) -> int:
    """Those that the scheduler lets us run on, and no more than the cgroup pays for."""
    count = len(os.sched_getaffinity(0))
    try:
        limit = cgroups.limits().cpus
    except GpuctlError as error:
        complain(f"the slot's CPU limit is not known: {error}")
        limit = None
    if limit is not None:
        count = min(count, max(1, int(limit.value)))
    return min(count, number(environ, "SLURM_CPUS_ON_NODE", complain) or count)


def _carried_by(memory: int | None, count: int) -> int:
    return count if memory is None else memory // _BYTES_PER_CORE
