"""Sonar's sysinfo (NordicHPC): cards with address and UUID; sizes are KiB.

The address may be empty: then the UUID says which card it is. Older versions have the node's cards
at the top as `gpu_cards`-like counts only, which name no card.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.reading import Reading, Sighting

__all__ = ["is_sonar", "parse"]

SOURCE = "sonar"
_VENDORS = {"nvidia": ("nvidia", "10de", "nvidia"), "amd": ("amd", "1002", "amdgpu")}
_VENDORS["intel"] = ("intel", "8086", "i915")


def is_sonar(text: str) -> bool:
    return '"manufacturer"' in text and (
        '"sysinfo"' in text or '"sonar"' in text or '"cards"' in text
    )


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    found = load_json(text, lambda node: "manufacturer" in node)
    if found.trouble:
        reading.trouble("malformed", found.trouble)
    for row in [*_cards(found.value, 0), *(each for _, each in found.pieces)]:
        _take(reading, row)
    return reading


def _cards(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    if depth > 8:
        return
    if isinstance(value, dict):
        if "manufacturer" in value or ("index" in value and {"uuid", "model"} & value.keys()):
            yield value
            return
        for each in value.values():
            yield from _cards(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _cards(each, depth + 1)


def _take(reading: Reading, row: dict[str, Any]) -> None:
    maker = (values.text(row.get("manufacturer")) or "").lower()
    known = [ours for word, ours in _VENDORS.items() if word in maker]
    vendor, vendor_id, driver = known[0] if known else (None, None, None)
    uuid = values.uuid(row.get("uuid")) if vendor != "amd" else None
    sighting = reading.add(
        Sighting(
            values.address(values.text(row.get("address"))),
            uuid,
            vendor=vendor,
            index=values.whole(row.get("index")),
            active=True,
        )
    )
    model = values.text(row.get("model"))
    sighting.put(
        vendor_id=vendor_id,
        names=[model] if model else None,
        architecture=values.text(row.get("architecture")) if vendor == "nvidia" else None,
        memory_total_bytes=values.size_bytes(row.get("memory"), "KiB"),
        driver=driver if vendor != "intel" else None,
        driver_version=values.text(row.get("driver")),
    )
