"""PCI functions as tools list them: which are GPUs, which are virtual functions, what they are.

The rules are the core's (cpp/gpu/classify.cpp); here is only what a list in text lacks. Names stand
for ids where a tool printed no numbers. A text has no `physfn` links, so virtual functions are told
by the physical function's own words (VF offset and stride), else by their place: on a bus other
than 00, functions beyond 0 with the identity of function 0 can only come from SR-IOV.
"""

from __future__ import annotations

import re

from gpuctl import _core
from gpuctl.discovery.reading import Function, Reading, Sighting
from gpuctl.discovery.values import slot_of

__all__ = ["VENDORS", "add_functions", "class_of_name", "device_of_name", "vendor_of_name"]

VENDORS = {"10de": "nvidia", "1002": "amd", "8086": "intel"}

# the words of pci.ids for what NVIDIA and AMD make, and for the neighbours of GPUs
_CLASSES = {
    "non-vga unclassified device": 0x0000,
    "vga compatible unclassified device": 0x0001,
    "unclassified device": 0x0000,
    "scsi storage controller": 0x0100,
    "mass storage controller": 0x0180,
    "non-volatile memory controller": 0x0108,
    "serial attached scsi controller": 0x0107,
    "multimedia video controller": 0x0400,
    "multimedia controller": 0x0480,
    "eisa bridge": 0x0602,
    "infiniband to pci host bridge": 0x060A,
    "communication controller": 0x0780,
    "serial controller": 0x0700,
    "modem": 0x0703,
    "system peripheral": 0x0880,
    "pic": 0x0800,
    "iommu": 0x0806,
    "sd host controller": 0x0805,
    "input device controller": 0x0980,
    "firewire (ieee 1394)": 0x0C00,
    "infiniband controller": 0x0207,
    "fabric controller": 0x0208,
    "encryption controller": 0x1080,
    "signal processing controller": 0x1180,
    "performance counters": 0x1101,
    "non-essential instrumentation": 0x1300,
    "processor": 0x0B80,
    "vga compatible controller": 0x0300,
    "xga compatible controller": 0x0301,
    "3d controller": 0x0302,
    "display controller": 0x0380,
    "processing accelerators": 0x1200,
    "co-processor": 0x0B40,
    "host bridge": 0x0600,
    "isa bridge": 0x0601,
    "pci bridge": 0x0604,
    "bridge": 0x0680,
    "audio device": 0x0403,
    "multimedia audio controller": 0x0401,
    "usb controller": 0x0C03,
    "smbus": 0x0C05,
    "serial bus controller": 0x0C80,
    "ethernet controller": 0x0200,
    "network controller": 0x0280,
    "ide interface": 0x0101,
    "raid bus controller": 0x0104,
    "sata controller": 0x0106,
    "ram memory": 0x0500,
    "memory controller": 0x0580,
}
UNKNOWN_CLASS = 0xFF0000

# the start of a vendor's name, lower case
_VENDOR_NAMES = (
    ("nvidia", "10de"),
    ("advanced micro devices, inc. [amd/ati]", "1002"),
    ("advanced micro devices [amd/ati]", "1002"),
    ("advanced micro devices [amd] nee ati", "1002"),
    ("advanced micro devices nee ati", "1002"),
    ("amd/ati", "1002"),
    ("ati technologies", "1002"),
    ("intel", "8086"),
    ("aspeed", "1a03"),
    ("matrox", "102b"),
    ("cirrus logic", "1013"),
    ("vmware", "15ad"),
    ("red hat", "1af4"),
    ("microsoft", "1414"),
    ("silicon motion", "126f"),
    ("huawei", "19e5"),
    ("amazon.com", "1d0f"),
    ("innotek", "80ee"),
    ("xgi", "18ca"),
    ("habana", "1da3"),
)


def class_of_name(words: str) -> int | None:
    """The class, 24 bits, by its English name; UNKNOWN_CLASS for words that are none."""
    name = words.strip().lower()
    return _CLASSES[name] << 8 if name in _CLASSES else UNKNOWN_CLASS if name else None


def vendor_of_name(words: str) -> str | None:
    name = words.strip().lower()
    for start, vendor in _VENDOR_NAMES:
        if name.startswith(start):
            return vendor
    found = re.match(r"(?:unknown )?device ([0-9a-f]{4})\b", name)  # an unknown vendor
    return found.group(1) if found else None


def device_of_name(vendor_id: str | None, words: str) -> str | None:
    """ "Device 2330" says its id; a name says it where the catalogue has it exactly once."""
    found = re.match(r"(?:unknown )?device \[?([0-9a-f]{4})\b", words.strip(), re.IGNORECASE)
    if found:
        return found.group(1).lower()
    if vendor_id not in VENDORS:
        return None
    ids = _core.catalogue_ids(int(vendor_id, 16), words.strip())
    return f"{ids[0]:04x}" if len(ids) == 1 else None


def add_functions(reading: Reading, functions: list[Function]) -> None:
    """Adds a sighting for each GPU, and keeps all of them for the list of what was left out."""
    known = [each for each in functions if each.class_code is not None]
    _mark_virtual(known)
    for function, (role, _, _) in zip(known, classified(known)):
        if role == "gpu":
            reading.add(_sighting(function))
    reading.functions.extend(known)


def classified(functions: list[Function]) -> list[tuple[str, str, str]]:
    rows = [
        (
            each.pci_address,
            each.class_code or 0,
            int(each.vendor_id or "0", 16),
            int(each.device_id or "0", 16),
            each.driver or "",
        )
        for each in functions
    ]
    return _core.classify_functions(rows)


def _sighting(function: Function) -> Sighting:
    sighting = Sighting(
        pci_address=function.pci_address,
        vendor=VENDORS.get(function.vendor_id or ""),
        kind="vf" if function.physical_function else "gpu",
    )
    sighting.put(
        vendor_id=function.vendor_id,
        device_id=function.device_id,
        class_id=f"{(function.class_code or 0) >> 8:04x}",
        subsystem_id=function.subsystem_id,
        revision=function.revision,
        driver=function.driver,
        numa_node=function.numa_node,
        parent_id=function.physical_function,
        names=function.names or None,
    )
    if function.driver is None and function.driver_told:
        sighting.find("driver", "none")
    if function.revision == "ff":
        sighting.find("pci.revision", "ff")
    return sighting


def _mark_virtual(functions: list[Function]) -> None:
    """By place: the functions that share a bus and an identity with its function 0."""
    buses: dict[str, list[Function]] = {}
    for each in functions:
        buses.setdefault(each.pci_address.rsplit(":", 1)[0], []).append(each)
    for bus, members in buses.items():
        if bus.endswith(":00") and bus.startswith("0000"):
            continue  # the root bus of a machine, virtual ones too: devices of their own
        first = next((each for each in members if each.pci_address == f"{bus}:00.0"), None)
        same = [each for each in members if first and _is_same(each, first)]
        if first and any(slot_of(each.pci_address) == f"{bus}:00" for each in same):
            for each in same:
                each.physical_function = each.physical_function or first.pci_address


def _is_same(function: Function, first: Function) -> bool:
    if function is first or (function.class_code, function.vendor_id) != (
        first.class_code,
        first.vendor_id,
    ):
        return False
    if function.device_id and first.device_id and function.device_id == first.device_id:
        return True
    names = [re.sub(r" VF\b", "", name) for name in function.names]
    return bool(names) and names == first.names
