"""`nvidia-smi -q -x`, of every version from driver 418 on.

Missing elements are nothing unusual (other versions, trimmed files); `attached_gpus` may say more
GPUs than the file has. A broken file is read GPU by GPU.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_xml, xml_elements
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.sources.nvidia_fields import (
    SOURCE,
    add_processes,
    mig_sighting,
    node_facts,
    sighting_of,
)

__all__ = ["is_xml", "parse"]

_LISTS = ("mig_devices", "processes", "accounted_processes", "supported_clocks")


def is_xml(text: str) -> bool:
    return "<nvidia_smi_log" in text or bool(re.search(r"<gpu id=\"[0-9A-Fa-f:.]+\">", text))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    root = load_xml(text)
    if isinstance(root, str):
        reading.trouble("malformed", root)
        nodes = list(xml_elements(text, "gpu"))
    else:
        nodes = [("", node) for node in ([root] if root.tag == "gpu" else root.iter("gpu"))]
    for tag, node in nodes:
        _take(reading, tag, node)
    node_facts(reading, _node_fact(text, "driver_version"), _node_fact(text, "cuda_version"))
    attached = values.whole(_node_fact(text, "attached_gpus"))
    if attached is not None and attached > len(nodes):
        reading.put(gpus_not_described=attached - len(nodes))
    return reading


def _node_fact(text: str, tag: str) -> str | None:
    found = re.search(rf"<{tag}>([^<]{{1,80}})</{tag}>", text)
    return found.group(1) if found else None


def _take(reading: Reading, tag: str, node: ElementTree.Element | None) -> None:
    if node is None:
        found = re.search(r'id="([^"]*)"', tag)
        address = values.address(found.group(1)) if found else None
        reading.trouble("malformed", "its part of the document is broken", address)
        reading.add(Sighting(pci_address=address, vendor="nvidia")).put(vendor_id="10de")
        return
    cells: dict[str, str] = {}
    _flatten(node, "", cells)
    cells.setdefault("id", node.get("id", ""))
    sighting = reading.add(sighting_of(cells))
    for mig in node.iterfind("mig_devices/mig_device"):
        _take_mig(reading, sighting, mig)
    processes = node.find("processes")
    if processes is not None:
        add_processes(sighting, _processes(processes))


def _flatten(node: ElementTree.Element, prefix: str, cells: dict[str, str]) -> None:
    for child in node:
        name = f"{prefix}{child.tag}"
        if child.tag in _LISTS:
            continue
        if len(child):
            _flatten(child, f"{name}.", cells)
        else:
            cells.setdefault(name, child.text or "")


def _take_mig(reading: Reading, parent: Sighting, node: ElementTree.Element) -> None:
    cells: dict[str, str] = {}
    _flatten(node, "", cells)
    mig = mig_sighting(
        parent,
        values.whole(cells.get("index")),
        values.whole(cells.get("gpu_instance_id")),
        values.whole(cells.get("compute_instance_id")),
    )
    mig.uuid = values.uuid(cells.get("uuid"))
    mig.put(memory_total_bytes=values.size_bytes(cells.get("fb_memory_usage.total"), "MiB"))
    mig.measure(memory_used_bytes=values.used_bytes(cells.get("fb_memory_usage.used"), "MiB"))
    reading.add(mig)


def _processes(node: ElementTree.Element) -> list[Process]:
    rows = []
    for info in node.iter("process_info"):
        pid = values.whole(info.findtext("pid"))
        if pid:
            used = values.used_bytes(info.findtext("used_memory"), "MiB")
            rows.append(Process(pid, used, values.text(info.findtext("process_name"))))
    return rows
