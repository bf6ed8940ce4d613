"""What nvidia-smi calls things, in XML, in `-q` text and in CSV columns, under one set of names.

Each form is first made flat (`fb_memory_usage.total`), then looked up in one table. Versions move
fields (power_readings, gpu_power_readings; clocks_throttle_reasons, clocks_event_reasons), so a
name has several places, the newest first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gpuctl.discovery import values
from gpuctl.discovery.reading import Process, Reading, Sighting

__all__ = ["SOURCE", "flat_name", "mig_sighting", "sighting_of", "split_ids"]

SOURCE = "nvidia-smi"

# our name -> its places: a whole flat name each
_PLACES: dict[str, tuple[str, ...]] = {
    "name": ("product_name", "name", "gpu_name"),
    "architecture": ("product_architecture",),
    "uuid": ("uuid", "gpu_uuid"),
    "bus_id": ("pci.pci_bus_id", "pci.bus_id", "gpu_bus_id", "id"),
    "device_id": ("pci.pci_device_id", "pci.device_id"),
    "subsystem_id": ("pci.pci_sub_system_id", "pci.sub_system_id", "pci.sub_device_id"),
    "minor": ("minor_number",),
    "index": ("index",),
    "memory_total": ("fb_memory_usage.total", "memory.total", "memory_usage.total"),
    "memory_used": ("fb_memory_usage.used", "memory.used", "memory_usage.used"),
    "memory_free": ("fb_memory_usage.free", "memory.free", "memory_usage.free"),
    "driver_version": ("driver_version", "kmd_version"),
    "vbios": ("vbios_version",),
    "compute_capability": ("compute_cap",),
    "mig_mode": ("mig_mode.current_mig", "mig_mode.current", "mig.mode.current"),
    "temperature": (
        *("temperature.gpu_temp", "temperature.gpu_current_temp", "temperature.gpu"),
        "temperature.gpu_current_temperature",
    ),
    "power": (
        *("gpu_power_readings.instant_power_draw", "gpu_power_readings.instantaneous_power_draw"),
        *("gpu_power_readings.power_draw", "gpu_power_readings.average_power_draw"),
        *("power_readings.power_draw", "power.draw.instant", "power.draw", "power.draw.average"),
    ),
    "gpu_share": ("utilization.gpu_util", "utilization.gpu"),
    "memory_share": ("utilization.memory_util", "utilization.memory"),
    "clock": (
        *("clocks.sm_clock", "clocks.sm", "clocks.current.sm"),
        *("clocks.graphics_clock", "clocks.graphics", "clocks.gr", "clocks.current.graphics"),
    ),
    "memory_clock": ("clocks.mem_clock", "clocks.memory", "clocks.mem", "clocks.current.memory"),
    "numa_node": ("numa_node_id", "numa_node"),
}

# topic of health.py -> flat names that tell it
_FINDINGS: tuple[tuple[str, str], ...] = (
    ("nvidia.ecc_uncorrected", r"ecc_errors\.volatile\.(?:.*uncorrectable.*|double_bit\.total)"),
    ("nvidia.ecc_uncorrected", r"ecc\.errors\.uncorrected\.volatile\.total"),
    (
        "nvidia.retired_pending",
        r"retired_pages\.(?:pending_retirement|pending_blacklist|pending_page_blacklist|pending)",
    ),
    ("nvidia.remap_pending", r"remapped_rows\.(?:remapped_row_)?pending"),
    (
        "nvidia.remap_failure",
        r"remapped_rows\.(?:remapped_row_failure|remapping_failure_occurred|failure)",
    ),
    ("nvidia.thermal", r"clocks_(?:event|throttle)_reasons\.(?:.*[._])?hw_thermal_slowdown"),
    ("nvidia.sw_thermal", r"clocks_(?:event|throttle)_reasons\.(?:.*[._])?sw_thermal_slowdown"),
    (
        "nvidia.power_brake",
        r"clocks_(?:event|throttle)_reasons\.(?:.*[._])?hw_power_brake_slowdown",
    ),
    ("nvidia.recovery_action", r"gpu_recovery_action"),
)
_KEY_CELLS = ("name", "uuid", "bus_id", "memory_total", "temperature", "power", "gpu_share")


def flat_name(words: str) -> str:
    """A label of `-q` or an XML tag: "Product Name" and product_name are one."""
    return re.sub(r"[^a-z0-9]+", "_", words.strip().lower()).strip("_")


def sighting_of(cells: Mapping[str, str]) -> Sighting:
    """A GPU of its flat fields. Cells that say ERR! or [Unknown Error] become findings."""
    found = {name: _first(cells, places) for name, places in _PLACES.items()}
    sighting = Sighting(
        pci_address=values.address(found["bus_id"]),
        uuid=values.uuid(found["uuid"]),
        vendor="nvidia",
        index=values.whole(found["index"]),
    )
    _put_facts(sighting, found)
    _put_telemetry(sighting, found)
    _put_findings(sighting, cells, found)
    return sighting


def _first(cells: Mapping[str, str], places: tuple[str, ...]) -> str | None:
    """The first place that says something; else what stood in one of them."""
    present = [cells[place] for place in places if place in cells]
    for cell in present:
        if values.text(cell) is not None:
            return cell
    return present[0] if present else None


def _put_facts(sighting: Sighting, found: Mapping[str, str | None]) -> None:
    name = values.text(found["name"])
    device, vendor = split_ids(found["device_id"])
    subdevice, subvendor = split_ids(found["subsystem_id"])
    mig = values.text(found["mig_mode"])
    minor = values.whole(found["minor"])
    sighting.put(
        vendor_id="10de",
        device_id=device if vendor == "10de" and device != "0000" else None,
        subsystem_id=values.subsystem_id(subvendor, subdevice) if subvendor != "00de" else None,
        driver="nvidia",
        driver_version=_version(found["driver_version"]),
        architecture=values.text(found["architecture"]),
        memory_total_bytes=_total(found),
        compute_capability=values.text(found["compute_capability"]),
        vbios_version=values.text(found["vbios"]),
        numa_node=values.whole(found["numa_node"]),
        mig_enabled=None if mig is None else mig.lower() == "enabled",
        device_nodes=None if minor is None else [f"nvidia{minor}"],
    )
    if name and name.endswith("..."):
        sighting.put(name_start=name[:-3].strip())
    elif name and name.lower() not in ("graphics device", "nvidia graphics device"):
        sighting.put(names=[name])


def _version(cell: str | None) -> str | None:
    words = values.text(cell)
    return words if words and re.fullmatch(r"\d+(?:\.\d+){1,3}", words) else None


def _total(found: Mapping[str, str | None]) -> int | None:
    total = values.size_bytes(found["memory_total"], "MiB")
    if total is None and found["memory_total"] is None:
        parts = [values.used_bytes(found[key], "MiB") for key in ("memory_used", "memory_free")]
        if parts[0] is not None and parts[1] is not None:
            return sum(parts) or None  # type: ignore[arg-type]
    return total


def _put_telemetry(sighting: Sighting, found: Mapping[str, str | None]) -> None:
    sighting.measure(
        gpu_busy_percent=values.percent(found["gpu_share"]),
        memory_busy_percent=values.percent(found["memory_share"]),
        memory_used_bytes=values.used_bytes(found["memory_used"], "MiB"),
        power_mw=values.milliwatts(found["power"]),
        temperature_celsius=values.whole(found["temperature"]),
        clock_mhz=values.megahertz(found["clock"]),
        memory_clock_mhz=values.megahertz(found["memory_clock"]),
    )


def _put_findings(
    sighting: Sighting, cells: Mapping[str, str], found: Mapping[str, str | None]
) -> None:
    broken = [name for name in _KEY_CELLS if values.is_error_cell(found[name])]
    for name in broken[:1]:
        sighting.find("nvidia.cell", f"{name}: {found[name]}")
    sighting.active = not broken
    for topic, pattern in _FINDINGS:
        for key, cell in cells.items():
            if values.text(cell) is not None and re.fullmatch(pattern, key):
                sighting.find(topic, cell.strip())


def split_ids(cell: str | None) -> tuple[str | None, str | None]:
    """`0x233010DE` or `233010DE`: the device first, then its vendor."""
    words = values.hex_id(cell, 8)
    return (words[:4], words[4:]) if words else (None, None)


def mig_sighting(
    parent: Sighting, index: int | None, gpu_instance: int | None, compute_instance: int | None
) -> Sighting:
    """A MIG device: it has its parent's address and no other identity but its UUID."""
    place = "-".join(
        f"{name}{number}"
        for name, number in (("gi", gpu_instance), ("ci", compute_instance))
        if number is not None
    )
    mig = Sighting(
        pci_address=parent.pci_address,
        vendor="nvidia",
        kind="partition",
        index=index,
        parent=parent,
        profile=f"mig-{place}" if place else f"mig-{index}",
        active=True,
    )
    return mig.put(vendor_id="10de", driver="nvidia", device_id=parent.facts.get("device_id"))


def add_processes(sighting: Sighting, rows: list[Process]) -> None:
    sighting.processes = [*(sighting.processes or []), *rows]


def node_facts(reading: Reading, driver: str | None, cuda: str | None) -> None:
    reading.vendor = "nvidia"
    reading.put(nvidia_driver_version=_version(driver), cuda_version=_version(cuda))
    for sighting in reading.sightings:
        if sighting.vendor == "nvidia" and "driver_version" not in sighting.facts:
            sighting.put(driver_version=_version(driver))
