#!/usr/bin/env python3
"""Write `cpp/gpu/catalogue_data.inc`: the names of GPUs that are compiled into gpuctl.

    tools/make_catalogue.py [--pci-ids FILE] [--output FILE] [--check]

The source is the distribution's pci.ids (Debian: package `pci.ids`). It knows no device classes,
so the choice is made by name:

* 10de (NVIDIA) and 1002 (AMD): everything but what the name says is something else (audio, USB,
  bridges, chipset parts). A name too many does no harm, because the PCI class decides first what
  is a GPU. NVSwitch names are kept: they tell a switch from a bridge.
* 8086 (Intel): most of its ids are chipset parts, so only names that say graphics are kept.

SUPPLEMENT holds ids that are newer than the file, each with the place where it was seen. It
never overrides the file. `--check` writes nothing and fails when the output would change.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

VENDORS = {"10de": "kNvidiaNames", "1002": "kAmdNames", "8086": "kIntelNames"}

NOT_GRAPHICS = re.compile(
    r"""\b(?:audio|azalia|hda|ac'?97|modem|codec|hdmi(?:/dp)?\ (?:audio|controller)
        |usb|ucsi|ohci|ehci|firewire|ethernet|network|lan|nic|bluetooth|mac
        |sata|ata|ahci|ide|raid|storage|flash|mci
        |bridge|host|port|pci-e|pcie|pci\ express|endpoint|root\ complex|northbridge|ht\ link
        |memory\ controller|smbus|smu|lpc|isa|pmu|acpi|system\ management|power\ management
        |iommu|i/o\ memory|coprocessor|co-processor|cryptographic|dummy
        |switch|tuner|tv\ wonder|theater|xilleon|xenos\ \w+\ die|absent)\b""",
    re.IGNORECASE | re.VERBOSE,
)
BRACKETED = re.compile(r"\[[^]]*\]")  # the model: "Tesla P100 PCIe 16GB" is no PCIe bridge
NVSWITCH = re.compile(r"\bNVSwitch\b")
INTEL_GRAPHICS = re.compile(
    r"\b(?:graphics|arc|iris|DG[12]|SG1|ATS-M|ponte vecchio|battlemage|data center GPU"
    r"|video display|integrated display)\b",
    re.IGNORECASE,
)
INTEL_NOT_GRAPHICS = re.compile(
    r"\b(?:audio|root port|memory controller hub|memory hub|host bridge|dram|port|PEG\w*)\b",
    re.IGNORECASE,
)


class Extra(NamedTuple):
    """One id that the distribution's file does not have yet."""

    vendor: str
    device: str
    name: str
    source: str


AMDGPU_IDS = "libdrm data/amdgpu.ids"

SUPPLEMENT = (
    Extra("10de", "2330", "GH100 [H100 SXM5 80GB]", "pci.ids 2025.06.09"),
    Extra("10de", "2335", "GH100 [H200 SXM 141GB]", "pci.ids 2025.06.09"),
    Extra("10de", "233b", "GH100 [H200 NVL]", "pci.ids 2025.06.09"),
    Extra("10de", "2901", "GB100 [B200]", "pci.ids 2025.06.09"),
    Extra("10de", "3182", "GB110 [B300 SXM6 AC]", "pci.ids 2026-09"),
    Extra("10de", "22a3", "GH100 [H100 NVSwitch]", "pci.ids 2025.06.09"),
    Extra("1002", "74a0", "Aqua Vanjaram [Instinct MI300A]", "pci.ids 2025.06.09"),
    Extra("1002", "74a1", "Aqua Vanjaram [Instinct MI300X]", "pci.ids 2025.06.09"),
    Extra("1002", "74a5", "Aqua Vanjaram [Instinct MI325X]", "pci.ids 2025.06.09"),
    Extra("1002", "74a8", "Aqua Vanjaram [Instinct MI308X HF]", AMDGPU_IDS),
    Extra("1002", "74b5", "Aqua Vanjaram [Instinct MI300X VF]", "pci.ids 2025.06.09"),
    Extra("1002", "75a0", "[Instinct MI350X]", AMDGPU_IDS),
    Extra("1002", "75a3", "[Instinct MI355X]", AMDGPU_IDS),
    Extra("1002", "75b0", "[Instinct MI350X VF]", AMDGPU_IDS),
    Extra("1002", "75b3", "[Instinct MI355X VF]", AMDGPU_IDS),
)

