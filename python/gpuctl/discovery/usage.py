"""Who uses which GPU, by the kernel: DRM's fdinfo of open render nodes, and KFD's process folders.

An fdinfo file of a DRM client has `drm-pdev` (the PCI address), `drm-client-id` (a client may have
several descriptors), `drm-engine-*` (ns) and memory (Documentation/gpu/drm-usage-stats.rst). KFD
has one folder a process, with `vram_<gpu id>` in bytes; its topology says which card that is.
Processes that may not be looked at are counted in `unreadable`, not reported as idle.

Example:
    usage = read_usage("/")
    usage.processes["0000:03:00.0"][4711].memory_used_bytes
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gpuctl.discovery.reading import Process
from gpuctl.host_paths import DRI, KFD_NODES, KFD_PROCESSES, PROC

__all__ = ["Usage", "read_usage"]

_UNITS = {"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30}
_MAX_BYTES = 1 << 16


@dataclass
class Usage:
    """By PCI address and pid."""

    processes: dict[str, dict[int, Process]] = field(default_factory=dict)
    unreadable: int = 0

    def add(self, pci_address: str, process: Process) -> None:
        """A process that is known both to DRM and to KFD: the larger memory, the time of either."""
        known = self.processes.setdefault(pci_address, {})
        before = known.get(process.pid)
        if before is None:
            known[process.pid] = process
            return
        sizes = [x for x in (before.memory_used_bytes, process.memory_used_bytes) if x is not None]
        times = [x for x in (before.gpu_usec, process.gpu_usec) if x is not None]
        known[process.pid] = Process(
            process.pid,
            max(sizes, default=None),
            before.name or process.name,
            max(times, default=None),
        )


def read_usage(root: str) -> Usage:
    usage = Usage()
    top = Path(root)
    for pid, folder in _processes(top):
        _take_drm(usage, pid, folder)
    _take_kfd(usage, top)
    return usage


def _processes(top: Path) -> Iterator[tuple[int, Path]]:
    try:
        names = [path.name for path in (top / PROC).iterdir()]
    except OSError:
        return
    for name in sorted((each for each in names if each.isdigit()), key=int):
        yield int(name), top / PROC / name


def _take_drm(usage: Usage, pid: int, folder: Path) -> None:
    try:
        descriptors = list((folder / "fd").iterdir())
    except PermissionError:
        usage.unreadable += 1
        return
    except OSError:
        return  # it ended
    clients: dict[tuple[str, str], dict[str, str]] = {}
    for each in descriptors:
        facts = _fdinfo(each, folder)
        address = facts.get("drm-pdev", "").lower()
        if re.fullmatch(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", address):
            clients[address, facts.get("drm-client-id", each.name)] = facts
    for (address, _), facts in clients.items():
        usage.add(address, Process(pid, _memory(facts), _name(folder), _engines(facts)))


def _fdinfo(descriptor: Path, folder: Path) -> dict[str, str]:
    """Of a DRM node only: other descriptors cost a readlink each."""
    try:
        target = descriptor.readlink()
        if DRI not in str(target):
            return {}
        with (folder / "fdinfo" / descriptor.name).open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n"))
    return {key.strip(): value.strip() for key, _, value in pairs}


def _engines(facts: dict[str, str]) -> int | None:
    found = [
        int(match.group(1)) // 1000
        for key, value in facts.items()
        if key.startswith("drm-engine-") and not key.startswith("drm-engine-capacity-")
        if (match := re.fullmatch(r"(\d{1,19}) ns", value))
    ]
    return sum(found) if found else None


def _memory(facts: dict[str, str]) -> int | None:
    """Memory of the card: the regions called vram or local; the newer keys are per region."""
    for start in ("drm-resident-", "drm-total-", "drm-memory-"):
        found = [
            _size(value)
            for key, value in facts.items()
            if re.fullmatch(rf"{start}(?:vram|local|stolen-local)\d*", key)
        ]
        sizes = [each for each in found if each is not None]
        if sizes:
            return sum(sizes)
    return None


def _size(words: str) -> int | None:
    found = re.fullmatch(r"(\d{1,16})(?: (B|KiB|MiB|GiB))?", words)
    return int(found.group(1)) << _UNITS[found.group(2) or ""] if found else None


def _name(folder: Path) -> str | None:
    try:
        with (folder / "comm").open("rb") as file:
            return file.read(64).decode("utf-8", "replace").strip() or None
    except OSError:
        return None


def _take_kfd(usage: Usage, top: Path) -> None:
    cards = _kfd_cards(top)
    try:
        folders = list((top / KFD_PROCESSES).iterdir())
    except OSError:
        return
    for folder in folders:
        if not folder.name.isdigit():
            continue
        for gpu_id, address in cards.items():
            words = _text(folder / f"vram_{gpu_id}")
            if words is not None and words.isdigit():
                name = _name(top / PROC / folder.name)
                usage.add(address, Process(int(folder.name), int(words), name))


def _kfd_cards(top: Path) -> dict[str, str]:
    """KFD's gpu id to the card's address (drivers/gpu/drm/amd/amdkfd/kfd_topology.c)."""
    found: dict[str, str] = {}
    try:
        nodes = list((top / KFD_NODES).iterdir())
    except OSError:
        return found
    for node in nodes:
        gpu_id = _text(node / "gpu_id") or "0"
        rows = re.findall(r"^(\w+) (\d+)$", _text(node / "properties") or "", re.MULTILINE)
        facts = {key: int(value) for key, value in rows}
        location = facts.get("location_id")
        if gpu_id != "0" and location is not None:
            domain, bus, device = facts.get("domain", 0), location >> 8 & 255, location >> 3 & 31
            found[gpu_id] = f"{domain:04x}:{bus:02x}:{device:02x}.{location & 7}"
    return found


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return None
