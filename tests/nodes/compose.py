"""Build a stand-in worker node (sys, proc, dev) from a description, for `gpuctl --root DIR`.

    python3 tests/nodes/compose.py epn-mi50x8 DIR
    python3 tests/nodes/compose.py --list

    from nodes.compose import compose
    root = compose("epn-mi50x8", tmp_path / "node")

A node is a table of PCI functions (`Function`) with what their drivers add: DRM minors, KFD nodes,
/proc/driver/nvidia. The tree has the kernel's shape: the entries of sys/bus/pci/devices are
symbolic links into sys/devices/pciDDDD:BB, drivers are links, attributes end in a newline.

Device nodes in DIR/dev are character devices with the numbers of /dev/null, so that a test may
open them. Making them needs CAP_MKNOD; without it the node has no dev at all, which gpuctl takes
as "not known" (`compose` says so by what it returns from `has_device_nodes`).
"""

from __future__ import annotations

import argparse
import os
import stat
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional, Union

AMD = "1002"
INTEL = "8086"
NVIDIA = "10de"

VGA = "030000"
THREE_D = "030200"
DISPLAY = "038000"
ACCELERATOR = "120000"
AUDIO = "040300"
BRIDGE = "060400"
OTHER_BRIDGE = "068000"
NETWORK = "020000"
NVME = "010802"
HOST_BRIDGE = "060000"


@dataclass(frozen=True)
class Function:
    """One PCI function; every field is what its sysfs files say.

    `files` adds or replaces attribute files, `missing` leaves some out, `directories` makes a
    directory in a file's place, which nobody can read as a file.
    """

    address: str
    class_id: str
    vendor: str
    device: str
    subsystem: str = "0000:0000"
    revision: str = "00"
    driver: Optional[str] = None
    numa_node: int = -1
    cpus: str = "0-7"
    drm: Sequence[str] = ()
    physical_function: Optional[str] = None
    config_all_ones: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    directories: Sequence[str] = ()


@dataclass(frozen=True)
class NvidiaCard:
    """What /proc/driver/nvidia says of one GPU."""

    address: str
    model: str
    uuid: str
    minor: int


@dataclass(frozen=True)
class KfdGpu:
    """One GPU node of the KFD topology."""

    address: str
    device: str
    gfx_target_version: int
    unique_id: int
    render_minor: int
    memory_bytes: int
    simd_count: int = 240


@dataclass(frozen=True)
class Node:
    """A whole worker node."""

    functions: Sequence[Function] = ()
    nvidia: Sequence[NvidiaCard] = ()
    kfd: Sequence[KfdGpu] = ()
    cpu_nodes: int = 0  # of the KFD topology
    driver_versions: Mapping[str, str] = field(default_factory=dict)
    device_nodes: Sequence[str] = ()


def compose(node: Union[str, Node], directory: Path, device_nodes: bool = True) -> Path:
    """Build `node` (a name of NODES, or a description) below `directory`, which must be new or empty."""
    described = NODES[node]() if isinstance(node, str) else node
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"`{directory}` is not empty; give a new directory")
    _write_skeleton(directory)
    for function in described.functions:
        _write_function(directory, function)
    for function in described.functions:
        _link_virtual_function(directory, function)
    _write_nvidia(directory, described)
    if described.kfd:
        _write_kfd(directory, described)
    for driver, version in described.driver_versions.items():
        _write(directory / "sys/module" / driver / "version", version)
    if device_nodes:
        _make_device_nodes(directory, described.device_nodes)
    return directory


def has_device_nodes(root: Path) -> bool:
    """Whether the stand-in device nodes could be made."""
    return (root / "dev").is_dir()


def device_directory(root: Path, address: str) -> Path:
    """Where a function's attribute files are: to break them."""
    return root / "sys/devices" / f"pci{address.rsplit(':', 1)[0]}" / address


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def _link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))


def _write_skeleton(root: Path) -> None:
    for folder in ("sys/bus/pci/devices", "sys/bus/pci/drivers", "sys/class/drm", "sys/devices"):
        (root / folder).mkdir(parents=True)
    _write(root / "proc/sys/kernel/random/boot_id", "6f1f3a3e-5b0a-4c1d-9a51-0d2c4b8e7f60")