HEADER = """\
// Written by tools/make_catalogue.py; do not edit.
//
// Names from pci.ids {version} (https://pci-ids.ucw.cz/), maintained by Albert Pool, Martin Mares
// and other volunteers, distributed under the GNU General Public License (version 2 or higher) or
// the 3-clause BSD License: used here under the latter. Sorted by device id for a binary search.
inline constexpr const char* kCatalogueVersion = "{version}";
"""


def parse_devices(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(vendor, device, name) of each device line; subsystems and classes are left out."""
    vendor = ""
    for line in lines:
        if re.match(r"[0-9a-f]{4}  ", line):
            vendor = line[:4]
        elif re.match(r"C [0-9a-f]{2}", line):
            return
        else:
            found = re.match(r"\t([0-9a-f]{4})  (.+)", line)
            if found and vendor:
                yield vendor, found.group(1), found.group(2).strip()


def is_wanted(vendor: str, name: str) -> bool:
    """Whether a device of that name may be a GPU (or an NVSwitch)."""
    if vendor == "8086":
        return bool(INTEL_GRAPHICS.search(name)) and not INTEL_NOT_GRAPHICS.search(name)
    return bool(NVSWITCH.search(name)) or not NOT_GRAPHICS.search(BRACKETED.sub("", name))


def version_of(text: str) -> str:
    """The `Version:` line of a pci.ids file, as YYYY.MM.DD."""
    found = re.search(r"^#\s+Version:\s+(\d{4}\.\d{2}\.\d{2})", text, re.MULTILINE)
    if not found:
        raise SystemExit("no `# Version: YYYY.MM.DD` line: not a pci.ids file")
    return found.group(1)


def choose(text: str) -> dict[str, dict[str, str]]:
    """vendor -> device -> name, the file's names over the supplement's."""
    chosen: dict[str, dict[str, str]] = {vendor: {} for vendor in VENDORS}
    for extra in SUPPLEMENT:
        chosen[extra.vendor][extra.device] = extra.name
    for vendor, device, name in parse_devices(text.splitlines()):
        if vendor in VENDORS and is_wanted(vendor, name):
            chosen[vendor][device] = name
    return chosen


def c_string(name: str) -> str:
    """`name` as a C string literal; bytes outside ASCII as octal escapes."""
    body = "".join(
        chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in name.encode()
    )
    return f'"{body}"'


def render(version: str, names: dict[str, dict[str, str]]) -> str:
    """The whole file."""
    parts = [HEADER.format(version=version)]
    for vendor, array in VENDORS.items():
        rows = [f"    {{0x{d}, {c_string(n)}}},\n" for d, n in sorted(names[vendor].items())]
        parts.append(f"\ninline constexpr CatalogueRow {array}[] = {{\n{''.join(rows)}}};\n")
    return "".join(parts)


def main(argv: list[str]) -> int:
    """Write the table, or compare with `--check`."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pci-ids", type=Path, default=Path("/usr/share/misc/pci.ids"))
    parser.add_argument("--output", type=Path, default=root / "cpp/gpu/catalogue_data.inc")
    parser.add_argument("--check", action="store_true", help="fail when the output would change")
    options = parser.parse_args(argv)
    text = options.pci_ids.read_text(encoding="utf-8", errors="replace")
    names = choose(text)
    rendered = render(version_of(text), names)
    if options.check:
        return 0 if options.output.read_text(encoding="utf-8") == rendered else 1
    options.output.write_text(rendered, encoding="utf-8")
    counts = ", ".join(f"{vendor} {len(rows)}" for vendor, rows in names.items())
    print(f"`{options.output}`: pci.ids {version_of(text)}, {counts} names", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
