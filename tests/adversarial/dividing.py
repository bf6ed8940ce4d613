"""A node of which four GPUs are whole at one moment and divided at the next, as their mode is
switched: beside eight MI50, which stay what they are, two MI300X with partitions and two A100 with
MIG instances.

node = DividingNode(folder)
node.divide_amd(True)     # their four partitions each, instead of them
node.divide_nvidia(True)
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from nodes.compose import NODES, Function, KfdGpu, Node, NvidiaCard, compose
from nodes.description import ACCELERATOR, AMD, NVIDIA, THREE_D
from nodes.stand_ins import put_mig

AMD_SLOTS = ("0000:f3:00", "0000:f5:00")
PARTS = 4
NVIDIA_SLOTS = ("0000:f7:00", "0000:f9:00")
INSTANCES = ((1, 0), (2, 0), (2, 1))  # of each A100: GPU instance, compute instance
_MEMORY = 206141652992
_TOPOLOGY = "sys/class/kfd/kfd/topology"
_CAPABILITIES = "proc/driver/nvidia/capabilities"


def unique_id(card: int, part: int | None = None) -> int:
    return 0x6B1C000000000000 + (card << 8) + (0 if part is None else part + 1)


def uuid(card: int) -> str:
    return f"GPU-d1f1de00-1f6b-4a2d-9c3e-{card:012x}"


def _card(slot: str, number: int) -> Function:
    minors = (f"card{20 + number}", f"renderD{160 + 10 * number}")
    files = {"mem_info_vram_total": str(_MEMORY), "unique_id": f"{unique_id(number):016x}"}
    card = Function(f"{slot}.0", ACCELERATOR, AMD, "74a1", "1002:74a1", "00", "amdgpu", drm=minors)
    return replace(card, numa_node=number, files=files)


def _amd(divided: bool) -> Node:
    node = NODES["epn-mi50x8"]()
    kfd, nodes = list(node.kfd), list(node.device_nodes)
    for number, slot in enumerate(AMD_SLOTS):
        minor = 160 + 10 * number
        nodes += [f"/dev/dri/renderD{minor + each}" for each in range(PARTS + 1)]
        if not divided:
            whole = KfdGpu(f"{slot}.0", "74a1", 90402, unique_id(number), minor, _MEMORY, 1216)
            kfd.append(whole)
            continue
        for part in range(PARTS):
            address, id_of_part = f"{slot}.{part}", unique_id(number, part)
            gpu = KfdGpu(address, "74a1", 90402, id_of_part, minor + 1 + part, _MEMORY // PARTS)
            kfd.append(replace(gpu, simd_count=1216 // PARTS))
    cards = [_card(slot, number) for number, slot in enumerate(AMD_SLOTS)]
    nodes += [f"/dev/dri/card{20 + number}" for number in range(len(AMD_SLOTS))]
    return replace(node, functions=[*node.functions, *cards], kfd=kfd, device_nodes=nodes)


def _capabilities() -> dict[tuple[int, int, int], tuple[int, int]]:
    """The minors of each instance's two nodes: compute instances of one GPU instance share one."""
    minors = {}
    for card in range(len(NVIDIA_SLOTS)):
        for gpu, compute in INSTANCES:
            minor = 100 * (card + 1) + 10 * gpu
            minors[card, gpu, compute] = (minor, minor + 1 + compute)
    return minors


def _described(divided: bool) -> Node:
    node = _amd(divided)
    functions, cards, nodes = list(node.functions), [], list(node.device_nodes)
    nodes += ["/dev/nvidiactl", "/dev/nvidia-uvm"]
    for number, slot in enumerate(NVIDIA_SLOTS):
        card = Function(f"{slot}.0", THREE_D, NVIDIA, "20b0", "10de:144e", "a1", "nvidia")
        functions.append(replace(card, numa_node=number))
        cards.append(NvidiaCard(f"{slot}.0", "NVIDIA A100-SXM4-40GB", uuid(number), number))
        nodes.append(f"/dev/nvidia{number}")
    minors = {minor for both in _capabilities().values() for minor in both}
    nodes += [f"/dev/nvidia-caps/nvidia-cap{minor}" for minor in sorted(minors)]
    return replace(node, functions=functions, nvidia=cards, device_nodes=nodes)


class DividingNode:
    """`root` is for `--root`. What the kernel tells of each vendor's division is switched by one
    rename(2); the generation of KFD's topology is another one each time, as the kernel has it.
    """

    def __init__(self, folder: Path) -> None:
        self.root = compose(_described(divided=False), folder / "node")
        other = compose(_described(divided=True), folder / "divided", device_nodes=False)
        (self.root / _CAPABILITIES).mkdir()
        put_mig(other, _capabilities())
        for tree, divided in ((self.root, False), (other, True)):
            for path in (_TOPOLOGY, _CAPABILITIES):
                (tree / path).rename(self._place(path, divided))
        self._generation = 0
        self.divide_amd(False)
        self.divide_nvidia(False)

    def divide_amd(self, divided: bool) -> None:
        self._generation += 1
        generation = self._place(_TOPOLOGY, divided) / "generation_id"
        generation.write_text(f"{self._generation}\n", "utf-8")
        self._switch(_TOPOLOGY, divided)

    def divide_nvidia(self, divided: bool) -> None:
        self._switch(_CAPABILITIES, divided)

    def _place(self, path: str, divided: bool) -> Path:
        return self.root / f"{Path(path).name}-{'divided' if divided else 'whole'}"

    def _switch(self, path: str, divided: bool) -> None:
        link, new = self.root / path, self.root / "new"
        new.symlink_to(os.path.relpath(self._place(path, divided), link.parent))
        new.rename(link)

    def names(self) -> dict[str, str | None]:
        """As masks name the GPUs and their parts; of a part, the GPU that it is a part of."""
        names: dict[str, str | None] = {}
        for whole in _described(divided=False).kfd:
            names[f"GPU-{whole.unique_id:016x}"] = None
        for card in range(len(AMD_SLOTS)):
            for part in range(PARTS):
                names[f"GPU-{unique_id(card, part):016x}"] = f"GPU-{unique_id(card):016x}"
        for card in range(len(NVIDIA_SLOTS)):
            names[uuid(card)] = None
            for gpu, compute in INSTANCES:
                names[f"MIG-{uuid(card)}/{gpu}/{compute}"] = uuid(card)
        return names
