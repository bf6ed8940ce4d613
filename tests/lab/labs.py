"""Makes nodes: what the fixtures of tests and a person's shell share.

with Lab.ensure() as lab:
    node = lab.make("ns", gpus="epn-mi50x8")
"""

from __future__ import annotations

from pathlib import Path

from lab.gpus import install
from lab.image import Image
from lab.kit import Kit
from lab.namespaces import NamespaceMachine
from lab.node import Machine, Node
from lab.run import Run
from lab.vfio_user import PciDevice
from lab.vm import MachineSpec, VirtualMachine

TIERS = ("ns", "vm")


class Lab:
    """The image, the kit, and one run's scratch folder."""

    def __init__(self, image: Image, kit: Kit) -> None:
        self.image = image
        self.kit = kit
        self.run = Run()
        self.count = 0

    @classmethod
    def ensure(cls) -> Lab:
        """LabError where something cannot be made."""
        image = Image.ensure()
        return cls(image, Kit.ensure(image))

    def make(
        self,
        tier: str,
        *,
        kernel: str = "6.12",
        devices: tuple[PciDevice, ...] = (),
        gpus: str | Path | None = None,
    ) -> Node:
        """A fresh node. `gpus` is what gpus.install() takes; `kernel` and `devices` need the vm."""
        node = Node(self._machine(tier, kernel, devices))
        try:
            node.machine.start()
            if gpus is not None:
                install(node, gpus)
        except BaseException:
            node.close()
            raise
        return node

    def _machine(self, tier: str, kernel: str, devices: tuple[PciDevice, ...]) -> Machine:
        self.count += 1
        name = f"node{self.count}"
        if tier == "vm":
            spec = MachineSpec(kernel, devices)
            return VirtualMachine(self.image, spec, self.kit.disk, self.run, name)
        if tier != "ns":
            raise ValueError(f"no tier `{tier}`; there are: {', '.join(TIERS)}")
        if devices or kernel != "6.12":
            raise ValueError("the tier `ns` has this machine's kernel and devices; ask for `vm`")
        return NamespaceMachine(self.image, self.kit.folder, self.run, name)

    def close(self) -> None:
        self.run.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
