"""CDI specs (Container Device Interface), as nvidia-ctk and amd-ctk write them: YAML or JSON.

One GPU has several names ("0", "GPU-…", "all"): a GPU is a device node, /dev/nvidiaN or a render
node. Links below /dev/dri/by-path tell its PCI address, a device's name its UUID.
"""

from __future__ import annotations

import re
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.plain_yaml import load_yaml
from gpuctl.discovery.reading import Reading, Sighting
from gpuctl.discovery.values import as_dict, as_list
from gpuctl.host_paths import DEV

__all__ = ["is_cdi", "parse"]

SOURCE = "cdi"
_VENDORS = {"nvidia": "nvidia", "amd": "amd", "intel": "intel"}
_IDS = {"nvidia": "10de", "amd": "1002", "intel": "8086"}


def is_cdi(text: str) -> bool:
    return bool(re.search(r"^\s*\"?cdiVersion\"?\s*:", text, re.MULTILINE))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    spec = _load(reading, text)
    kind = str(spec.get("kind", ""))
    vendor = next((ours for word, ours in _VENDORS.items() if word in kind.lower()), None)
    nodes: dict[str, Sighting] = {}
    for device in as_list(spec.get("devices")):
        _take(reading, as_dict(device), vendor, nodes)
    version = re.search(r"(?:host-driver-version=|libcuda\.so\.)(\d{3}\.\d+(?:\.\d+)?)", text)
    for sighting in reading.sightings:
        sighting.put(driver_version=version.group(1) if version and vendor == "nvidia" else None)
    if "devices" not in spec:
        reading.trouble("malformed", "no devices in the CDI spec")
    return reading


def _load(reading: Reading, text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        found = load_json(text, lambda node: "containerEdits" in node and "name" in node)
        if found.trouble:
            reading.trouble("malformed", found.trouble)
        spec = dict(as_dict(found.value))
        spec["devices"] = as_list(spec.get("devices")) + [each for _, each in found.pieces]
        return spec
    yaml = load_yaml(text)
    if yaml.odd_lines:
        reading.trouble("malformed", f"{yaml.odd_lines} lines of the CDI spec were not understood")
    return as_dict(yaml.value)


def _take(
    reading: Reading, device: dict[str, Any], vendor: str | None, nodes: dict[str, Sighting]
) -> None:
    edits = as_dict(device.get("containerEdits"))
    paths = [str(as_dict(each).get("path", "")) for each in as_list(edits.get("deviceNodes"))]
    gpus = [path for path in paths if re.fullmatch(r".*/nvidia\d+", path)]
    gpus = gpus or [path for path in paths if re.fullmatch(r".*/renderD\d+", path)]
    name = str(device.get("name", ""))
    for path in gpus:
        known = nodes.get(path)
        if known is None:
            known = nodes[path] = reading.add(Sighting(vendor=vendor, active=True))
            known.put(vendor_id=_IDS.get(vendor or ""), device_nodes=[_below_dev(path)])
            known.put(driver="nvidia" if vendor == "nvidia" else None)
        if len(gpus) == 1:  # this device is this GPU, not "all"
            known.uuid = known.uuid or values.uuid(name)
            known.pci_address = known.pci_address or _by_path(edits)
            _put_nodes(known, paths)


def _by_path(edits: dict[str, Any]) -> str | None:
    words = " ".join(
        str(each)
        for hook in as_list(edits.get("hooks"))
        for each in as_list(as_dict(hook).get("args"))
    )
    found = set(re.findall(r"by-path/pci-([0-9a-fA-F:.]+)-(?:card|render)", words))
    return values.address(found.pop()) if len(found) == 1 else None


def _put_nodes(sighting: Sighting, paths: list[str]) -> None:
    cards = [_below_dev(path) for path in paths if re.search(r"/card\d+$", path)]
    own = [_below_dev(path) for path in paths if re.search(r"/(?:nvidia\d+|renderD\d+)$", path)]
    sighting.put(card_nodes=cards or None, device_nodes=own or None)


def _below_dev(path: str) -> str:
    return path.split(DEV, 1)[-1]
