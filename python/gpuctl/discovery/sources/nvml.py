"""NVML: one JSON object a line, as `gpuctl.discovery.nvml_child` prints them.

The child asks the library (through nvidia-ml-py) device by device and prints each at once: what a
device that hangs takes along is itself and what comes after, never what was already told.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.reading import Finding, Process, Reading, Sighting
from gpuctl.discovery.sources.nvidia_fields import mig_sighting
from gpuctl.discovery.values import as_dict, as_list

__all__ = ["is_nvml", "parse"]

SOURCE = "nvml"


def is_nvml(text: str) -> bool:
    return bool(re.match(r'\s*\{"nvml"\s*:', text))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE, vendor="nvidia")
    for line in text.split("\n")[:4096]:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            reading.trouble("malformed", f"a line is no JSON: `{line[:60]}`")
            continue
        _take(reading, as_dict(as_dict(row).get("nvml")))
    return reading


def _take(reading: Reading, row: dict[str, Any]) -> None:
    error = values.text(row.get("error"))
    if "index" not in row:
        if row.get("missing"):
            reading.missing = True
        elif error:
            reading.findings.append(Finding("nvidia.message", error))
        reading.put(
            nvidia_driver_version=values.text(row.get("driver_version")),
            cuda_version=values.text(row.get("cuda_version")),
        )
        return
    sighting = reading.add(
        Sighting(
            values.address(row.get("bus_id")),
            values.uuid(row.get("uuid")),
            vendor="nvidia",
            index=values.whole(row.get("index")),
            active=error is None,
        )
    )
    if error:
        sighting.find("nvidia.message", error)
    _put(sighting, row, reading.facts.get("nvidia_driver_version"))
    for each in as_list(row.get("mig_devices")):
        _take_mig(reading, sighting, as_dict(each))


def _put(sighting: Sighting, row: dict[str, Any], driver_version: Any) -> None:
    name = values.text(row.get("name"))
    device, subsystem = values.whole(row.get("device_id")), values.whole(row.get("subsystem_id"))
    minor = values.whole(row.get("minor"))
    mig = row.get("mig_enabled")
    sighting.put(
        vendor_id="10de",
        device_id=f"{device >> 16:04x}" if device and device & 0xFFFF == 0x10DE else None,
        subsystem_id=f"{subsystem & 0xFFFF:04x}:{subsystem >> 16:04x}" if subsystem else None,
        names=[name] if name else None,
        memory_total_bytes=values.size_bytes(row.get("memory_total_bytes")),
        driver="nvidia",
        driver_version=driver_version,
        compute_capability=values.text(row.get("compute_capability")),
        numa_node=values.whole(row.get("numa_node")),
        device_nodes=None if minor is None else [f"nvidia{minor}"],
        mig_enabled=mig if isinstance(mig, bool) else None,
    )
    keys = ("gpu_busy_percent", "memory_busy_percent", "memory_used_bytes", "power_mw")
    more = ("temperature_celsius", "clock_mhz", "memory_clock_mhz")
    sighting.measure(**{key: values.whole(row.get(key)) for key in (*keys, *more)})
    for topic, cell in as_dict(row.get("findings")).items():
        sighting.find(f"nvidia.{topic}", cell)
    if isinstance(row.get("processes"), list):
        pairs = (as_dict(each) for each in row["processes"])
        sighting.processes = [
            Process(pid, values.used_bytes(each.get("memory_used_bytes")))
            for each in pairs
            if (pid := values.whole(each.get("pid")))
        ]


def _take_mig(reading: Reading, parent: Sighting, row: dict[str, Any]) -> None:
    mig = mig_sighting(
        parent,
        values.whole(row.get("index")),
        values.whole(row.get("gpu_instance_id")),
        values.whole(row.get("compute_instance_id")),
    )
    mig.uuid = values.uuid(row.get("uuid"))
    mig.put(memory_total_bytes=values.size_bytes(row.get("memory_total_bytes")))
    mig.measure(memory_used_bytes=values.used_bytes(row.get("memory_used_bytes")))
    name = re.search(r"MIG (\S+)$", values.text(row.get("name")) or "")
    if name:
        mig.put(mig_profile=name.group(1))
    reading.add(mig)
