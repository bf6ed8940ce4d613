"""A node of which two GPUs are whole at one moment and divided at the next, as their partition mode
is switched: eight MI50 that stay what they are, and two MI300X.

node = DividingNode(folder)
node.divide(True)     # their four partitions each, instead of them
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nodes.compose import NODES, Function, KfdGpu, Node, compose
from nodes.description import ACCELERATOR, AMD

SLOTS = ("0000:f3:00", "0000:f5:00")
PARTS = 4
_MEMORY = 206141652992
_TOPOLOGY = "sys/class/kfd/kfd/topology"


def unique_id(card: int, part: int | None = None) -> int:
    return 0x6B1C000000000000 + (card << 8) + (0 if part is None else part + 1)


def _card(slot: str, number: int) -> Function:
    minors = (f"card{20 + number}", f"renderD{160 + 10 * number}")
    files = {"mem_info_vram_total": str(_MEMORY), "unique_id": f"{unique_id(number):016x}"}
    card = Function(f"{slot}.0", ACCELERATOR, AMD, "74a1", "1002:74a1", "00", "amdgpu", drm=minors)
    return replace(card, numa_node=number, files=files)


def _described(divided: bool) -> Node:
    node = NODES["epn-mi50x8"]()
    kfd, nodes = list(node.kfd), list(node.device_nodes)
    for number, slot in enumerate(SLOTS):
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
    cards = [_card(slot, number) for number, slot in enumerate(SLOTS)]
    nodes += [f"/dev/dri/card{20 + number}" for number in range(len(SLOTS))]
    return replace(node, functions=[*node.functions, *cards], kfd=kfd, device_nodes=nodes)


class DividingNode:
    """`root` is for `--root`. KFD's topology is switched by one rename(2), and its generation is
    another one each time, as the kernel has it.
    """

    def __init__(self, folder: Path) -> None:
        self.root = compose(_described(divided=False), folder / "node")
        other = compose(_described(divided=True), folder / "divided", device_nodes=False)
        self._generation = 0
        self._places = {False: self.root / "whole", True: self.root / "parts"}
        (self.root / _TOPOLOGY).rename(self._places[False])
        (other / _TOPOLOGY).rename(self._places[True])
        self.divide(False)

    def divide(self, divided: bool) -> None:
        place = self._places[divided]
        self._generation += 1
        (place / "generation_id").write_text(f"{self._generation}\n", "utf-8")
        new = self.root / "new-topology"
        new.symlink_to(Path("../../../..") / place.name)
        new.rename(self.root / _TOPOLOGY)

    def wholes(self) -> dict[str, str]:
        """By the unique id of each part, that of the GPU that it is a part of."""
        return {
            f"{unique_id(card, part):016x}": f"{unique_id(card):016x}"
            for card in range(len(SLOTS))
            for part in range(PARTS)
        }
