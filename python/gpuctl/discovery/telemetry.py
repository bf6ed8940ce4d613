"""Telemetry of one GPU: one record for all vendors, null where a vendor cannot tell.

Sources rank as for facts; what the first one tells is taken. Processes are those of the tools'
lists; `usage.py` adds what the kernel tells and which job they belong to.
"""

from __future__ import annotations

from typing import Any

from gpuctl.discovery.conflicts import choose
from gpuctl.discovery.device import Device

__all__ = ["FIELDS", "telemetry_of"]

FIELDS = (
    *("gpu_busy_percent", "memory_busy_percent", "memory_used_bytes", "power_mw"),
    *("temperature_celsius", "clock_mhz", "memory_clock_mhz"),
)


def telemetry_of(device: Device) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in FIELDS:
        claims = device.telemetry.get(name, [])
        found[name] = choose("telemetry", claims)[0] if claims else None
    found["processes"] = _processes(device) if device.tells_processes else None
    return found


def _processes(device: Device) -> list[dict[str, Any]]:
    rows = [
        {
            "pid": process.pid,
            "name": process.name,
            "memory_used_bytes": process.memory_used_bytes,
            "gpu_usec": process.gpu_usec,
            "job": None,
            "source": source,
        }
        for source, process in device.processes
    ]
    return sorted(rows, key=lambda row: row["pid"])
