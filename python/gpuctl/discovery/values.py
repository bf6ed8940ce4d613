"""Cells of vendor tools as values: a number with its unit, an address, a name; else None.

"N/A", "[Unknown Error]", "unknown" and the like are None: absent is not zero. Sizes are bytes
(`MB` of AMD's tools and `MiB` are both binary), power is mW, temperature whole degrees Celsius,
clocks MHz, shares per cent.

Example:
    assert address("00000000:0C:00.0") == "0000:0c:00.0"
    assert size_bytes("81559 MiB") == 81559 << 20
"""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = [
    "address",
    "hex_id",
    "is_error_cell",
    "megahertz",
    "milliwatts",
    "number",
    "percent",
    "size_bytes",
    "slot_of",
    "subsystem_id",
    "text",
    "unique_id",
    "uuid",
    "whole",
]

_ADDRESS = re.compile(r"(?:([0-9a-f]{1,8}):)?([0-9a-f]{2}):([01]?[0-9a-f])\.([0-7])", re.IGNORECASE)
_MISSING = {
    *("", "n/a", "na", "none", "null", "unknown", "not supported", "not available", "-", "?"),
    *("not active", "redacted", "requested functionality has been deprecated", "not found"),
    *("function not found", "insufficient permissions", "no data", "err!", "unknown error"),
    *("gpu is lost", "gpu requires reset", "not available in wddm driver model", "unspecified"),
}
_ERRORS = {"err!", "unknown error", "gpu is lost", "gpu requires reset"}
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,30})?(?:e[+-]?\d{1,2})?", re.IGNORECASE)
_UNITS = {"": 0, "b": 0, "k": 10, "kb": 10, "kib": 10, "m": 20, "mb": 20, "mib": 20}
_UNITS.update({"g": 30, "gb": 30, "gib": 30, "t": 40, "tb": 40, "tib": 40})
_MAX_BYTES = 1 << 60  # more is no memory
_MAX_TEXT = 512


def text(cell: object) -> str | None:
    """What a cell says in words, without control characters; None where it says nothing."""
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        return None
    words = "".join(c if c.isprintable() else " " for c in str(cell)[: 4 * _MAX_TEXT]).strip()
    return None if _bare(words) in _MISSING else words[:_MAX_TEXT]


def is_error_cell(cell: object) -> bool:
    """ERR!, [Unknown Error], [GPU is lost]: the tool asked this GPU and got no answer."""
    return isinstance(cell, str) and _bare(cell) in _ERRORS


def _bare(words: str) -> str:
    return words.strip().strip("[]").strip().lower()


def number(cell: object) -> float | None:
    """The number that a cell starts with: "48.99 W", {"value": 45, "unit": "W"}, "(1051Mhz)"."""
    if isinstance(cell, dict):
        return number(cell.get("value"))
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, (int, float)):
        return _finite(cell)
    found = _NUMBER.match(str(cell)[:_MAX_TEXT].strip().lstrip("("))
    return _finite(float(found.group())) if found else None


def _finite(value: float) -> float | None:
    return float(value) if abs(value) < 1e30 and math.isfinite(value) else None


def whole(cell: object) -> int | None:
    """A count that is not negative; None for anything else."""
    value = number(cell)
    return int(value) if value is not None and value >= 0 else None


def percent(cell: object) -> float | None:
    value = number(cell)
    return value if value is not None and 0 <= value <= 100 else None


def milliwatts(cell: object) -> int | None:
    value = number(cell)
    return round(value * 1000) if value is not None and 0 <= value < 1e6 else None


def megahertz(cell: object) -> int | None:
    value = number(cell)
    return round(value) if value is not None and 0 <= value < 1e6 else None


def size_bytes(cell: object, unit: str = "") -> int | None:
    """Memory with the unit that it says, else `unit`; 0 is unknown, since no GPU has none."""
    if isinstance(cell, dict):
        return size_bytes(cell.get("value"), str(cell.get("unit") or unit))
    value = number(cell)
    if value is None or value <= 0:
        return None
    said = re.search(r"([kmgt]?i?b)\b", cell, re.IGNORECASE) if isinstance(cell, str) else None
    shift = _UNITS.get((said.group(1) if said else unit).lower())
    size = None if shift is None else round(value * (1 << shift))
    return size if size is not None and 0 < size < _MAX_BYTES else None


def used_bytes(cell: object, unit: str = "") -> int | None:
    """As `size_bytes`, but nothing used is 0."""
    return 0 if number(cell) == 0 else size_bytes(cell, unit)


def address(cell: object) -> str | None:
    """A PCI address as gpuctl writes it: lower case, a domain of at least four digits."""
    found = _ADDRESS.fullmatch(cell.strip()) if isinstance(cell, str) else None
    if not found:
        return None
    domain, bus, device, function = found.groups()
    return f"{int(domain or '0', 16):04x}:{int(bus, 16):02x}:{int(device, 16):02x}.{function}"


def slot_of(pci_address: str) -> str:
    """The card: an address without its function."""
    return pci_address.rsplit(".", 1)[0]


def hex_id(cell: object, digits: int = 4) -> str | None:
    """`0xbda`, `740F` or `[10de]` as four digits; None for anything else."""
    if not isinstance(cell, str):
        return None
    words = cell.strip().strip("[]").lower()
    words = words[2:] if words.startswith("0x") else words
    if not words or len(words) > digits or not re.fullmatch(r"[0-9a-f]+", words):
        return None
    return words.zfill(digits)


def subsystem_id(vendor: str | None, device: str | None) -> str | None:
    """`1002:0834`; the pair 0000:0000 says that there is none."""
    if vendor is None or device is None or (vendor, device) == ("0000", "0000"):
        return None
    return f"{vendor}:{device}"


def uuid(cell: object) -> str | None:
    """A GPU's or MIG device's UUID in one form: `GPU-…`, `MIG-…`, lower case after the prefix.

    One that is masked with zeros is a value like others; the join knows that it is no key.
    """
    words = text(cell)
    if words is None:
        return None
    found = re.fullmatch(r"(?:(GPU|MIG|MIG-GPU)-)?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f/]+)+)", words)
    if not found:
        return None
    return (
        f"{found.group(1)}-{found.group(2).lower()}" if found.group(1) else found.group(2).lower()
    )


def unique_id(cell: object) -> str | None:
    """AMD's unique id as the kernel prints it: 16 hexadecimal digits; zero is unknown."""
    words = text(cell)
    if words is None:
        return None
    words = words.lower()
    words = words[2:] if words.startswith("0x") else words
    if not re.fullmatch(r"[0-9a-f]{1,16}", words) or int(words, 16) == 0:
        return None
    return words.zfill(16)


def as_dict(value: Any) -> dict[str, Any]:
    """`value` where it is an object, else an empty one: tools leave parts out."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
