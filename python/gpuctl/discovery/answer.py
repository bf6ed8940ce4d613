"""The answer of `gpuctl probe`: readings joined into one inventory, as plain data.

Example:
    answer = make_answer(readings, sources, pci_ids=None)
    answer["gpus"][0]["field_sources"]["memory_total_bytes"]   # ["kernel", "nvidia-smi"]
"""

from __future__ import annotations

import re
from typing import Any

from gpuctl.discovery.device import Device
from gpuctl.discovery.join import join, problem
from gpuctl.discovery.orders import orders_of
from gpuctl.discovery.reading import Finding, Function, Reading
from gpuctl.discovery.record import RecordMaker
from gpuctl.discovery.sources.functions import classified

__all__ = ["SCHEMA", "make_answer"]

SCHEMA = "gpuctl.probe/1"
_LISTING = ("nvidia-smi", "nvml")


def make_answer(
    readings: list[Reading], sources: list[dict[str, Any]], pci_ids: str | None
) -> dict[str, Any]:
    devices, problems = join(readings)
    for reading in readings:
        _spread(reading, devices, problems)
    _mark_unlisted(readings, devices)
    for device in devices:
        if device.parent is not None and device.kind == "partition":
            device.parent.claim("join", "has_parts", True)
    maker = RecordMaker(pci_ids)
    orders = orders_of(devices)
    gpus = [maker.make(device, orders[id(device)]) for device in devices]
    ignored, count = _ignored(readings, {device.pci_address for device in devices})
    problems = _problems(readings) + problems + maker.problems
    return {
        "schema": SCHEMA,
        "gpus": sorted(gpus, key=_sort_key),
        "ignored": ignored,
        "problems": _unique(problems),
        "sources": sources,
        "node": _node(readings),
        "pci_function_count": count,
    }


def _spread(reading: Reading, devices: list[Device], problems: list[dict[str, Any]]) -> None:
    """What a tool says of all its GPUs is a finding of each, and a problem where there is none."""
    mine = [d for d in devices if d.kind == "gpu" and d.vendor == reading.vendor]
    for finding in reading.findings:
        for device in mine:
            device.findings.append((reading.source, finding))
        if finding.topic != "probe":
            problems.append(problem("tool_failed", finding.value, None, reading.source))
    hidden = reading.facts.get("gpus_not_described")
    if hidden:
        words = f"says that there are {hidden} more GPUs and does not describe them"
        problems.append(problem("incomplete", words, None, reading.source))


def _mark_unlisted(readings: list[Reading], devices: list[Device]) -> None:
    """A GPU with NVIDIA's driver that its tool does not list beside others."""
    listing = {
        r.source for r in readings if r.source in _LISTING and r.sightings and not r.problems
    }
    for device in devices:
        base = device.base
        if base is None or device.kind != "gpu" or base.get("driver") != "nvidia":
            continue
        for source in listing - set(device.sources):
            if base.get("allotted", True) and base.get("usable"):
                device.findings.append((source, Finding("tool.unlisted", source)))


def _ignored(
    readings: list[Reading], gpus: set[str | None]
) -> tuple[list[dict[str, Any]], int | None]:
    """Of the core's inventory, else of the tools that list PCI functions."""
    found: dict[str, dict[str, Any]] = {}
    functions: dict[str, Function] = {}
    count: int | None = None
    for reading in readings:
        if reading.inventory:
            found.update({each["pci_address"]: each for each in reading.inventory["ignored"]})
            count = max(count or 0, reading.inventory["pci_function_count"])
        for function in reading.functions:
            functions.setdefault(function.pci_address, function)
    rows = list(functions.values())
    for function, (role, code, detail) in zip(rows, classified(rows)):
        if role == "ignored" and function.pci_address not in found:
            found[function.pci_address] = _ignored_row(function, code, detail)
    if count is None and functions:
        count = len(functions)
    listed = [row for address, row in found.items() if address not in gpus]
    return sorted(listed, key=_sort_key), count


def _ignored_row(function: Function, code: str, detail: str) -> dict[str, Any]:
    return {
        "pci_address": function.pci_address,
        "vendor_id": function.vendor_id,
        "device_id": function.device_id,
        "class_id": f"{(function.class_code or 0) >> 8:04x}",
        "reason": {"code": code, "detail": detail},
    }


def _problems(readings: list[Reading]) -> list[dict[str, Any]]:
    rows = []
    for reading in readings:
        for each in (reading.inventory or {}).get("problems", []):
            rows.append({**each, "source": "kernel"})
        for address, code, detail in reading.problems:
            rows.append(problem(code, detail, address, reading.source))
    return rows


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for row in rows:
        if row not in found:
            found.append(row)
    return found


def _node(readings: list[Reading]) -> dict[str, Any]:
    """Versions that hold for the whole node; the first source to tell is believed."""
    keys = ("nvidia_driver_version", "cuda_version", "amdgpu_version", "rocm_version")
    found: dict[str, Any] = dict.fromkeys(keys)
    for reading in readings:
        for key in keys:
            if found[key] is None:
                found[key] = reading.facts.get(key)
    return found


def _sort_key(row: dict[str, Any]) -> tuple[Any, ...]:
    address = row["pci_address"]
    numbers = [int(word, 16) for word in re.split("[:.]", address)] if address else []
    name = str(row.get("id", ""))
    places = re.findall(r"(?:-gi|-ci|px-|^[a-z_-]+:)(\d{1,6})\b", name)
    return (not address, numbers, [int(each) for each in places], name)
