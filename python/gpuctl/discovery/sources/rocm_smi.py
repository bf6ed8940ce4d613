"""rocm-smi: JSON, CSV, the concise table and the `-a` text; the same words in each.

Keys moved between versions (`GPU ID` became `Device ID`, `Card series` became `Card Series`), and
`Card model` is the subsystem's device id before ROCm 6 and the device id after. Warnings may stand
before the document. Values are text; sizes are bytes. Names of version 4.3 are wrong ("0x1002").
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.reading import Reading, Sighting
from gpuctl.discovery.values import as_dict

__all__ = ["is_rocm_smi", "parse"]

SOURCE = "rocm-smi"
_CARD = re.compile(r"card(\d{1,4})$")
_TEXT_ROW = re.compile(r"GPU\[(\d{1,4})\]\s*:\s*(.+?)\s*:\s+(\S.*)$")
_CONCISE = re.compile(
    r"(\d{1,4})\s+(?:(\d{1,4})\s+)?\[(?:0x)?([0-9a-f]{1,4})\s*:\s*(?:0x)?([0-9a-f]{1,4})\]\s+(\S.*)$",
    re.IGNORECASE,
)


# ROCm 6.1 and later: number, node, (device id, GUID); ROCm 5 and before: number and temperature
_CONCISE_NEW = re.compile(
    r"(\d{1,4})\s+(\d{1,4})\s+0x([0-9a-f]{1,4}),\s*(\d{1,6})\s+(\S.*)$", re.IGNORECASE
)
_CONCISE_OLD = re.compile(r"(\d{1,4})\s+((?:\d+\.\d+|N/A)\s*°?c?\s+.*%)$", re.IGNORECASE)


def is_rocm_smi(text: str) -> bool:
    return (
        bool(re.search(r'"card\d+"\s*:\s*\{', text))
        or "ROCm System Management Interface" in text
        or bool(re.search(r"^device,", text, re.MULTILINE))
        or bool(re.search(r"^GPU\[\d+\]\s*:", text, re.MULTILINE))
    )


def parse(text: str) -> Reading:
    reading = Reading(SOURCE, vendor="amd")
    if re.search(r'"card\d+"\s*:', text):
        _take_json(reading, text)
    elif re.search(r"^device,", text, re.MULTILINE):
        _take_csv(reading, text)
    else:
        _take_text(reading, text)
    if not reading.sightings:
        reading.trouble("malformed", "no GPU in the output of rocm-smi")
    return reading


def _take_json(reading: Reading, text: str) -> None:
    found = load_json(
        text, lambda node: any("Temperature" in k or "VRAM" in k or "ID" in k for k in node)
    )
    if found.trouble:
        reading.trouble("malformed", found.trouble)
    members = [*as_dict(found.value).items(), *found.pieces]
    named = set(re.findall(r'"(card\d{1,4})"\s*:', text))
    for name, node in members:
        card = _CARD.match(name)
        if card:
            named.discard(name)
            _take(reading, int(card.group(1)), {k: str(v) for k, v in as_dict(node).items()})
        elif name == "system":
            _take_system(reading, as_dict(node))
    for name in sorted(named):  # their part of a broken document could not be read
        reading.trouble("malformed", f"the part of `{name}` is broken")
        _take(reading, int(name[4:]), {})


def _take_system(reading: Reading, node: Mapping[str, object]) -> None:
    version = values.text(node.get("Driver version"))
    for sighting in reading.sightings:
        sighting.put(driver_version=version)
    reading.put(amdgpu_version=version)


def _take_csv(reading: Reading, text: str) -> None:
    body = text[re.search(r"^device,", text, re.MULTILINE).start() :]  # type: ignore[union-attr]
    try:
        rows = list(csv.reader(io.StringIO(body.split("\n\n")[0])))
    except csv.Error as error:
        rows = [line.split(",") for line in body.split("\n")]
        reading.trouble("malformed", f"broken CSV: {error}")
    header = rows[0] if rows else []
    for row in rows[1:4096]:
        card = _CARD.match(row[0]) if row else None
        if card and len(row) == len(header):
            _take(reading, int(card.group(1)), dict(zip(header, row)))
        elif row:
            reading.trouble("malformed", f"not a row of the header: `{','.join(row)[:80]}`")
            if card:
                _take(reading, int(card.group(1)), {})


def _take_text(reading: Reading, text: str) -> None:
    cards: dict[int, dict[str, str]] = {}
    lines = text.split("\n")
    for line, following in zip(lines, [*lines[1:], ""]):
        row, concise = _TEXT_ROW.match(line[:1000]), _CONCISE.match(line[:1000].strip())
        bare = re.match(r"GPU\[(\d{1,4})\]", line)
        if row:
            cards.setdefault(int(row.group(1)), {}).setdefault(row.group(2).strip(), row.group(3))
        elif bare:
            cards.setdefault(int(bare.group(1)), {})
        elif concise:
            cells = cards.setdefault(int(concise.group(1)), {})
            cells.update(_concise_cells(concise, following))
        else:
            _take_other_row(cards, line[:1000].strip())
    for index, cells in sorted(cards.items()):
        _take(reading, index, cells)
    if cards and sorted(cards) != list(range(len(cards))):
        reading.trouble("incomplete", f"it lists the GPUs {sorted(cards)}; some are left out")
    rows = [at for at, line in enumerate(lines) if _CONCISE.match(line[:1000].strip())]
    if rows and not any(line.startswith("====") for line in lines[rows[-1] :]):
        reading.trouble("incomplete", "the table of rocm-smi is cut off")
    odd = [line for line in lines if re.match(r"\s*\d{1,4}\s+\[", line)]
    if len(odd) > len(cards):
        reading.trouble("malformed", "a row of the table of rocm-smi is not understood")
    version = re.search(r"^Driver version: (\S+)", text, re.MULTILINE)
    _take_system(reading, {"Driver version": version.group(1) if version else None})


def _take_other_row(cards: dict[int, dict[str, str]], line: str) -> None:
    new, old = _CONCISE_NEW.match(line), _CONCISE_OLD.match(line)
    if new:
        cells = cards.setdefault(int(new.group(1)), {})
        cells.update({"Device ID": new.group(3), "Node ID": new.group(2), "GUID": new.group(4)})
        cells.update(_measured(new.group(5)))
    elif old:
        cards.setdefault(int(old.group(1)), {}).update(_measured(old.group(2)))


def _concise_cells(row: re.Match[str], following: str) -> dict[str, str]:
    """The name stands alone in the next line, cut at 20 characters or not."""
    cells = {"Device ID": row.group(3), "Device Rev": row.group(4)}
    name = following.strip()
    if following[:1] == " " and name and not name.startswith("="):
        cells["Card Series"] = name
    cells.update(_measured(row.group(5)))
    return cells


def _measured(words: str) -> dict[str, str]:
    """What every form of the table has, by its units."""
    cells: dict[str, str] = {}
    for key, pattern in (
        ("Temperature (Sensor junction) (C)", r"(\d+\.\d+)\s*°?[Cc]\b"),
        ("Current Socket Graphics Package Power (W)", r"(\d+\.\d+)W"),
        ("GPU use (%)", r"(\d+)%\s*$"),
    ):
        found = re.search(pattern, words)
        if found:
            cells[key] = found.group(1)
    partitions = re.search(r"(NPS\d|N/A),\s*([A-Z]PX|N/A)", words)
    if partitions:
        cells["Memory Partition"], cells["Compute Partition"] = partitions.groups()
    return cells


def _take(reading: Reading, index: int, cells: Mapping[str, str]) -> None:
    by_key = {key.strip().rstrip(":").lower(): value for key, value in cells.items()}
    sighting = reading.add(
        Sighting(
            values.address(by_key.get("pci bus")),
            unique_id=values.unique_id(by_key.get("unique id")),
            vendor="amd",
            index=index,
        )
    )
    _put_ids(sighting, by_key)
    _put_facts(sighting, by_key)
    _measure(sighting, by_key)
    sighting.active = bool(cells)


def _put_ids(sighting: Sighting, cells: Mapping[str, str]) -> None:
    """`Card model` is a subsystem id unless it is the device id; `Subsystem ID` says so itself."""
    device = values.hex_id(cells.get("device id")) or values.hex_id(cells.get("gpu id"))
    model = values.hex_id(cells.get("card model"))
    sub = values.hex_id(cells.get("subsystem id"))
    if sub is None and model not in (None, device, "1002"):
        sub = model
    revision = values.hex_id(cells.get("device rev"), 2)
    sighting.put(vendor_id="1002", device_id=device, revision=revision, driver="amdgpu")
    if sub is not None:
        sighting.put(details={"subsystem_device": sub})


def _put_facts(sighting: Sighting, cells: Mapping[str, str]) -> None:
    names = []
    for key in ("card series", "device name", "product name"):
        name = values.text(cells.get(key))
        if name and not re.fullmatch(r"0x[0-9a-fA-F]+", name) and name not in names:
            names.append(name)
    isa = values.text(cells.get("gfx version"))
    isa = re.sub(r"^gfx900([0-9a-f])$", r"gfx90\1", isa.lower()) if isa else None
    partition = values.text(cells.get("compute partition"))
    sighting.put(
        names=names or None,
        isa=isa if isa and re.fullmatch(r"gfx[0-9a-f]{3,4}", isa) else None,
        memory_total_bytes=values.size_bytes(cells.get("vram total memory (b)")),
        vbios_version=values.text(cells.get("vbios version")),
        numa_node=values.whole(cells.get("(topology) numa node")),
        compute_partition=partition,
        memory_partition=values.text(cells.get("memory partition")),
        kfd_node=values.whole(cells.get("node id")),
    )
    keys = {"sku": "card sku", "kfd_gpu_id": "guid", "kfd_node": "node id"}
    told = {ours: values.text(cells.get(theirs)) for ours, theirs in keys.items()}
    details = {key: words for key, words in told.items() if words}
    if details:
        sighting.put(details={**sighting.facts.get("details", {}), **details})


def _measure(sighting: Sighting, cells: Mapping[str, str]) -> None:
    def first(*keys: str) -> str | None:
        return next((cells[key] for key in keys if values.text(cells.get(key))), None)

    sighting.measure(
        gpu_busy_percent=values.percent(cells.get("gpu use (%)")),
        memory_busy_percent=values.percent(
            first("gpu memory read/write activity (%)", "gpu memory use (%)")
        ),
        memory_used_bytes=values.used_bytes(cells.get("vram total used memory (b)")),
        power_mw=values.milliwatts(
            first("current socket graphics package power (w)", "average graphics package power (w)")
        ),
        temperature_celsius=values.whole(
            first("temperature (sensor edge) (c)", "temperature (sensor junction) (c)")
        ),
        clock_mhz=values.megahertz(first("sclk clock speed")),
        memory_clock_mhz=values.megahertz(first("mclk clock speed")),
    )
    for key, cell in cells.items():
        if re.search(r"uncorrectable|\bue count|retired page", key) and values.whole(cell):
            sighting.find("amd.ras", f"{key}: {cell}")
