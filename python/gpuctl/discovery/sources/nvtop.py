"""nvtop -s: one snapshot of all GPUs, with names and no addresses.

It can only be placed where one GPU has that name; what cannot be placed adds no device.
"""

from __future__ import annotations

import re
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.values import as_dict, as_list

__all__ = ["is_nvtop", "parse"]

SOURCE = "nvtop"


def is_nvtop(text: str) -> bool:
    return '"device_name"' in text and bool(re.search(r'"(?:gpu_util|gpu_clock|mem_util)"', text))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    found = load_json(text, lambda node: "device_name" in node)
    if found.trouble:
        reading.trouble("malformed", found.trouble)
    rows = [*as_list(found.value), *(each for _, each in found.pieces)]
    for at, row in enumerate(rows):
        _take(reading, as_dict(row), at)
    return reading


def _take(reading: Reading, row: dict[str, Any], at: int) -> None:
    name = values.text(row.get("device_name"))
    sighting = reading.add(Sighting(vendor=_vendor(name or ""), index=at, active=True))
    sighting.put(names=[name] if name else None, memory_total_bytes=_size(row, "mem_total"))
    sighting.measure(
        gpu_busy_percent=values.percent(row.get("gpu_util")),
        memory_used_bytes=values.used_bytes(row.get("mem_used")),
        power_mw=values.milliwatts(row.get("power_draw")),
        temperature_celsius=values.whole(row.get("temp")),
        clock_mhz=values.megahertz(row.get("gpu_clock")),
        memory_clock_mhz=values.megahertz(row.get("mem_clock")),
    )
    if isinstance(row.get("processes"), list):
        sighting.processes = []
        for each in row["processes"]:
            pid = values.whole(as_dict(each).get("pid"))
            used = values.used_bytes(as_dict(each).get("gpu_mem_bytes_alloc"))
            if pid:
                sighting.processes.append(Process(pid, used, values.text(each.get("cmdline"))))


def _size(row: dict[str, Any], key: str) -> int | None:
    return values.size_bytes(row.get(key))


def _vendor(name: str) -> str | None:
    words = name.lower()
    if re.search(r"nvidia|geforce|tesla|quadro|titan", words):
        return "nvidia"
    if re.search(r"\bamd\b|radeon|instinct", words):
        return "amd"
    return "intel" if "intel" in words or "arc" in words.split() else None
