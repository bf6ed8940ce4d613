"""lspci(8), in all the forms that people record.

With numbers (-n, -nn), with names only, one line a device, verbose (-v, -vv, -vvv, also with the
configuration space in hexadecimal: -x to -xxxx), quoted (-mm) and tagged (-vmm; pciutils 2 tags the
slot `Device:`), with the domain (-D) or without. Names stand for numbers where there are none.

Example:
    parse("01:00.0 3D controller: NVIDIA Corporation Device 2330 (rev a1)\\n").sightings
"""

from __future__ import annotations

import re

from gpuctl.discovery import values
from gpuctl.discovery.reading import Function, Reading
from gpuctl.discovery.sources.functions import (
    UNKNOWN_CLASS,
    add_functions,
    class_of_name,
    device_of_name,
    vendor_of_name,
)

__all__ = ["is_lspci", "parse"]

SOURCE = "lspci"
_ADDRESS = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"
_HEAD = re.compile(rf"({_ADDRESS})\s+(\S.*)$")
_QUOTED = re.compile(rf'({_ADDRESS})\s+"([^"]*)"\s+"([^"]*)"\s+"([^"]*)"(.*)$')
_TAG = re.compile(r"([A-Za-z]+):\s+(.*)$")
_NUMBERS = re.compile(r"\s*\[([0-9a-fA-F]{4})\]$")
_PAIR = re.compile(r"\[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]")
_MAX_LINE = 4096


def is_lspci(text: str) -> bool:
    sample = [line for line in text[:200_000].split("\n") if line.strip()][:50]
    return any(
        _is_head(line) or re.match(rf"(?:Slot|Device):\s+{_ADDRESS}$", line) for line in sample
    )


def _is_head(line: str) -> bool:
    found = _HEAD.match(line[:_MAX_LINE])
    return bool(found) and (":" in found.group(2) or found.group(2).startswith('"'))  # type: ignore


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    lines = [line[:_MAX_LINE].rstrip() for line in text.split("\n")]
    tagged = any(re.match(rf"(?:Slot|Device):\s+{_ADDRESS}$", line) for line in lines)
    functions = _tagged(reading, lines) if tagged else _listed(reading, lines)
    for each in functions:
        _check_class(reading, each)
    unique: dict[str, Function] = {}
    for each in functions:
        if unique.setdefault(each.pci_address, each) is not each:
            reading.trouble("conflict", f"listed twice: `{each.pci_address}`", each.pci_address)
    if not unique:
        reading.trouble("malformed", "no PCI device in the output of lspci")
    add_functions(reading, list(unique.values()))
    return reading


def _tagged(reading: Reading, lines: list[str]) -> list[Function]:
    """-vmm: records of `Tag:<TAB>value`, apart by an empty line."""
    records: list[dict[str, str]] = [{}]
    for line in lines:
        found = _TAG.match(line)
        if not found:
            if not line.strip():
                records.append({})
            continue
        tag, value = found.groups()
        if values.address(value) and tag in ("Slot", "Device"):
            if "Slot" in records[-1]:
                records.append({})
            records[-1]["Slot"] = value
        elif tag != "Slot":
            records[-1][tag] = value
        else:
            reading.trouble("malformed", f"`{value[:40]}` is no slot")
    told = any("Driver" in each for each in records)
    return [_of_tags(each, told) for each in records if "Slot" in each]


def _of_tags(record: dict[str, str], driver_told: bool) -> Function:
    function = _function(
        record["Slot"], record.get("Class", ""), record.get("Vendor", ""), record.get("Device", "")
    )
    subvendor, subdevice = (_number(record.get(tag, "")) for tag in ("SVendor", "SDevice"))
    function.subsystem_id = values.subsystem_id(subvendor, subdevice)
    function.revision = values.hex_id(record.get("Rev"), 2)
    function.driver = values.text(record.get("Driver"))
    function.driver_told = driver_told
    function.numa_node = values.whole(record.get("NUMANode"))
    return function


def _check_class(reading: Reading, function: Function) -> None:
    """A class that is no words of lspci: what it is of a GPU vendor's cannot be told."""
    told = " ".join([*function.names, function.vendor_id or ""])
    ours = re.search(r"nvidia|10de|1002|amd/ati", told, re.IGNORECASE)
    if function.class_code == UNKNOWN_CLASS and ours:
        words = "its class is not known, so whether it is a GPU cannot be told"
        reading.trouble("malformed", words, function.pci_address)


_OTHER_LINES = re.compile(r"\s|[0-9a-f]{2,3}: |pcilib:|lspci:")


def _listed(reading: Reading, lines: list[str]) -> list[Function]:
    """One line a device, or a block of indented lines below it."""
    functions: list[Function] = []
    blocks: list[list[str]] = []
    for line in lines:
        made = _of_quoted(line) or (_of_head(line) if _is_head(line) else None)
        if made:
            functions.append(made)
            blocks.append([])
        elif line and not _OTHER_LINES.match(line):
            reading.trouble("malformed", f"a line is no device: `{line[:60]}`")
        elif blocks:
            blocks[-1].append(line)
    told = any("\tKernel driver in use:" in line for block in blocks for line in block)
    virtual: dict[str, str] = {}
    for function, block in zip(functions, blocks):
        function.driver_told = told
        _read_block(function, block)
        virtual.update(dict.fromkeys(_virtual_functions(function, block), function.pci_address))
    for function in functions:
        function.physical_function = virtual.get(function.pci_address)
    return functions


