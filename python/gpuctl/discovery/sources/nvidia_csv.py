"""`nvidia-smi --query-gpu=… --format=csv[,noheader][,nounits]`, and `--query-compute-apps`.

Without a header the columns are told by what stands in them, unless the query itself is known. A
row of a dead GPU is [Unknown Error] in every cell, and its address stands in a line of words.

Example:
    parse_csv("NVIDIA L40S, 570.172.08, 46068 MiB, 8.9\\n")
"""

from __future__ import annotations

import csv
import io
import re

from gpuctl.discovery import values
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.sources.nvidia_fields import (
    SOURCE,
    add_processes,
    node_facts,
    sighting_of,
)
from gpuctl.discovery.sources.nvidia_text import is_error, take_errors

__all__ = ["is_csv", "parse_csv"]

_MAX_ROWS = 4096
_HEADER = re.compile(
    r"(?:name|index|uuid|timestamp|gpu_name|gpu_uuid|pid|count|driver_version|pci\.|memory\.|utilization\.)"
)
_ERROR_ROW = re.compile(r"\[?(?:Unknown Error|GPU is lost|N/A|ERR!)\]?", re.IGNORECASE)
# a cell without header -> its column; the first cell that fits takes it
_GUESSES: tuple[tuple[str, str], ...] = (
    ("uuid", r"GPU-[0-9a-fA-F-]{8,}"),
    ("pci.bus_id", r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]"),
    ("pci.device_id", r"0x[0-9A-Fa-f]{4}10DE"),
    ("driver_version", r"\d{3}\.\d{2,3}(?:\.\d{2,3})?"),
    ("compute_cap", r"\d{1,2}\.\d"),
    ("power.draw", r"\d+\.\d+ W"),
    ("utilization.gpu", r"\d{1,3} %"),
    ("clocks.sm", r"\d+ MHz"),
    ("memory.total", r"\d+ MiB"),
    ("pstate", r"P\d{1,2}"),
    ("name", r"(?:NVIDIA|Tesla|Quadro|GeForce|TITAN|GRID|Graphics Device)\b.*"),
)


def is_csv(text: str) -> bool:
    lines = [line for line in text.split("\n")[:20] if line.strip()]
    if any(_HEADER.match(line) and "," in line for line in lines):
        return True
    return any("," in line and _is_headless(_cells(line)) for line in lines)


def _is_headless(cells: list[str]) -> bool:
    """A name and something else that only nvidia-smi prints."""
    found = set(_guess([cells], {}))
    return "name" in found and bool(found - {"name"})


def _cells(line: str) -> list[str]:
    try:
        rows = list(csv.reader(io.StringIO(line[:20_000]), skipinitialspace=True))
    except csv.Error:
        return [each.strip() for each in line[:20_000].split(",")]
    return [each.strip() for each in rows[0]] if rows else []


def parse_csv(text: str, columns: list[str] | None = None) -> Reading:
    """`columns`: of the query, for output without header."""
    reading = Reading(SOURCE)
    rows: list[list[str]] = []
    broken_lines: list[str] = []
    for line in text.split("\n")[:_MAX_ROWS]:
        if not line.strip():
            continue
        cells = _cells(line)
        if columns is None and not rows and _HEADER.match(line) and len(cells) > 1:
            columns = cells
        elif _is_row(cells, columns, rows):
            rows.append(cells)
        else:
            broken_lines.append(line)
    names = _columns(columns, rows)
    apps = "pid" in names.values()
    for at, row in enumerate(rows):
        _take_app(reading, names, row) if apps else _take_gpu(reading, names, row, at)
    _take_words(reading, broken_lines)
    _check_count(reading, names, rows)
    versions = {s.facts.get("driver_version") for s in reading.sightings} - {None}
    node_facts(reading, versions.pop() if len(versions) == 1 else None, None)
    if not reading.sightings and not reading.findings and not apps:
        reading.trouble("malformed", "no row of a GPU in the CSV of nvidia-smi")
    return reading


