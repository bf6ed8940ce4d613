"""Write a described node as files: sys, proc and dev in the kernel's shape."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodes.description import AMD, Function, Node, XgmiLink


def device_directory(root: Path, address: str) -> Path:
    """Where a function's attribute files are: to break them."""
    return root / "sys/devices" / f"pci{address.rsplit(':', 1)[0]}" / address


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))


def write_skeleton(root: Path) -> None:
    for folder in ("sys/bus/pci/devices", "sys/bus/pci/drivers", "sys/class/drm", "sys/devices"):
        (root / folder).mkdir(parents=True)
    write(root / "proc/sys/kernel/random/boot_id", "6f1f3a3e-5b0a-4c1d-9a51-0d2c4b8e7f60")


def write_function(root: Path, function: Function) -> None:
    folder = device_directory(root, function.address)
    folder.mkdir(parents=True)
    _link(root / "sys/bus/pci/devices" / function.address, folder)
    attributes = {**_attributes(function), **function.files}
    for name in function.missing:
        attributes.pop(name, None)
    for name, text in attributes.items():
        if name not in function.directories:
            write(folder / name, text)
    for name in function.directories:
        (folder / name).mkdir()
    if "config" not in function.missing:
        (folder / "config").write_bytes(_config_header(function))
    if function.driver:
        driver = root / "sys/bus/pci/drivers" / function.driver
        driver.mkdir(exist_ok=True)
        _link(folder / "driver", driver)
    for minor in function.drm:
        (folder / "drm" / minor).mkdir(parents=True)
        _link(folder / "drm" / minor / "device", folder)
        _link(root / "sys/class/drm" / minor, folder / "drm" / minor)


def _attributes(function: Function) -> dict[str, str]:
    subsystem_vendor, subsystem_device = function.subsystem.split(":")
    return {
        "class": f"0x{function.class_id}",
        "vendor": f"0x{function.vendor}",
        "device": f"0x{function.device}",
        "subsystem_vendor": f"0x{subsystem_vendor}",
        "subsystem_device": f"0x{subsystem_device}",
        "revision": f"0x{function.revision}",
        "numa_node": str(function.numa_node),
        "local_cpulist": function.cpus,
        "enable": "1" if function.driver else "0",
        "power_state": "D0",
        "irq": "0",
        "resource": "\n".join(["0x0000000000000000 " * 2 + "0x0000000000000000"] * 7),
        "modalias": _modalias(function),
        "uevent": _uevent(function),
    }


def _modalias(function: Function) -> str:
    subsystem_vendor, subsystem_device = function.subsystem.upper().split(":")
    code = function.class_id.upper()
    return (
        f"pci:v0000{function.vendor.upper()}d0000{function.device.upper()}"
        f"sv0000{subsystem_vendor}sd0000{subsystem_device}"
        f"bc{code[:2]}sc{code[2:4]}i{code[4:]}"
    )


def _uevent(function: Function) -> str:
    lines = [f"DRIVER={function.driver}"] if function.driver else []
    lines += [
        f"PCI_CLASS={function.class_id.lstrip('0').upper()}",
        f"PCI_ID={function.vendor.upper()}:{function.device.upper()}",
        f"PCI_SUBSYS_ID={function.subsystem.upper()}",
        f"PCI_SLOT_NAME={function.address}",
        f"MODALIAS={_modalias(function)}",
    ]
    return "\n".join(lines)


def _config_header(function: Function) -> bytes:
    """The first 64 bytes of the configuration space, as the PCI specification lays them out."""
    if function.config_all_ones:
        return b"\xff" * 64
    code = bytes.fromhex(function.class_id)
    header = bytearray(64)
    struct.pack_into("<HH", header, 0, int(function.vendor, 16), int(function.device, 16))
    header[8] = int(function.revision, 16)
    header[9:12] = code[::-1]
    subsystem = [int(part, 16) for part in function.subsystem.split(":")]
    struct.pack_into("<HH", header, 0x2C, *subsystem)
    return bytes(header)


