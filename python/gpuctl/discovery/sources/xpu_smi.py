"""xpu-smi: `discovery -j` (the list) and `discovery -d N -j` (one device, with its memory).

A file may hold both, in a list or one after the other. Ids have no leading zeros ("0xbda"); sizes
are text, in bytes. The list's uuid and the device's are the same, and join where an address lacks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.reading import Reading, Sighting

__all__ = ["is_xpu_smi", "parse"]

SOURCE = "xpu-smi"


def is_xpu_smi(text: str) -> bool:
    return bool(re.search(r'"(?:device_list|pci_bdf_address|memory_physical_size_byte)"', text))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE, vendor="intel")
    found = load_json(text, _is_device)
    rows = [*_devices(found.value), *(each for _, each in found.pieces)]
    if found.trouble and (found.value is None or not found.pieces):  # two documents are usual
        reading.trouble("malformed", found.trouble)
    for row in rows:
        _take(reading, row)
    if not reading.sightings:
        reading.trouble("malformed", "no GPU in the output of xpu-smi")
    return reading


def _is_device(node: dict[str, Any]) -> bool:
    return "device_list" not in node and ("pci_bdf_address" in node or "device_id" in node)


def _devices(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for each in value:
            yield from _devices(each)
    elif isinstance(value, dict):
        if isinstance(value.get("device_list"), list):
            yield from _devices(value["device_list"])
        elif _is_device(value):
            yield value


def _take(reading: Reading, row: dict[str, Any]) -> None:
    sighting = reading.add(
        Sighting(
            values.address(row.get("pci_bdf_address")),
            uuid=values.uuid(row.get("uuid")),
            vendor="intel",
            index=values.whole(row.get("device_id")),
            active=True,
        )
    )
    kind = values.text(row.get("device_function_type"))
    if kind == "virtual":
        sighting.kind = "vf"
    name = values.text(row.get("device_name"))
    driver = values.text(row.get("driver_version"))
    sighting.put(
        vendor_id="8086",
        device_id=values.hex_id(row.get("pci_device_id")),
        names=[name] if name else None,
        memory_total_bytes=values.size_bytes(row.get("memory_physical_size_byte")),
        driver=_module(driver),
        driver_version=driver,
        tiles=values.whole(row.get("number_of_tiles")),
        card_nodes=_node(row.get("drm_device")),
        numa_node=values.whole(row.get("numa_node_idx")),
    )
    state = values.text(row.get("gfx_firmware_status"))
    if state and state.lower() not in ("normal", "unknown"):
        sighting.find("intel.firmware", state)


def _module(version: str | None) -> str | None:
    """ "I915_23.10.72_PSB_…" names the driver before its version."""
    start = (version or "").lower()
    return next((name for name in ("i915", "xe") if start.startswith(name)), None)


def _node(path: Any) -> list[str] | None:
    found = re.fullmatch(r".*/(card\d{1,4})", values.text(path) or "")
    return [f"dri/{found.group(1)}"] if found else None
