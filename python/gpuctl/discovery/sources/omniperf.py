"""omniperf's sysinfo.csv: what one profiled AMD GPU is; no address, nor how many there are.

Its gpu_memory is the host's memory and is left out.
"""

from __future__ import annotations

import csv
import io
import re

from gpuctl.discovery import values
from gpuctl.discovery.reading import Reading, Sighting

__all__ = ["is_omniperf", "parse"]

SOURCE = "omniperf"


def is_omniperf(text: str) -> bool:
    head = text[:4000].split("\n", 1)[0]
    return "," in head and "gpu_arch" in head and ("workload_name" in head or "cu_per_gpu" in head)


def parse(text: str) -> Reading:
    reading = Reading(SOURCE, vendor="amd")
    try:
        rows = list(csv.reader(io.StringIO(text[:200_000])))
    except csv.Error as error:
        reading.trouble("malformed", f"broken CSV: {error}")
        rows = [line.split(",") for line in text[:200_000].split("\n")[:2]]
    if len(rows) < 2 or len(rows[1]) < 2:
        reading.trouble("malformed", "no row in sysinfo.csv")
        return reading
    if len(rows[1]) != len(rows[0]):
        reading.trouble("malformed", "the row of sysinfo.csv does not fit its header")
    cells = dict(zip(rows[0], rows[1]))
    sighting = reading.add(Sighting(vendor="amd", active=True))
    isa = (values.text(cells.get("gpu_arch")) or "").lower()
    model = values.text(cells.get("gpu_model")) or values.text(cells.get("name"))
    sighting.put(
        vendor_id="1002",
        names=[model] if model else None,
        isa=isa if re.fullmatch(r"gfx[0-9a-f]{3,4}", isa) else None,
        compute_units=values.whole(cells.get("cu_per_gpu")),
        vbios_version=values.text(cells.get("vbios")),
        compute_partition=_partition(cells.get("compute_partition")),
        memory_partition=_partition(cells.get("memory_partition")),
        driver="amdgpu",
        details=_details(cells),
    )
    reading.put(rocm_version=values.text(cells.get("rocm_version")))
    return reading


def _partition(cell: str | None) -> str | None:
    words = values.text(cell)
    return words if words and re.fullmatch(r"[A-Z]PX|NPS\d", words) else None


def _details(cells: dict[str, str]) -> dict[str, str] | None:
    found = {key: values.text(cells.get(key)) for key in ("simd_per_cu", "num_xcd")}
    return {key: value for key, value in found.items() if value} or None
