"""udev's database (`udevadm info --export-db`), or the same properties from pyudev.

A record is what the kernel's `uevent` says of a device: numbers, and the driver where one is bound.

Example:
    parse("P: /devices/…\\nE: SUBSYSTEM=pci\\nE: PCI_ID=10DE:20B0\\n…").sightings
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from gpuctl.discovery import values
from gpuctl.discovery.reading import Function, Reading
from gpuctl.discovery.sources.functions import add_functions

__all__ = ["function_of", "is_udev", "parse", "read_properties"]

SOURCE = "udev"


def is_udev(text: str) -> bool:
    return bool(
        re.search(r"^P: /", text, re.MULTILINE) and re.search(r"^E: \w+=", text, re.MULTILINE)
    )


def parse(text: str) -> Reading:
    records: list[dict[str, str]] = []
    for line in text.split("\n"):
        if line.startswith("P: "):
            records.append({"P": line[3:4096].strip()})
        elif line.startswith("E: ") and records:
            name, _, value = line[3:4096].partition("=")
            records[-1].setdefault(name.strip(), value.strip())
    reading = read_properties(records)
    if not records:
        reading.trouble("malformed", "no device in the output of udevadm")
    return reading


def read_properties(records: Iterable[Mapping[str, str]]) -> Reading:
    reading = Reading(SOURCE)
    functions: dict[str, Function] = {}
    for record in records:
        if "SUBSYSTEM" not in record and values.address(_slot(record)):
            words = f"a record of a PCI device is not whole: `{_slot(record)}`"
            reading.trouble("malformed", words, values.address(_slot(record)))
        if record.get("SUBSYSTEM") != "pci":
            continue
        function = function_of(record)
        if function is not None:
            functions.setdefault(function.pci_address, function)
        else:
            reading.trouble("malformed", _complaint(record), values.address(_slot(record)))
    add_functions(reading, list(functions.values()))
    return reading


def _slot(record: Mapping[str, str]) -> str:
    path = record.get("DEVPATH") or record.get("P", "")
    return record.get("PCI_SLOT_NAME") or path.rsplit("/", 1)[-1]


def _complaint(record: Mapping[str, str]) -> str:
    return f"a PCI record without address or class: `{_slot(record)[:80]}`"


def function_of(record: Mapping[str, str]) -> Function | None:
    """None where the record lacks its address or its class."""
    address = values.address(_slot(record))
    code = record.get("PCI_CLASS", "")
    pair = record.get("PCI_ID", "").lower().split(":")
    alias = re.match(
        r"pci:v0000([0-9A-Fa-f]{4})d0000([0-9A-Fa-f]{4})sv\w{8}sd\w{8}bc(\w\w)sc(\w\w)i(\w\w)$",
        record.get("MODALIAS", ""),
    )
    if len(pair) != 2 and alias:
        pair = [alias.group(1).lower(), alias.group(2).lower()]
    if not re.fullmatch(r"[0-9a-fA-F]{1,6}", code) and alias:
        code = "".join(alias.groups()[2:])
    if address is None or not re.fullmatch(r"[0-9a-fA-F]{1,6}", code):
        return None
    vendor, device = (values.hex_id(each) for each in (pair if len(pair) == 2 else ("", "")))
    sub = [*record.get("PCI_SUBSYS_ID", "").split(":"), "", ""][:2]
    model = values.text(record.get("ID_MODEL_FROM_DATABASE"))
    return Function(
        address,
        int(code, 16),
        vendor,
        device,
        values.subsystem_id(*(values.hex_id(each) for each in sub)),
        driver=values.text(record.get("DRIVER")),
        driver_told=True,
        names=[model] if model else [],
    )