def _is_row(cells: list[str], columns: list[str] | None, rows: list[list[str]]) -> bool:
    """As many cells as the header, or as the row before, or at least two."""
    if columns is not None:
        return len(cells) == len(columns)
    if rows:
        return len(cells) == len(rows[0])
    return len(cells) >= 2


def _columns(columns: list[str] | None, rows: list[list[str]]) -> dict[int, str]:
    """Position to name; the unit of "memory.total [MiB]" is in the row, or is MiB."""
    if columns is None:
        found: dict[int, str] = {}
        _guess([row for row in rows if not _is_dead(row)], found)
        return found
    return {at: re.sub(r"\s*\[.*$", "", name).strip() for at, name in enumerate(columns)}


def _guess(rows: list[list[str]], found: dict[int, str]) -> dict[str, int]:
    taken: dict[str, int] = {}
    for at in range(min((len(row) for row in rows), default=0)):
        column = [row[at] for row in rows]
        if at == 0 and all(re.fullmatch(r"\d{1,2}", each) for each in column):
            taken["index"] = at
        for name, pattern in _GUESSES:
            if name not in taken and all(re.fullmatch(pattern, each) for each in column):
                taken[name] = at
                break
    found.update({at: name for name, at in taken.items()})
    return taken


def _is_dead(row: list[str]) -> bool:
    return all(_ERROR_ROW.fullmatch(cell) for cell in row) and any(
        "rror" in c or "lost" in c for c in row
    )


def _take_gpu(reading: Reading, names: dict[int, str], row: list[str], at: int) -> None:
    cells = {name: row[position] for position, name in names.items() if position < len(row)}
    sighting = reading.add(sighting_of(cells))
    if "index" not in cells or _is_dead(row):
        sighting.index = at  # rows come in the tool's own order
    if _is_dead(row):
        sighting.find("nvidia.cell", row[0])
        sighting.active = False


def _take_words(reading: Reading, lines: list[str]) -> None:
    """An address in the words is that of the dead row, where there is one of each."""
    words = Reading(SOURCE)
    take_errors(words, "\n".join(lines))
    dead = [s for s in reading.sightings if s.active is False and s.pci_address is None]
    named = [s for s in words.sightings if s.pci_address not in _addresses(reading)]
    for row, found in zip(dead, named if len(dead) == len(named) else []):
        row.pci_address = found.pci_address
        row.findings.extend(found.findings)
    for found in words.sightings:
        if found.pci_address not in _addresses(reading):
            reading.add(found)
    reading.findings.extend(words.findings)
    reading.missing = words.missing
    odd = [line for line in lines if not is_error(line)]
    if odd:
        reading.trouble("malformed", f"{len(odd)} lines of the CSV are no rows: `{odd[0][:80]}`")


def _check_count(reading: Reading, names: dict[int, str], rows: list[list[str]]) -> None:
    """The column `count` says how many GPUs there are."""
    places = [at for at, name in names.items() if name == "count"]
    said = max((values.whole(row[at]) or 0 for at in places for row in rows), default=0)
    if said > len(rows):
        reading.put(gpus_not_described=said - len(rows))


def _addresses(reading: Reading) -> set[str | None]:
    return {each.pci_address for each in reading.sightings}


def _take_app(reading: Reading, names: dict[int, str], row: list[str]) -> None:
    cells = {name: row[at] for at, name in names.items() if at < len(row)}
    address = values.address(cells.get("gpu_bus_id"))
    uuid = values.uuid(cells.get("gpu_uuid"))
    pid = values.whole(cells.get("pid"))
    if pid is None or (address is None and uuid is None):
        return
    seen = next((s for s in reading.sightings if (s.pci_address, s.uuid) == (address, uuid)), None)
    if seen is None:
        seen = reading.add(Sighting(pci_address=address, uuid=uuid, vendor="nvidia"))
        seen.put(
            vendor_id="10de", names=[n for n in [values.text(cells.get("gpu_name"))] if n] or None
        )
        seen.active = True
    used = values.used_bytes(cells.get("used_gpu_memory") or cells.get("used_memory"), "MiB")
    add_processes(seen, [Process(pid, used, values.text(cells.get("process_name")))])
