"""Recorded nodes as roots: unpack a sysfs recording, or compose one from what another tool saw.

    root = recorded_root(recordings / "udev-dgx-a100", tmp_path)

Recordings belong to third parties and are read from `GPUCTL_RECORDINGS`, never from here.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from nodes.compose import Function, Node, compose


def recorded_root(case: Path, directory: Path) -> Path:
    """The root for a case of kind sysfs, procfs, kfd, udev or hwloc."""
    kind = case.name.split("-", 1)[0]
    if kind in ("sysfs", "procfs"):
        return _unpack(case / "sys.tar.gz", directory)
    if kind == "kfd":
        _unpack(case / "topology.tar.gz", directory / "sys/class/kfd/kfd/topology")
        return directory
    if kind == "udev":
        return compose(
            Node(functions=functions_of_udev(_text_of(case, "udevadm-export-db.txt"))), directory
        )
    if kind == "hwloc":
        return compose(
            Node(functions=functions_of_hwloc(_text_of(case, "topology.xml"))), directory
        )
    raise ValueError(f"`{case.name}`: not a recording that has PCI functions")


def _unpack(archive: Path, directory: Path) -> Path:
    """Plain members of our own test data; Python 3.9 has no extraction filters."""
    directory.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = Path(member.name)
            if name.is_absolute() or ".." in name.parts:
                raise ValueError(f"`{archive}`: `{member.name}` leaves the archive")
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extractall(directory, filter="fully_trusted")
        else:
            tar.extractall(directory)
    return directory


def _text_of(case: Path, name: str) -> str:
    plain = case / name
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    with gzip.open(case / f"{name}.gz", "rt", encoding="utf-8") as text:
        return text.read()


def functions_of_udev(text: str) -> list[Function]:
    """The PCI records of `udevadm info --export-db`: their properties are those of `uevent`."""
    functions = []
    for record in text.split("\n\n"):
        fields = dict(re.findall(r"^E: ([A-Z_]+)=(.*)$", record, re.MULTILINE))
        if fields.get("SUBSYSTEM") != "pci" or "PCI_ID" not in fields:
            continue
        vendor, device = fields["PCI_ID"].lower().split(":")
        functions.append(
            Function(
                address=fields["PCI_SLOT_NAME"],
                class_id=fields["PCI_CLASS"].zfill(6),
                vendor=vendor,
                device=device,
                subsystem=fields.get("PCI_SUBSYS_ID", "0000:0000").lower(),
                driver=fields.get("DRIVER"),
            )
        )
    return functions


def functions_of_hwloc(text: str) -> list[Function]:
    """The PCI objects of an hwloc XML: pci_type="0380 [1002:66a1] [1002:0834] 02".

    One recording was edited by hand and has an address twice: the first one is the machine's.
    """
    functions: dict[str, Function] = {}
    for element in ElementTree.fromstring(text).iter("object"):
        if element.get("type") != "PCIDev":
            continue
        function = _function_of_pci_type(element.get("pci_busid", ""), element.get("pci_type", ""))
        if function is not None:
            functions.setdefault(function.address, function)
    return list(functions.values())


def _function_of_pci_type(address: str, pci_type: str) -> Function | None:
    found = re.match(r"(\w{4}) \[(\w{4}):(\w{4})\] \[(\w{4}:\w{4})\] (\w{2})", pci_type)
    if not found:
        return None
    code, vendor, device, subsystem, revision = found.groups()
    return Function(address, f"{code}00", vendor, device, subsystem, revision)
