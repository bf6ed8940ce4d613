"""The facts of an expected.json against one answer of `gpuctl probe`.

Each key of a GPU in expected.json has a row that says where the answer has that fact. Keys without
a row are about the recording, not about the GPU.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Gpu = dict[str, Any]
MIB = 1 << 20


def address(text: str | None) -> str | None:
    """As gpuctl writes it."""
    if not text or not text.strip():
        return None
    domain, rest = text.lower().split(":", 1)
    return f"{int(domain, 16):04x}:{rest}"


def size(text: str) -> int:
    return int(text.split()[0]) * MIB


def swapped(text: str) -> str:
    """nvidia-smi's `0x233010DE`: device, then vendor."""
    words = text.lower().replace("0x", "", 1)
    return f"{words[4:]}:{words[:4]}"


def hex4(text: str) -> str:
    return text.lower().replace("0x", "").zfill(4)


def named(gpu: Gpu, name: str) -> bool:
    return name in gpu["names"]


def details(gpu: Gpu, key: str) -> list[Any]:
    return [told.get(key) for told in (gpu["details"] or {}).values()]


def no_answer(value: object) -> bool:
    return str(value).strip().strip("[]").lower() in ("", "n/a", "redacted", "0000000000000")


Fact = Callable[[Gpu, Any], bool]

FACTS: dict[str, Fact] = {
    "pci": lambda gpu, v: gpu["pci_address"] == v,
    "PCI": lambda gpu, v: gpu["pci_address"] == v,
    "PCI Bus": lambda gpu, v: gpu["pci_address"] == address(v),
    "pci_bus_id": lambda gpu, v: gpu["pci_address"] == address(v),
    "pci.bus_id": lambda gpu, v: gpu["pci_address"] == address(v),
    "address": lambda gpu, v: gpu["pci_address"] == address(v),
    "class": lambda gpu, v: gpu["class_id"] in (None, v[:4]),
    "vendor": lambda gpu, v: gpu["vendor_id"] == v,
    "device": lambda gpu, v: gpu["device_id"] == v,
    "DeviceID": lambda gpu, v: gpu["device_id"] == f"{v:04x}",
    "GPU ID": lambda gpu, v: gpu["device_id"] == hex4(v),
    "Device ID": lambda gpu, v: gpu["device_id"] == hex4(v),
    "pci_device_id": lambda gpu, v: gpu["device_id"] in (None, v.lower()[:4]),
    "pci.device_id": lambda gpu, v: f"{gpu['vendor_id']}:{gpu['device_id']}" == swapped(v),
    "pci.sub_device_id": lambda gpu, v: gpu["subsystem_id"] == swapped(v),
    "pci_sub_system_id": lambda gpu, v: gpu["subsystem_id"] in (None, swapped(v)),
    "subdevice": lambda gpu, v: gpu["subsystem_id"].endswith(f":{v}"),
    "subvendor": lambda gpu, v: gpu["subsystem_id"].startswith(f"{v}:"),
    "rev": lambda gpu, v: gpu["revision"] in (v, None if gpu["sources"] == ["udev"] else v),
    "RevisionID": lambda gpu, v: gpu["revision"] == f"{v:02x}",
    "Device Rev": lambda gpu, v: gpu["revision"] == v[2:].zfill(2),
    "name": lambda gpu, v: named(gpu, v) or (v == "Graphics Device" and bool(gpu["model"])),
    "DeviceName": named,
    "Device Name": named,
    "Card series": lambda gpu, v: v.startswith("0x") or named(gpu, v),
    "Card Series": named,
    "card_series": named,
    "model": named,
    "gpu_model": named,
    "pci_ids_name": lambda gpu, v: not v or named(gpu, v),
    "driver": lambda gpu, v: v in (gpu["driver"], gpu["driver_version"]),
    "driver_version": lambda gpu, v: gpu["driver_version"] == v,
    "memory_bytes": lambda gpu, v: gpu["memory_total_bytes"] == v,
    "memory_mib": lambda gpu, v: gpu["memory_total_bytes"] == (None if v is None else v * MIB),
    "VRAM Size": lambda gpu, v: gpu["memory_total_bytes"] == v,
    "VRAM Total Memory (B)": lambda gpu, v: gpu["memory_total_bytes"] == int(v),
    "fb_total": lambda gpu, v: gpu["memory_total_bytes"] == size(v),
    "memory.total": lambda gpu, v: gpu["memory_total_bytes"] == size(v),
    "memory.used": lambda gpu, v: gpu["telemetry"]["memory_used_bytes"] is not None,
    "memory": lambda gpu, v: gpu["memory_total_bytes"] == v * 1024,
    "gfx": lambda gpu, v: gpu["isa"] == v,
    "gfx_target_version": lambda gpu, v: gpu["isa"] == v,
    "GFX Version": lambda gpu, v: gpu["isa"] == v,
    "gpu_arch": lambda gpu, v: gpu["isa"] == v,
    "uuid": lambda gpu, v: gpu["uuid"] == v,
    "Unique ID": lambda gpu, v: gpu["unique_id"] == (None if v == "N/A" else v[2:].zfill(16)),
    "unique_id": lambda gpu, v: gpu["unique_id"] == v,
    "GPU Type": lambda gpu, v: gpu["integrated"] == (v == "APU"),
    "Total Compute Unit": lambda gpu, v: gpu["compute_units"] == v,
    "cu_per_gpu": lambda gpu, v: gpu["compute_units"] == int(v),
    "ASIC Name": lambda gpu, v: v in details(gpu, "asic_name"),
    "Chip Class": lambda gpu, v: v in details(gpu, "chip_class"),
    "VRAM Type": lambda gpu, v: v in details(gpu, "vram_type"),
    "Card SKU": lambda gpu, v: v in details(gpu, "sku"),
    "sku": lambda gpu, v: v in details(gpu, "sku"),
    "GUID": lambda gpu, v: v in details(gpu, "kfd_gpu_id"),
    "Node ID": lambda gpu, v: v in details(gpu, "kfd_node"),
    "simd_per_cu": lambda gpu, v: v in details(gpu, "simd_per_cu"),
    "num_xcd": lambda gpu, v: v in details(gpu, "num_xcd"),
    "card_model_is_subsystem_id": lambda gpu, v: v in details(gpu, "subsystem_device"),
    "vbios": lambda gpu, v: gpu["vbios_version"] == v,
    "compute_partition": lambda gpu, v: gpu["compute_partition"] == (None if v == "NA" else v),
    "memory_partition": lambda gpu, v: gpu["memory_partition"] == (None if v == "NA" else v),
    "compute_cap": lambda gpu, v: gpu["compute_capability"] == v,
    "mig_mode": lambda gpu, v: gpu["mig_enabled"] == {"Enabled": True, "Disabled": False}.get(v),
    "mig.mode.current": lambda gpu, v: (
        gpu["mig_enabled"] == {"Enabled": True, "Disabled": False}.get(v)
    ),
    "minor_number": lambda gpu, v: gpu["device_nodes"] == [f"/dev/nvidia{v}"],
    "dev": lambda gpu, v: v in gpu["device_nodes"],
    "architecture": lambda gpu, v: gpu["architecture"] == v,
    "(Topology) Numa Node": lambda gpu, v: gpu["numa_node"] == int(v),
}
VENDORS = {"NVIDIA": "nvidia", "AMD": "amd", "Intel": "intel"}


