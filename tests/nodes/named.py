"""The named nodes: addresses, ids and counts as on such machines, serial numbers invented."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Callable

from nodes.description import (
    ACCELERATOR,
    AMD,
    AUDIO,
    BRIDGE,
    DISPLAY,
    HOST_BRIDGE,
    INTEL,
    NETWORK,
    NVIDIA,
    OTHER_BRIDGE,
    THREE_D,
    VGA,
    Function,
    KfdGpu,
    Node,
    NvidiaCard,
    XgmiLink,
)

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
        functions.append(replace(card, numa_node=numa_node, cpus=cpus, files=files))
        kfd.append(KfdGpu(address, "66a1", 90006, unique_id, 128 + index, memory))
        nodes += [f"/dev/dri/{minor}" for minor in minors]
    for bus in ("21", "91"):
        functions.append(
            Function(f"0000:{bus}:00.0", "020700", "15b3", "101b", "15b3:0007", driver="mlx5_core")
        )
    functions.append(Function("0000:00:00.0", HOST_BRIDGE, "1022", "1480", "1022:1480"))
    return _amd_node(functions, kfd, 8, nodes)


# Links of one MI250X node, by the number of its GCDs: four between those of one package.
_EX235A_LINKS = {
    4: ((0, 1), (2, 3), (4, 5), (6, 7)),
    2: ((0, 6), (2, 4)),
    1: ((0, 2), (1, 3), (1, 5), (3, 7), (4, 6), (5, 7)),
}
_MBS_OF_A_LINK = 50000


def ex235a_mi250x4() -> Node:
    """HPE Cray EX235a: 4 MI250X, which are 8 GPUs that xGMI joins, one EPYC 7A53 with NPS4."""
    slots = ("c1", "c6", "c9", "ce", "d1", "d6", "d9", "de")
    numa = (3, 3, 1, 1, 0, 0, 2, 2)
    addresses = [f"0000:{bus}:00.0" for bus in slots]
    links: dict[int, list[XgmiLink]] = {index: [] for index in range(8)}
    for count, pairs in _EX235A_LINKS.items():
        for pair in pairs:
            for here, there in (pair, pair[::-1]):
                link = XgmiLink(addresses[there], bandwidth_mbs=count * _MBS_OF_A_LINK)
                links[here].append(link)
    functions, kfd = [], []
    nodes = ["/dev/kfd"]
    for index, (address, numa_node) in enumerate(zip(addresses, numa)):
        unique_id = 0x7A2C3D0041850000 + index * 0x1111
        memory = 68702699520
        minors = (f"card{index}", f"renderD{128 + index}")
        card = Function(address, DISPLAY, AMD, "7408", "1002:0b0c", "01", "amdgpu", drm=minors)
        files = {"mem_info_vram_total": str(memory), "unique_id": f"{unique_id:016x}"}
        cpus = _epyc_cpus(numa_node, 16, 64)
        functions.append(replace(card, numa_node=numa_node, cpus=cpus, files=files))
        gpu = KfdGpu(address, "7408", 90010, unique_id, 128 + index, memory, 440)
        kfd.append(replace(gpu, links=links[index]))
        nodes += [f"/dev/dri/{minor}" for minor in minors]
    return _amd_node(functions, kfd, 4, nodes)


def _amd_node(
    functions: Sequence[Function], kfd: Sequence[KfdGpu], cpu_nodes: int, nodes: Sequence[str]
) -> Node:
    return Node(
        functions=functions,
        kfd=kfd,
        cpu_nodes=cpu_nodes,
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
        bus_number, rest = divmod(index, 64)
        slot, number = divmod(rest, 8)
        address = f"0000:{0xE8 + bus_number:02x}:{slot:02x}.{number}"
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
    "ex235a-mi250x4": ex235a_mi250x4,
    "perlmutter-a100x4": perlmutter_a100x4,
    "mixed-broken": mixed_broken,
    "pci400": pci400,
    "empty": empty,
}
