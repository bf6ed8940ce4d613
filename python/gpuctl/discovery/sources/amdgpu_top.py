"""amdgpu_top: `--json` (an object with devices[]) and `-d --json` (a list, fields flattened).

Sleeping cards are in suspended_devices, or only in the list: both are counted. Sizes are bytes
("VRAM Size") or MiB ("Total VRAM").
"""

from __future__ import annotations

import re
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.values import as_dict, as_list

__all__ = ["is_amdgpu_top", "parse"]

SOURCE = "amdgpu_top"


def is_amdgpu_top(text: str) -> bool:
    return bool(re.search(r'"(?:ASIC Name|amdgpu_top_version|suspended_devices)"', text))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE, vendor="amd")
    found = load_json(text, _is_device)
    if found.trouble:
        reading.trouble("malformed", found.trouble)
    active = [each for _, each in found.pieces]
    asleep: list[Any] = []
    if isinstance(found.value, list):
        active = found.value + active
    elif isinstance(found.value, dict):
        active = as_list(found.value.get("devices")) + active
        asleep = as_list(found.value.get("suspended_devices"))
        reading.put(rocm_version=values.text(found.value.get("ROCm version")))
        _count(reading, "devices", found.value, active)
        _count(reading, "suspended_devices", found.value, asleep)
    for device in active:
        _take(reading, device)
    for device in asleep:
        _take_asleep(reading, device)
    return reading


def _count(reading: Reading, name: str, document: dict[str, Any], rows: list[Any]) -> None:
    said = values.whole(document.get(f"{name}_len"))
    if said is not None and said > len(rows):
        reading.trouble("incomplete", f"`{name}` has {len(rows)} of {said} devices")


def _is_device(node: dict[str, Any]) -> bool:
    return "Info" in node or ("DeviceID" in node and ("PCI" in node or "pci" in node))


def _take(reading: Reading, device: Any) -> None:
    device = as_dict(device)
    info = as_dict(device.get("Info")) or device
    if "DeviceID" not in info and "PCI" not in info:
        path = as_dict(info.get("DevicePath"))
        return _take_asleep(reading, path or info) if path or "pci" in info else _odd(reading)
    if "PCI" not in info and "pci" in info:
        return _take_asleep(reading, info)
    sighting = reading.add(Sighting(values.address(info.get("PCI")), vendor="amd", active=True))
    name = values.text(info.get("DeviceName"))
    kind = values.text(info.get("GPU Type"))
    path = as_dict(info.get("DevicePath"))
    sighting.put(
        vendor_id="1002",
        device_id=_decimal(info.get("DeviceID"), 4),
        revision=_decimal(info.get("RevisionID"), 2),
        names=[name] if name else None,
        driver="amdgpu",
        isa=_isa(info),
        compute_units=values.whole(info.get("Total Compute Unit")),
        integrated=None if kind is None else kind.upper() == "APU",
        memory_total_bytes=_memory(info, device),
        vbios_version=values.text(as_dict(info.get("VBIOS")).get("pn")),
        device_nodes=_nodes(path.get("render")),
        card_nodes=_nodes(path.get("card")),
        details=_details(info),
    )
    reading.put(rocm_version=values.text(info.get("ROCm Version")))
    _measure(sighting, device)
    return None


def _odd(reading: Reading) -> None:
    reading.trouble("malformed", "a device without id and address")
    reading.add(Sighting(vendor="amd")).put(vendor_id="1002")


def _details(info: dict[str, Any]) -> dict[str, str] | None:
    keys = {"asic_name": "ASIC Name", "chip_class": "Chip Class", "vram_type": "VRAM Type"}
    found = {ours: values.text(info.get(theirs)) for ours, theirs in keys.items()}
    return {key: value for key, value in found.items() if value is not None} or None


def _take_asleep(reading: Reading, device: Any) -> None:
    device = as_dict(device)
    sighting = reading.add(Sighting(values.address(device.get("pci")), vendor="amd", active=True))
    name = values.text(device.get("DeviceName"))
    sighting.put(
        vendor_id="1002",
        device_id=_decimal(device.get("DeviceID"), 4),
        revision=_decimal(device.get("RevisionID"), 2),
        names=[name] if name else None,
        driver="amdgpu",
        device_nodes=_nodes(device.get("render")),
        card_nodes=_nodes(device.get("card")),
    )
    sighting.find("amdgpu.suspended", "yes")


def _decimal(number: Any, digits: int) -> str | None:
    """Ids are decimal numbers here."""
    value = values.whole(number)
    return f"{value:0{digits}x}" if value is not None and value < 16**digits else None


def _isa(info: dict[str, Any]) -> str | None:
    isa = values.text(info.get("gfx_target_version"))
    return isa.lower() if isa and re.fullmatch(r"gfx[0-9a-f]{3,4}", isa.lower()) else None


def _memory(info: dict[str, Any], device: dict[str, Any]) -> int | None:
    size = values.size_bytes(info.get("VRAM Size"))
    return size or values.size_bytes(as_dict(device.get("VRAM")).get("Total VRAM"), "MiB")


def _nodes(path: Any) -> list[str] | None:
    words = values.text(path)
    found = re.fullmatch(r".*/((?:card|renderD)\d{1,4})", words or "")
    return [f"dri/{found.group(1)}"] if found else None


def _measure(sighting: Sighting, device: dict[str, Any]) -> None:
    sensors = as_dict(device.get("Sensors"))
    activity = as_dict(device.get("gpu_activity"))
    power = sensors.get("Average Power") or sensors.get("GFX Power") or sensors.get("Input Power")
    clock, memory = sensors.get("GFX_SCLK"), sensors.get("GFX_MCLK")
    sighting.measure(
        gpu_busy_percent=values.percent(activity.get("GFX")),
        memory_busy_percent=values.percent(activity.get("Memory")),
        memory_used_bytes=values.used_bytes(
            as_dict(device.get("VRAM")).get("Total VRAM Usage"), "MiB"
        ),
        power_mw=values.milliwatts(power),
        temperature_celsius=values.whole(sensors.get("Edge Temperature")),
        clock_mhz=values.megahertz(clock),
        memory_clock_mhz=values.megahertz(memory),
    )
    for reason in as_list(as_dict(device.get("gpu_metrics")).get("Throttle Status")):
        sighting.find("amdgpu.throttle", reason)
    if isinstance(device.get("fdinfo"), dict):
        rows = (_process(pid, as_dict(each)) for pid, each in device["fdinfo"].items())
        sighting.processes = [row for row in rows if row is not None]


def _process(pid: str, row: dict[str, Any]) -> Process | None:
    number = values.whole(pid)
    usage = as_dict(row.get("usage"))
    used = as_dict(usage.get("usage") or usage).get("VRAM")
    if number is None:
        return None
    return Process(number, values.used_bytes(used, "MiB"), values.text(row.get("name")))
