"""Which interface for which GPU, and the probe's command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpuctl.errors import UsageError
from gpuctl.gpus import Gpu

__all__ = ["APIS", "Group", "arguments", "foreign_nodes", "groups"]

APIS = ("cuda", "hip", "level_zero", "opencl")
OPENCL = "opencl"
_OF_VENDOR = {"nvidia": "cuda", "amd": "hip", "intel": "level_zero"}


@dataclass(frozen=True)
class Group:
    """GPUs that are checked in one run. `apis`: to be tried in this order, while a library is
    missing."""

    apis: tuple[str, ...]
    gpus: tuple[Gpu, ...]


def groups(gpus: Sequence[Gpu], api: str, cpu_device: bool) -> Iterator[Group]:
    """OpenCL sees all vendors' GPUs at once, so that it is asked about all of them together."""
    if api != "auto" and api not in APIS:
        raise UsageError(f"`--api {api[:40]}`: expected auto, {', '.join(APIS)}")
    if api == OPENCL or (cpu_device and not gpus):
        yield Group((OPENCL,), tuple(gpus))
        return
    for vendor in dict.fromkeys(gpu.vendor for gpu in gpus):
        first = _OF_VENDOR.get(vendor, OPENCL) if api == "auto" else api
        same = tuple(gpu for gpu in gpus if gpu.vendor == vendor)
        yield Group((first, OPENCL) if api == "auto" and first != OPENCL else (first,), same)


def arguments(
    group: Group, api: str, foreign: Sequence[str], write_bytes: int, cpu_device: bool
) -> list[str]:
    words = ["--api", api, "--bytes", str(write_bytes // 8 * 8)]
    if cpu_device:
        words.append("--cpu-device")
    if not group.gpus:
        words.append("--any-devices")
    for gpu in group.gpus:
        words += ["--expect", f"{gpu.pci_address or ''}={gpu.uuid or ''}"]
    for path in foreign:
        words += ["--foreign", path]
    return words


def foreign_nodes(assigned: Sequence[Gpu], node: Sequence[Gpu]) -> list[str]:
    """Device nodes of the other GPUs, card nodes of all: no job gets those."""
    own = {path for gpu in assigned for path in (*gpu.device_nodes, *gpu.shared_nodes)}
    others = [path for gpu in node for path in (*gpu.device_nodes, *gpu.card_nodes)]
    return [path for path in dict.fromkeys(others) if path not in own]
