"""Durations and sizes as gpuctl writes them; the whole text or an error, never a guess.

Three notations, each with its own function, because the same `G` means two things in this field:
    parse_duration     `90`, `90s`, `10m`, `1h`                      -> seconds
    parse_gpu_memory   K, M, G, T (and KB..) decimal, KiB.. binary   -> bytes, for GPUMemory
    parse_jalien_size  K, M, G in steps of 1024, else MB             -> bytes, for MemorySize

Example:
    parse_gpu_memory("80G") == 80_000_000_000
    parse_jalien_size("8GB") == 8 * 1024**3
"""

from __future__ import annotations

import re
from fractions import Fraction

from gpuctl.errors import UsageError

__all__ = [
    "DURATION_FORM",
    "GPU_MEMORY_FORM",
    "JALIEN_SIZE_FORM",
    "parse_duration",
    "parse_gpu_memory",
    "parse_jalien_size",
]

DURATION_FORM = "seconds such as `90`, or `90s`, `10m`, `1h`"
GPU_MEMORY_FORM = "a size with its unit such as `16G`, `40GB` (decimal) or `32GiB` (binary)"
JALIEN_SIZE_FORM = "a whole number with K, M or G such as `8GB`, or of MB such as `8000`"

_MAX = 2**63 - 1  # what the core and the kernel count in
_DURATION = re.compile(r"([0-9]{1,18})([smh]?)\Z")
_GPU_MEMORY = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?([KMGT])(i?B)?\Z", re.IGNORECASE)
_JALIEN_SIZE = re.compile(r"([0-9]{1,18}) ?(?:([KMG])(?:i?B)?)?\Z", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


def parse_duration(text: str) -> int:
    """Seconds; zero is allowed."""
    match = _DURATION.match(text)
    if match is None:
        raise UsageError(f"`{text[:40]}` is no duration, give {DURATION_FORM}")
    return _bounded(Fraction(int(match.group(1)) * _SECONDS[match.group(2)]), text)


def parse_gpu_memory(text: str) -> int:
    """Bytes, more than zero. A bare number is refused: nobody can tell bytes from MB from GB."""
    match = _GPU_MEMORY.match(text)
    if match is None:
        raise UsageError(f"`{text[:40]}` is no size of GPU memory, give {GPU_MEMORY_FORM}")
    step = 1024 if (match.group(3) or "").lower() == "ib" else 1000
    return _positive(Fraction(match.group(1)) * step ** _POWERS[match.group(2).upper()], text)


def parse_jalien_size(text: str) -> int:
    """Bytes, more than zero."""
    match = _JALIEN_SIZE.match(text)
    if match is None:
        raise UsageError(f"`{text[:40]}` is no size, give {JALIEN_SIZE_FORM}")
    unit = (match.group(2) or "M").upper()
    return _positive(Fraction(int(match.group(1)) * 1024 ** _POWERS[unit]), text)


def _positive(value: Fraction, text: str) -> int:
    if int(value) < 1:
        raise UsageError(f"the size `{text[:40]}` is zero, give at least one byte")
    return _bounded(value, text)


def _bounded(value: Fraction, text: str) -> int:
    if value > _MAX:
        raise UsageError(f"`{text[:40]}` is more than a 64-bit number holds")
    return int(value)
