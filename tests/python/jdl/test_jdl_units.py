"""Durations and sizes: the whole text or an error."""

from __future__ import annotations

import pytest
from gpuctl.errors import UsageError
from gpuctl.jdl.units import parse_duration, parse_gpu_memory, parse_jalien_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("0", 0), ("007", 7), ("48h", 172800)],
)
def test_duration(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("80G", 80 * 10**9),
        ("80GB", 80 * 10**9),
        ("80gb", 80 * 10**9),
        ("32GiB", 32 * 2**30),
        ("32gib", 32 * 2**30),
        ("16 GB", 16 * 10**9),
        ("16384MiB", 2**34),
        ("16384 MB", 16384 * 10**6),
        ("1.5G", 1_500_000_000),
        ("0.5GiB", 2**29),
        ("1T", 10**12),
        ("4K", 4000),
        ("4KiB", 4096),
    ],
)
def test_gpu_memory(text: str, size: int) -> None:
    assert parse_gpu_memory(text) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 2**30),
        ("8G", 8 * 2**30),
        ("8gb", 8 * 2**30),
        ("8GiB", 8 * 2**30),
        ("8 GB", 8 * 2**30),
        ("5000MB", 5000 * 2**20),
        ("5000", 5000 * 2**20),
        ("500000K", 500000 * 2**10),
        ("500000KB", 500000 * 2**10),
    ],
)
def test_jalien_size(text: str, size: int) -> None:
    assert parse_jalien_size(text) == size


BAD = [
    "",
    " ",
    "G",
    "-1G",
    "+1G",
    "1 0G",
    "1GG",
    "1G ",
    " 1G",
    "1G\n",
    "1e3G",
    "0x10G",
    "١G",
    "1_0G",
]
BAD += ["NaN", "inf", "8 days", "1Gb it", "9" * 19 + "G", "9" * 18 + "G", "0G", "1.G", ".5G", "8PB"]


@pytest.mark.parametrize("text", [*BAD, "16", "16000000000", "0.0000000001G"])
def test_bad_gpu_memory(text: str) -> None:
    with pytest.raises(UsageError):
        parse_gpu_memory(text)


@pytest.mark.parametrize("text", [*BAD, "0", "1.5G", "8T"])
def test_bad_jalien_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse_jalien_size(text)


@pytest.mark.parametrize("text", [*BAD, "1.5h", "-5", "5 m", "5M", "1d", "1h30m", "9" * 18 + "h"])
def test_bad_duration(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)
