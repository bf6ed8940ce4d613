"""The default table of nvidia-smi: what there is in two lines a GPU, and MIG devices below.

Names may be cut ("NVIDIA GeForce RTX 2080 ..."), the GPU of a Jetson has no bus address, and a
dead GPU has ERR! in its cells.
"""

from __future__ import annotations

import re

from gpuctl.discovery import values
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.sources.nvidia_fields import (
    SOURCE,
    add_processes,
    mig_sighting,
    node_facts,
    sighting_of,
)

__all__ = ["parse_table"]

_FIRST = re.compile(r"\|\s{1,4}(\d{1,3})\s{2,}(\S.*?)\s{2,}(\S+)\s*\|\s*(\S+)\s+(\S+)\s*\|(.*)\|")
_SECOND = re.compile(r"\|\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*/\s*(\S+)\s*\|(.*)\|(.*)\|")
_MIG = re.compile(
    r"\|\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+\|\s*(\d+)MiB\s*/\s*(\d+)MiB"
)
_PROCESS = re.compile(
    r"\|\s+(\d{1,3})\s+(?:(\S+)\s+(\S+)\s+)?(\d{1,10})\s+([CGM+]{1,5})\s+(\S.*?)\s+(\d+MiB|N/A)\s*\|"
)


def parse_table(text: str) -> Reading:
    reading = Reading(SOURCE)
    gpus: dict[int, Sighting] = {}
    section = "gpus"
    rows = [line[:400] for line in _until_mig(text) if "Pwr:Usage" not in line]
    seconds = sum(1 for line in rows if _SECOND.match(line) and not _FIRST.match(line))
    lines = [line[:400] for line in text.split("\n")]
    for line, following in zip(lines, [*lines[1:], ""]):
        if re.match(r"\| (?:MIG devices|Processes):", line):
            section = "mig" if "MIG" in line else "processes"
            _no_processes_yet(gpus, section)
        elif section == "gpus":
            _take_gpu(reading, gpus, line, following)
        elif section == "mig":
            _take_mig(reading, gpus, line)
        else:
            _take_process(gpus, line)
    driver = re.search(r"Driver Version: (\S+)|KMD Version: (\S+)", text)
    cuda = re.search(r"CUDA (?:UMD )?Version: (\S+)", text)
    version = next((each for each in driver.groups() if each), None) if driver else None
    node_facts(reading, version, cuda.group(1) if cuda else None)
    if not reading.sightings:
        reading.trouble("malformed", "no GPU in the table of nvidia-smi")
    elif seconds > len(gpus) or _odd_rows(text, gpus):
        reading.trouble("malformed", "a row of the table of nvidia-smi is not understood")
    elif not text.rstrip().endswith(("+", "|")):
        reading.trouble("incomplete", "the table of nvidia-smi is cut off")
    return reading


def _until_mig(text: str) -> list[str]:
    return re.split(r"^\| (?:MIG devices|Processes):", text, flags=re.MULTILINE)[0].split("\n")


def _odd_rows(text: str, gpus: dict[int, Sighting]) -> bool:
    """A line that begins like a GPU's and is none."""
    starts = [re.match(r"\|\s{1,4}(\d{1,3})\s{2,}\S", line) for line in _until_mig(text)]
    return any(int(found.group(1)) not in gpus for found in starts if found)


def _no_processes_yet(gpus: dict[int, Sighting], section: str) -> None:
    if section == "processes":
        for each in gpus.values():
            each.processes = each.processes or []


def _take_gpu(reading: Reading, gpus: dict[int, Sighting], line: str, following: str) -> None:
    first = _FIRST.match(line)
    if not first:
        return
    cells = {"index": first.group(1), "name": first.group(2), "pci.bus_id": first.group(4)}
    second = _SECOND.match(following)
    if second:
        cells["temperature.gpu"], cells["power.draw"] = second.group(2), second.group(4)
        used, _, total = second.group(6).partition("/")
        cells["memory.used"], cells["memory.total"] = used, total or "N/A"
        share = re.match(r"\s*(\S+)", second.group(7))
        cells["utilization.gpu"] = share.group(1) if share else ""
    sighting = reading.add(sighting_of(cells))
    if "nvgpu" in first.group(2):
        sighting.put(integrated=True)
    gpus[int(first.group(1))] = sighting


def _take_mig(reading: Reading, gpus: dict[int, Sighting], line: str) -> None:
    found = _MIG.match(line)
    if not found or int(found.group(1)) not in gpus:
        return
    _, instance, compute, index, used, total = (int(each) for each in found.groups())
    parent = gpus[int(found.group(1))].put(mig_enabled=True)
    mig = reading.add(mig_sighting(parent, index, instance, compute))
    mig.put(memory_total_bytes=total << 20).measure(memory_used_bytes=used << 20)


def _take_process(gpus: dict[int, Sighting], line: str) -> None:
    found = _PROCESS.match(line)
    if not found or int(found.group(1)) not in gpus:
        return
    used = values.used_bytes(found.group(7), "MiB")
    add_processes(
        gpus[int(found.group(1))], [Process(int(found.group(4)), used, values.text(found.group(6)))]
    )