def check_gpu(gpu: Gpu, expected: dict[str, Any]) -> int:
    """How many facts were compared."""
    count = 0
    for key, value in expected.items():
        fact = FACTS.get(key)
        if fact is None or (no_answer(value) and key not in ("Unique ID", "address")):
            continue
        shown = {k: gpu[k] for k in ("id", "names", "telemetry", "details")}
        assert fact(gpu, value), f"`{key}` should be {value!r}: {gpu} {shown}"
        count += 1
    if expected.get("vendor_name") in VENDORS:
        assert gpu["vendor"] == VENDORS[expected["vendor_name"]]
    return count


def find_gpu(gpus: list[Gpu], expected: dict[str, Any], at: int) -> Gpu:
    """By what identifies it in the recording; its place in the list where nothing does."""
    for gpu in gpus:  # of two nodes at one address
        if gpu["unique_id"] and gpu["unique_id"] == expected.get("unique_id"):
            return gpu
    for key in ("pci", "PCI", "PCI Bus", "pci_bus_id", "pci.bus_id", "address", "uuid"):
        value = expected.get(key)
        if not value or no_answer(value) or re.fullmatch(r"[A-Z]+-[0-]+", str(value)):
            continue
        found = [gpu for gpu in gpus if FACTS[key](gpu, value)]
        if key == "pci" and not found:  # a partition of a card: its function is no PCI function
            slot = str(value).rsplit(".", 1)[0]
            found = [g for g in gpus if str(g["pci_address"]).rsplit(".", 1)[0] == slot]
        assert found, f"no GPU with {key} {value} among {[gpu['id'] for gpu in gpus]}"
        return found[0]
    return gpus[at]
