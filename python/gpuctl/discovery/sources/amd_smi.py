"""amd-smi: `static --json`, `list --json`, `metric --json`, `process --json`.

An object with gpu_data[], or in older versions the bare list. `MB` is MiB. The address may be
missing. The version of an in-tree amdgpu is a squeezed kernel string and is left out.
"""

from __future__ import annotations

import re
from typing import Any

from gpuctl.discovery import values
from gpuctl.discovery.documents import load_json
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.values import as_dict, as_list

__all__ = ["is_amd_smi", "parse"]

SOURCE = "amd-smi"


def is_amd_smi(text: str) -> bool:
    if '"gpu_data"' in text:
        return True
    return bool(
        re.search(r'"gpu"\s*:\s*\d', text) and re.search(r'"(?:asic|bdf|usage|vram)"', text)
    )


def parse(text: str) -> Reading:
    reading = Reading(SOURCE, vendor="amd")
    found = load_json(
        text, lambda node: "gpu" in node and not isinstance(node["gpu"], (dict, list))
    )
    if found.trouble:
        reading.trouble("malformed", found.trouble)
    rows = [each for _, each in found.pieces]
    if found.value is not None:
        value = found.value
        rows = (value if isinstance(value, list) else as_list(value.get("gpu_data"))) + rows
    for row in rows:
        _take(reading, as_dict(row))
    if not rows:
        reading.trouble("malformed", "no GPU in the output of amd-smi")
    return reading


def _take(reading: Reading, row: dict[str, Any]) -> None:
    asic, bus, vram = (as_dict(row.get(key)) for key in ("asic", "bus", "vram"))
    sighting = reading.add(
        Sighting(
            values.address(row.get("bdf") or bus.get("bdf")),
            unique_id=values.unique_id(asic.get("asic_serial")),
            vendor="amd",
            index=values.whole(row.get("gpu")),
            active=True,
        )
    )
    name = values.text(asic.get("market_name"))
    product = values.text(as_dict(row.get("board")).get("product_name"))
    version = values.text(as_dict(row.get("driver")).get("version"))
    partition = as_dict(row.get("partition"))
    sighting.put(
        vendor_id="1002",
        device_id=values.hex_id(asic.get("device_id")),
        subsystem_id=values.subsystem_id(
            values.hex_id(asic.get("subvendor_id")), values.hex_id(asic.get("subsystem_id"))
        ),
        revision=values.hex_id(asic.get("rev_id"), 2),
        names=[each for each in (name, product) if each] or None,
        isa=_isa(asic.get("target_graphics_version")),
        compute_units=values.whole(asic.get("num_compute_units")),
        memory_total_bytes=values.size_bytes(vram.get("size"), "MiB"),
        driver="amdgpu",
        driver_version=version if version and len(version) < 40 else None,
        vbios_version=values.text(as_dict(row.get("vbios")).get("part_number")),
        numa_node=values.whole(as_dict(row.get("numa")).get("node")),
        compute_partition=values.text(partition.get("compute_partition")),
        memory_partition=values.text(partition.get("memory_partition")),
        kfd_node=values.whole(row.get("node_id")),
        partition_id=values.whole(row.get("partition_id")),
    )
    _measure(sighting, row)


def _isa(cell: Any) -> str | None:
    words = (values.text(cell) or "").lower()
    return words if re.fullmatch(r"gfx[0-9a-f]{3,4}", words) else None


def _measure(sighting: Sighting, row: dict[str, Any]) -> None:
    usage, power, memory = (as_dict(row.get(key)) for key in ("usage", "power", "mem_usage"))
    temperature, clock = as_dict(row.get("temperature")), as_dict(row.get("clock"))
    sighting.measure(
        gpu_busy_percent=values.percent(usage.get("gfx_activity")),
        memory_busy_percent=values.percent(usage.get("umc_activity")),
        memory_used_bytes=values.used_bytes(memory.get("used_vram"), "MiB"),
        power_mw=values.milliwatts(power.get("socket_power") or power.get("average_socket_power")),
        temperature_celsius=values.whole(_told(temperature, "edge", "hotspot")),
        clock_mhz=values.megahertz(as_dict(clock.get("gfx_0")).get("clk")),
        memory_clock_mhz=values.megahertz(as_dict(clock.get("mem_0")).get("clk")),
    )
    uncorrected = values.whole(as_dict(row.get("ecc")).get("total_uncorrectable_count"))
    if uncorrected:
        sighting.find("amd.ras", f"uncorrectable: {uncorrected}")
    if isinstance(row.get("process_list"), list):
        rows = (
            _process(as_dict(as_dict(each).get("process_info"))) for each in row["process_list"]
        )
        sighting.processes = [each for each in rows if each is not None]


def _told(node: dict[str, Any], *keys: str) -> Any:
    return next((node[key] for key in keys if values.number(node.get(key)) is not None), None)


def _process(row: dict[str, Any]) -> Process | None:
    pid = values.whole(row.get("pid"))
    used = as_dict(row.get("memory_usage")).get("vram_mem", row.get("mem"))
    return Process(pid, values.used_bytes(used), values.text(row.get("name"))) if pid else None
