"""hwloc's topology as XML (`lstopo --of xml`, version 1 and 2).

PCI devices, and below them what CUDA, NVML, ROCm SMI, OpenCL and Level Zero call them: these names
give the orders in which payloads count GPUs. Sizes are KiB, in version 3 with the unit.

Example:
    parse(xml).sightings[0].facts["orders"]   # {"cuda": 0}
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_xml
from gpuctl.discovery.reading import Function, Reading, Sighting
from gpuctl.discovery.sources.functions import add_functions

__all__ = ["is_hwloc", "parse"]

SOURCE = "hwloc"
_TYPE = re.compile(
    r"([0-9a-f]{4}) \[([0-9a-f]{4}):([0-9a-f]{4})\]"
    r"(?: \[([0-9a-f]{4}):([0-9a-f]{4})\])?(?: ([0-9a-f]{2}))?"
)
_ORDERS = {"cuda": "cuda", "rsmi": "rsmi", "ze": "level_zero", "nvml": "nvml"}
_MEMORY = ("RSMIVRAMSize", "CUDAGlobalMemorySize", "OpenCLGlobalMemorySize", "LevelZeroHBMSize")

Device = tuple[dict[str, str], list[tuple[str, dict[str, str]]]]  # attributes and OS devices


def is_hwloc(text: str) -> bool:
    return "<topology" in text[:4000] and "<object" in text[:100_000]


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    root = load_xml(text)
    if isinstance(root, str):
        reading.trouble("malformed", root)
        devices = list(_from_tags(text))
    else:
        devices = list(_from_tree(root))
    functions: dict[str, Function] = {}
    below: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for attributes, osdevs in devices:
        function = _function(attributes)
        if function is None:
            reading.trouble("malformed", f"a PCI device that cannot be told: {attributes}"[:200])
        elif functions.setdefault(function.pci_address, function) is function:
            below[function.pci_address] = osdevs
    add_functions(reading, list(functions.values()))
    for sighting in reading.sightings:
        _take_osdevs(sighting, below.get(sighting.pci_address or "", []))
    return reading


def _from_tree(root: ElementTree.Element) -> Iterator[Device]:
    for node in root.iter("object"):
        if node.get("type") == "PCIDev":
            osdevs = [
                (child.get("name", ""), {i.get("name", ""): i.get("value", "") for i in child})
                for child in node.iter("object")
                if child.get("type") == "OSDev"
            ]
            yield dict(node.attrib), osdevs


def _from_tags(text: str) -> Iterator[Device]:
    """A broken document, tag by tag: an OS device belongs to the PCI device before it."""
    current: Device | None = None
    for tag in re.finditer(r"<(object|info)((?:\s+\w+=\"[^\"<>]*\")*)\s*/?>", text):
        attributes = dict(re.findall(r"(\w+)=\"([^\"]*)\"", tag.group(2)))
        if attributes.get("type") == "PCIDev":
            if current:
                yield current
            current = (attributes, [])
        elif attributes.get("type") == "OSDev" and current:
            current[1].append((attributes.get("name", ""), {}))
        elif tag.group(1) == "info" and current and current[1]:
            current[1][-1][1][attributes.get("name", "")] = attributes.get("value", "")
    if current:
        yield current


def _function(attributes: dict[str, str]) -> Function | None:
    address = values.address(attributes.get("pci_busid"))
    found = _TYPE.match(attributes.get("pci_type", "").lower())
    if address is None or not found:
        return None
    code, vendor, device, subvendor, subdevice, revision = found.groups()
    subsystem = values.subsystem_id(subvendor, subdevice)
    return Function(address, int(code, 16) << 8, vendor, device, subsystem, revision)


def _take_osdevs(sighting: Sighting, osdevs: list[tuple[str, dict[str, str]]]) -> None:
    """A card in partitions has several devices of one kind: then its orders are theirs."""
    names: list[str] = []
    orders: dict[str, list[int]] = {}
    for name, facts in osdevs:
        found = re.fullmatch(r"([a-z]+)(\d{1,4})(?:d\d+|\.\d+)?", name)
        kind = _ORDERS.get(found.group(1)) if found else None
        if found and kind:
            orders.setdefault(kind, []).append(int(found.group(2)))
            sighting.active = True
        model = values.text(facts.get("GPUModel"))
        if model and model not in names:
            names.append(model)
        _take_memory(sighting, facts)
        sighting.uuid = sighting.uuid or values.uuid(facts.get("NVIDIAUUID"))
        sighting.unique_id = sighting.unique_id or values.unique_id(facts.get("AMDUUID"))
    first = {kind: numbers[0] for kind, numbers in orders.items() if len(numbers) == 1}
    seen = [name for name, _ in osdevs if re.match(r"cuda|nvml|rsmi|opencl|ze|gl\d", name)]
    sighting.put(orders=first or None, names=names or None)
    sighting.put(details={"os_devices": sorted(seen)} if seen else None)
    devices = max((len(numbers) for numbers in orders.values()), default=1)
    if devices > 1:
        sighting.put(compute_partitions=devices)


def _take_memory(sighting: Sighting, facts: dict[str, str]) -> None:
    """ROCm SMI's size is the card's; CUDA and OpenCL show less than there is."""
    for key in _MEMORY:
        size = values.size_bytes(facts.get(key), "KiB")
        if size and "memory_total_bytes" not in sighting.facts:
            sighting.put(memory_total_bytes=size, memory_is_nominal=key == "RSMIVRAMSize")