def _of_quoted(line: str) -> Function | None:
    found = _QUOTED.match(line)
    if not found:
        return None
    slot, class_words, vendor, device, rest = found.groups()
    function = _function(slot, class_words, vendor, device)
    revision = re.search(r"(?:^|\s)-r([0-9a-fA-F]{2})\b", rest)
    function.revision = revision.group(1).lower() if revision else None
    quoted = re.findall(r'"([^"]*)"', rest)
    if len(quoted) >= 2:
        function.subsystem_id = values.subsystem_id(_number(quoted[0]), _number(quoted[1]))
    return function


def _of_head(line: str) -> Function:
    slot, rest = _HEAD.match(line).groups()  # type: ignore[union-attr]
    class_words, _, device = rest.partition(":")
    device = re.sub(r"\s*\(prog-if [^)]*\)$", "", device.strip())
    revision = re.search(r"\(rev ([0-9a-fA-F]{2})\)", device)
    device = re.sub(r"\s*\((?:rev|prog-if) [^)]*\)", "", device).strip()
    bare = re.fullmatch(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})", device)
    if bare:  # -n
        number = re.sub(r"^Class ", "", class_words.strip())
        function = _function(slot, f"[{number}]", f"[{bare.group(1)}]", f"[{bare.group(2)}]")
    else:
        function = _of_words(slot, class_words, device)
    function.revision = revision.group(1).lower() if revision else None
    return function


def _of_words(slot: str, class_words: str, device: str) -> Function:
    pairs = list(_PAIR.finditer(device))
    if not pairs:
        vendor_id = vendor_of_name(device)
        return _function(slot, class_words, device, _without_vendor(device, vendor_id))
    last = pairs[-1]
    words = device[: last.start()].strip()
    name = _without_vendor(words, last.group(1).lower())
    return _function(slot, class_words, f"[{last.group(1)}]", f"{name} [{last.group(2)}]")


_VENDOR_WORDS = re.compile(
    r"(?:nvidia corporation|advanced micro devices, inc\. \[amd/ati\]|ati technologies,? inc\.?"
    r"|advanced micro devices \[amd\] nee ati|advanced micro devices,? inc\.?"
    r"|intel corporation)\s*",
    re.IGNORECASE,
)


def _without_vendor(words: str, vendor_id: str | None) -> str:
    """The device's part of "VENDOR DEVICE"; the vendor's names are those that matter here."""
    found = _VENDOR_WORDS.match(words) if vendor_id in ("10de", "1002", "8086") else None
    return words[found.end() :].strip() if found else words.strip()


def _number(words: str) -> str | None:
    found = _NUMBERS.search(words) or re.search(r"device ([0-9a-fA-F]{4})$", words, re.IGNORECASE)
    return found.group(1).lower() if found else None


def _function(slot: str, class_words: str, vendor: str, device: str) -> Function:
    """From the words of each part, with their numbers in brackets where there are any."""
    class_number, vendor_number = (_NUMBERS.search(words) for words in (class_words, vendor))
    device_number = _NUMBERS.search(device)
    vendor_id = vendor_number.group(1).lower() if vendor_number else vendor_of_name(vendor)
    name = _NUMBERS.sub("", device).strip()
    code = int(class_number.group(1), 16) << 8 if class_number else class_of_name(class_words)
    id_text = device_number.group(1).lower() if device_number else device_of_name(vendor_id, name)
    function = Function(values.address(slot) or slot, code, vendor_id, id_text)
    if name and not re.match(r"(?:unknown )?device\b", name, re.IGNORECASE):
        function.names.append(name)
    return function


def _read_block(function: Function, block: list[str]) -> None:
    for line in block:
        key, _, rest = line.strip().partition(":")
        if line.startswith("\tSubsystem:"):
            pair = _PAIR.search(rest)
            if pair:
                function.subsystem_id = values.subsystem_id(*(p.lower() for p in pair.groups()))
        elif line.startswith("\tKernel driver in use:"):
            function.driver = values.text(rest)
        elif line.startswith("\tNUMA node:"):
            function.numa_node = values.whole(rest.strip())
        elif key in ("00", "20") and re.fullmatch(r"(?: [0-9a-fA-F]{2}){16}", rest):
            _read_dump(function, int(key, 16), [int(each, 16) for each in rest.split()])


def _read_dump(function: Function, offset: int, row: list[int]) -> None:
    """The configuration space: numbers go before names."""
    if offset == 0 and row[:4] == [0xFF] * 4:
        function.revision = "ff"
    elif offset == 0:
        function.vendor_id = f"{row[0] | row[1] << 8:04x}"
        function.device_id = f"{row[2] | row[3] << 8:04x}"
        function.class_code = row[9] | row[10] << 8 | row[11] << 16
        function.revision = f"{row[8]:02x}"
    elif (function.class_code or 0) >> 16 != 0x06 and row[12:] != [0xFF] * 4:
        vendor, device = (f"{row[at] | row[at + 1] << 8:04x}" for at in (12, 14))
        function.subsystem_id = values.subsystem_id(vendor, device)


def _virtual_functions(function: Function, block: list[str]) -> list[str]:
    """The addresses that the SR-IOV capability of a physical function names."""
    text = "\n".join(block)
    count = re.search(r"Number of VFs: (\d{1,5})", text)
    place = re.search(r"VF offset: (\d{1,5}), stride: (\d{1,5})", text)
    if not count or not place or values.address(function.pci_address) is None:
        return []
    domain, bus, rest = function.pci_address.split(":")
    device, number = rest.split(".")
    first = (int(bus, 16) << 8 | int(device, 16) << 3 | int(number)) + int(place.group(1))
    stride = int(place.group(2))
    ids = (first + stride * at for at in range(min(int(count.group(1)), 65535)))
    return [
        f"{domain}:{each >> 8:02x}:{each >> 3 & 31:02x}.{each & 7}" for each in ids if each < 65536
    ]
