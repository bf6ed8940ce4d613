"""The answer of `gpuctl probe` for people: a table of GPUs, and what became of each source."""

from __future__ import annotations

from typing import Any

from gpuctl.report_text import escaped

__all__ = ["table"]

_HEAD = ("ID", "VENDOR", "MODEL", "MEMORY", "BUSY", "USED", "POWER", "TEMP", "HEALTH", "USABLE")


def table(answer: dict[str, Any], verbose: bool) -> str:
    rows = [_row(gpu) for gpu in answer["gpus"]]
    lines = _columns([_HEAD, *rows]) if rows else ["no GPU"]
    if verbose:
        lines += ["", *_columns([("SOURCE", "STATE", "GPUS", "DETAIL"), *_sources(answer)])]
        for each in answer["ignored"]:
            lines.append(f"no GPU: {each['pci_address']}: {each['reason']['detail']}")
    return "".join(escaped(line).rstrip() + "\n" for line in lines)


def _row(gpu: dict[str, Any]) -> tuple[str, ...]:
    told = gpu["telemetry"]
    return (
        gpu["id"],
        gpu["vendor"],
        gpu["model"] or gpu["device_id"] or "-",
        _size(gpu["memory_total_bytes"]),
        _with(told["gpu_busy_percent"], "%", 0),
        _size(told["memory_used_bytes"]),
        _with(None if told["power_mw"] is None else told["power_mw"] / 1000, " W", 0),
        _with(told["temperature_celsius"], " C", 0),
        gpu["health"]["state"],
        "yes" if gpu["usable"] else "no",
    )


def _sources(answer: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (row["source"], row["state"], str(row["gpus"]), row["detail"] or "")
        for row in answer["sources"]
    ]


def _size(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**30:.1f} GiB"


def _with(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def _columns(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows]
