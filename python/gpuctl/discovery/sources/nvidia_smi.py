"""nvidia-smi: which of its forms a text is.

Example:
    parse(Path("nvidia-smi-q.xml").read_text()).sightings[0].pci_address
"""

from __future__ import annotations

import re

from gpuctl.discovery.reading import Reading
from gpuctl.discovery.sources import nvidia_text, nvidia_xml
from gpuctl.discovery.sources.nvidia_csv import is_csv, parse_csv
from gpuctl.discovery.sources.nvidia_fields import SOURCE, node_facts
from gpuctl.discovery.sources.nvidia_table import parse_table

__all__ = ["is_nvidia_smi", "parse"]


def is_nvidia_smi(text: str) -> bool:
    return (
        nvidia_xml.is_xml(text)
        or nvidia_text.is_query(text)
        or nvidia_text.is_table(text)
        or nvidia_text.is_list(text)
        or _is_versions(text)
        or nvidia_text.is_error(text)
        or is_csv(text)
    )


def parse(text: str, columns: list[str] | None = None) -> Reading:
    """`columns`: those of the query that gave a CSV without header."""
    if nvidia_xml.is_xml(text):
        return nvidia_xml.parse(text)
    if nvidia_text.is_query(text):
        return _with_errors(nvidia_text.parse_query(text), text)
    if nvidia_text.is_table(text):
        return _with_errors(parse_table(text), text)
    if columns is None and nvidia_text.is_list(text):
        return _with_errors(nvidia_text.parse_list(text), text)
    if _is_versions(text):
        return _versions(text)
    if columns is not None or is_csv(text):
        return parse_csv(text, columns)
    return _with_errors(Reading(SOURCE, vendor="nvidia"), text)


def _with_errors(reading: Reading, text: str) -> Reading:
    nvidia_text.take_errors(reading, text)
    empty = not (reading.sightings or reading.findings or reading.missing or reading.problems)
    if empty and text.strip():
        reading.trouble("malformed", f"not understood: `{text.strip()[:80]}`")
    return reading


def _is_versions(text: str) -> bool:
    return bool(re.match(r"\s*NVIDIA-SMI version\s*:", text))


def _versions(text: str) -> Reading:
    reading = Reading(SOURCE)
    found = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in text.split("\n"))}
    driver = found.get("KMD version") or found.get("DRIVER version")
    node_facts(reading, driver, found.get("CUDA UMD version") or found.get("CUDA Version"))
    return reading