def _write_function(root: Path, function: Function) -> None:
    folder = device_directory(root, function.address)
    folder.mkdir(parents=True)
    _link(root / "sys/bus/pci/devices" / function.address, folder)
    attributes = {**_attributes(function), **function.files}
    for name in function.missing:
        attributes.pop(name, None)
    for name, text in attributes.items():
        if name not in function.directories:
            _write(folder / name, text)
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


def _link_virtual_function(root: Path, function: Function) -> None:
    if function.physical_function is None:
        return
    folder = device_directory(root, function.address)
    parent = device_directory(root, function.physical_function)
    _link(folder / "physfn", parent)
    index = len(list(parent.glob("virtfn*")))
    _link(parent / f"virtfn{index}", folder)
    _write(parent / "sriov_numvfs", str(index + 1))


def _write_nvidia(root: Path, node: Node) -> None:
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
        _write(root / "proc/driver/nvidia/gpus" / card.address / "information", "\n".join(lines))


def _write_kfd(root: Path, node: Node) -> None:
    topology = root / "sys/class/kfd/kfd/topology/nodes"
    for number in range(node.cpu_nodes):
        _write(topology / str(number) / "properties", "cpu_cores_count 8\nsimd_count 0")
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
        _write(folder / "properties", "\n".join(f"{k} {v}" for k, v in properties.items()))
        bank = f"heap_type 1\nsize_in_bytes {gpu.memory_bytes}\nflags 0"
        _write(folder / "mem_banks/0/properties", bank)
        _write(folder / "gpu_id", str(10000 + number))


def _make_device_nodes(root: Path, nodes: Sequence[str]) -> None:
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


# The nodes. Addresses, ids and counts are those of such machines; serial numbers are invented.

_ASPEED = Function(
    "0000:c4:00.0", VGA, "1a03", "2000", "1a03:2000", "41", "ast", numa_node=0, drm=("card0",)
)


def _nvidia_shared() -> list[str]:
    return ["/dev/nvidiactl", "/dev/nvidia-uvm"]


def _epyc_cpus(node: int, cores_per_node: int, cores: int) -> str:
    """The CPUs of one NUMA node, with the second threads numbered after all first ones."""
    first = node * cores_per_node
    last = first + cores_per_node - 1
    return f"{first}-{last},{first + cores}-{last + cores}"


def epn_mi50x8() -> Node:
    """ALICE event processing node: 8 Instinct MI50 32GB, two EPYC 7452 with NPS4."""
    slots = ("03", "27", "43", "63", "83", "a3", "c3", "e3")
    numa = (3, 2, 1, 0, 7, 6, 5, 4)
    functions = [_ASPEED]
    kfd = []
    nodes = ["/dev/kfd", "/dev/dri/card0"]
    for index, (bus, numa_node) in enumerate(zip(slots, numa)):
        address = f"0000:{bus}:00.0"
        cpus = _epyc_cpus(numa_node, 8, 64)
        minors = (f"card{index + 1}", f"renderD{128 + index}")
        unique_id = 0x5A1B3C0021720000 + index * 0x1111
        memory = 34342961152
        place = {"numa_node": numa_node, "cpus": cpus}
        for step, device in ((2, "14a0"), (1, "14a1")):  # the card's own PCIe switch
            above = f"0000:{int(bus, 16) - step:02x}:00.0"
            bridge = Function(above, BRIDGE, AMD, device, revision="02", driver="pcieport")
            functions.append(replace(bridge, numa_node=numa_node, cpus=cpus))
        card = Function(address, DISPLAY, AMD, "66a1", "1002:0834", "02", "amdgpu", drm=minors)
        files = {
            "mem_info_vram_total": str(memory),
            "product_name": "",
            "unique_id": f"{unique_id:016x}",
        }
        functions.append(replace(card, **place, files=files))
        kfd.append(KfdGpu(address, "66a1", 90006, unique_id, 128 + index, memory))
        nodes += [f"/dev/dri/{minor}" for minor in minors]
    for bus in ("21", "91"):
        functions.append(
            Function(f"0000:{bus}:00.0", "020700", "15b3", "101b", "15b3:0007", driver="mlx5_core")
        )
    functions.append(Function("0000:00:00.0", HOST_BRIDGE, "1022", "1480", "1022:1480"))
    return Node(
        functions=functions,
        kfd=kfd,
        cpu_nodes=8,
        driver_versions={"amdgpu": "6.8.5"},
        device_nodes=nodes,
    )