def link_virtual_function(root: Path, function: Function) -> None:
    if function.physical_function is None:
        return
    folder = device_directory(root, function.address)
    parent = device_directory(root, function.physical_function)
    _link(folder / "physfn", parent)
    index = len(list(parent.glob("virtfn*")))
    _link(parent / f"virtfn{index}", folder)
    write(parent / "sriov_numvfs", str(index + 1))


def write_nvidia(root: Path, node: Node) -> None:
    for card in node.nvidia:
        lines = [
            f"Model: \t\t {card.model}",
            "IRQ:   \t\t 212",
            f"GPU UUID: \t {card.uuid}",
            "Video BIOS: \t 92.00.45.00.03",
            "Bus Type: \t PCIe",
            "DMA Size: \t 47 bits",
            "DMA Mask: \t 0x7fffffffffff",
            f"Bus Location: \t {card.address}",
            f"Device Minor: \t {card.minor}",
            "GPU Excluded:\t No",
        ]
        write(root / "proc/driver/nvidia/gpus" / card.address / "information", "\n".join(lines))


def write_kfd(root: Path, node: Node) -> None:
    topology = root / "sys/class/kfd/kfd/topology/nodes"
    numbers = {gpu.address: number for number, gpu in enumerate(node.kfd, start=node.cpu_nodes)}
    for number in range(node.cpu_nodes):
        write(topology / str(number) / "properties", "cpu_cores_count 8\nsimd_count 0")
    for number, gpu in enumerate(node.kfd, start=node.cpu_nodes):
        domain, bus, slot = gpu.address.split(":")
        device, function = slot.split(".")
        location = int(bus, 16) << 8 | int(device, 16) << 3 | int(function, 16)
        properties = {
            "cpu_cores_count": 0,
            "simd_count": gpu.simd_count,
            "mem_banks_count": 1,
            "simd_per_cu": 4,
            "gfx_target_version": gpu.gfx_target_version,
            "vendor_id": int(AMD, 16),
            "device_id": int(gpu.device, 16),
            "location_id": location,
            "domain": int(domain, 16),
            "drm_render_minor": gpu.render_minor,
            "local_mem_size": 0,
            "unique_id": gpu.unique_id,
        }
        folder = topology / str(number)
        if gpu.links is not None:
            properties["io_links_count"] = _write_links(folder, number, gpu.links, numbers)
        write(folder / "properties", "\n".join(f"{k} {v}" for k, v in properties.items()))
        bank = f"heap_type 1\nsize_in_bytes {gpu.memory_bytes}\nflags 0"
        write(folder / "mem_banks/0/properties", bank)
        write(folder / "gpu_id", str(10000 + number))


def _write_links(
    folder: Path, number: int, links: Sequence[XgmiLink], numbers: Mapping[str, int]
) -> int:
    """The first is the one to the processor, over PCI Express."""
    rows = [(2, 0, 20, 31504), *((11, numbers[e.to], 15 * e.hops, e.bandwidth_mbs) for e in links)]
    for index, (kind, to, weight, bandwidth) in enumerate(rows):
        fields = {
            "type": kind,
            "version_major": 0,
            "version_minor": 0,
            "node_from": number,
            "node_to": to,
            "weight": weight,
            "min_latency": 0,
            "max_latency": 0,
            "min_bandwidth": bandwidth and 312,
            "max_bandwidth": bandwidth,
            "recommended_transfer_size": 0,
            "flags": 1,
        }
        text = "\n".join(f"{key} {value}" for key, value in fields.items())
        write(folder / "io_links" / str(index) / "properties", text)
    return len(rows)


def make_device_nodes(root: Path, nodes: Sequence[str]) -> None:
    """All of them or none: a half-filled dev would say that the others are missing."""
    if not nodes or not _may_make_nodes(root):
        return
    for name in nodes:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def _may_make_nodes(root: Path) -> bool:
    probe = root / ".probe"
    try:
        os.mknod(probe, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except PermissionError:
        return False
    probe.unlink()
    return True