def _nvidia_node(
    addresses: Sequence[str], make: Callable[[int, str], Function], model: str
) -> tuple[list[Function], list[NvidiaCard], list[str]]:
    functions, cards, nodes = [], [], _nvidia_shared()
    for minor, address in enumerate(addresses):
        functions.append(make(minor, address))
        uuid = f"GPU-{0xC0FFEE00 + minor:08x}-1f6b-4a2d-9c3e-{minor:012x}"
        cards.append(NvidiaCard(address, model, uuid, minor))
        nodes.append(f"/dev/nvidia{minor}")
    return functions, cards, nodes


def perlmutter_a100x4() -> Node:
    """Perlmutter GPU node: 4 A100-SXM4-40GB, one EPYC 7763 with NPS4, four Slingshot adapters."""

    def card(minor: int, address: str) -> Function:
        numa_node = 3 - minor
        gpu = Function(address, THREE_D, NVIDIA, "20b0", "10de:144e", "a1", "nvidia")
        return replace(gpu, numa_node=numa_node, cpus=_epyc_cpus(numa_node, 16, 64))

    addresses = ("0000:03:00.0", "0000:41:00.0", "0000:82:00.0", "0000:c1:00.0")
    functions, cards, nodes = _nvidia_node(addresses, card, "NVIDIA A100-SXM4-40GB")
    for bus in ("21", "a1", "c2", "e1"):
        functions.append(
            Function(f"0000:{bus}:00.0", NETWORK, "17db", "0501", driver="cxi_core", numa_node=0)
        )
    functions.append(Function("0000:00:00.0", HOST_BRIDGE, "1022", "1480", "1022:1480"))
    return Node(
        functions=functions,
        nvidia=cards,
        driver_versions={"nvidia": "535.216.01"},
        device_nodes=nodes,
    )


def mixed_broken() -> Node:
    """All three vendors in one node, and every way of being broken beside them."""
    l4 = Function("0000:17:00.0", THREE_D, NVIDIA, "27b8", "10de:16ca", "a1", "nvidia")
    mi210 = Function("0000:63:00.0", DISPLAY, AMD, "740f", "1002:0c34", "02", "amdgpu")
    max1100 = Function("0000:9a:00.0", DISPLAY, INTEL, "0bda", "8086:0000", "2f", "i915")
    a100 = Function("0000:b1:00.0", THREE_D, NVIDIA, "20b5", "10de:1533", "a1")
    memory = 68702699520
    functions = [
        Function("0000:00:0b.0", ACCELERATOR, INTEL, "7d1d", "8086:7270", "04", "intel_vpu"),
        Function("0000:02:00.0", VGA, AMD, "515e", "103c:31fb", "02", "radeon", drm=("card0",)),
        replace(l4, numa_node=0, cpus="0-15"),
        Function("0000:17:00.1", AUDIO, NVIDIA, "22bc", "10de:16ca", "a1", "snd_hda_intel"),
        replace(
            mi210,
            numa_node=1,
            cpus="16-31",
            drm=("card1", "renderD128"),
            files={
                "mem_info_vram_total": str(memory),
                "product_name": "AMD Instinct MI210",
                "unique_id": "190213c4556677aa",
            },
        ),
        replace(max1100, numa_node=1, cpus="16-31", drm=("card2", "renderD129")),
        Function(
            "0000:9a:00.1",
            DISPLAY,
            INTEL,
            "0bda",
            "8086:0000",
            "2f",
            physical_function="0000:9a:00.0",
        ),
        replace(a100, address="0000:b0:00.0", driver="nvidia", config_all_ones=True),
        a100,
        replace(a100, address="0000:b2:00.0", driver="vfio-pci"),
        replace(a100, address="0000:b3:00.0", missing=("vendor", "device", "modalias", "uevent")),
        replace(
            a100,
            address="0000:b4:00.0",
            missing=("modalias", "uevent"),
            directories=("vendor",),
        ),
        Function("0000:c4:00.0", OTHER_BRIDGE, NVIDIA, "1af1", "10de:1504", "a1"),
        Function("10000:00:00.0", HOST_BRIDGE, INTEL, "2020"),
        replace(a100, address="10000:01:00.0", driver="nouveau", drm=("card10",)),
    ]
    return Node(
        functions=functions,
        nvidia=[
            NvidiaCard("0000:17:00.0", "NVIDIA L4", "GPU-6a1b5f2e-77aa-4f6e-8a10-00000000a001", 0),
            NvidiaCard("0000:b0:00.0", "Unknown", "GPU-????????-????-????-????-????????????", 1),
        ],
        kfd=[KfdGpu("0000:63:00.0", "740f", 90010, 0x190213C4556677AA, 128, memory, 416)],
        cpu_nodes=2,
        driver_versions={"nvidia": "570.172.08"},
        device_nodes=[
            *_nvidia_shared(),
            "/dev/nvidia0",
            "/dev/nvidia1",
            "/dev/kfd",
            *(f"/dev/dri/{name}" for name in ("card0", "card1", "card2", "card10")),
            *(f"/dev/dri/{name}" for name in ("renderD128", "renderD129")),
        ],
    )


def pci400() -> Node:
    """A big HGX server: 400 PCI functions, among them 8 H100 and 4 NVSwitch."""

    def card(minor: int, address: str) -> Function:
        gpu = Function(address, THREE_D, NVIDIA, "2330", "10de:16c1", "a1", "nvidia")
        numa_node = minor // 4
        return replace(
            gpu, numa_node=numa_node, cpus="0-47,96-143" if minor < 4 else "48-95,144-191"
        )

    buses = ("1b", "43", "52", "61", "9d", "c3", "d1", "df")
    functions, cards, nodes = _nvidia_node(
        [f"0000:{bus}:00.0" for bus in buses], card, "NVIDIA H100 80GB HBM3"
    )
    for bus in ("07", "08", "09", "0a"):
        functions.append(
            Function(
                f"0000:{bus}:00.0",
                OTHER_BRIDGE,
                NVIDIA,
                "22a3",
                "10de:1796",
                "a1",
                "nvidia-nvswitch",
            )
        )
    functions.append(replace(_ASPEED, address="0000:03:00.0"))
    functions.append(Function("0000:19:00.0", NETWORK, "15b3", "1021", driver="mlx5_core"))
    for index in range(127):  # virtual functions of the network adapter
        slot, number = divmod(index + 1, 8)
        address = f"0000:19:{slot:02x}.{number}"
        vf = Function(address, NETWORK, "15b3", "101e", driver="mlx5_core")
        functions.append(replace(vf, physical_function="0000:19:00.0"))
    fill = 400 - len(functions)
    for index in range(fill):  # uncore, root ports and memory controllers of two Xeons
        bus, rest = divmod(index, 64)
        slot, number = divmod(rest, 8)
        address = f"0000:{0xE8 + bus:02x}:{slot:02x}.{number}"
        kind = BRIDGE if number == 0 else "088000"
        driver = "pcieport" if number == 0 else None
        functions.append(Function(address, kind, INTEL, f"{0x3240 + rest:04x}", driver=driver))
    return Node(
        functions=functions,
        nvidia=cards,
        driver_versions={"nvidia": "570.86.15"},
        device_nodes=nodes,
    )


def empty() -> Node:
    """A machine with a PCI bus and nothing on it."""
    return Node()


NODES: dict[str, Callable[[], Node]] = {
    "epn-mi50x8": epn_mi50x8,
    "perlmutter-a100x4": perlmutter_a100x4,
    "mixed-broken": mixed_broken,
    "pci400": pci400,
    "empty": empty,
}


def main(argv: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="build a stand-in worker node")
    parser.add_argument("--list", action="store_true", help="name the nodes and leave")
    parser.add_argument("--no-dev", action="store_true", help="without device nodes")
    parser.add_argument("node", nargs="?", choices=sorted(NODES))
    parser.add_argument("directory", nargs="?", type=Path)
    options = parser.parse_args(argv)
    if options.list:
        for name, make in NODES.items():
            print(f"{name:20} {(make.__doc__ or '').strip()}")
        return 0
    if options.node is None or options.directory is None:
        parser.error("give NODE and DIRECTORY, or --list")
    try:
        root = compose(options.node, options.directory, device_nodes=not options.no_dev)
    except OSError as error:
        print(f"compose: {error}", file=sys.stderr)
        return 2
    if not options.no_dev and not has_device_nodes(root):
        print("compose: no device nodes: making them needs CAP_MKNOD", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
