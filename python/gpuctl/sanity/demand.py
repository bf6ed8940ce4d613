"""What is asked of the GPUs beyond that they compute: the level `requirements`.

Versions compare number by number: 12.10 is newer than 12.9. What the interface does not tell cannot
be said to hold, and fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuctl.errors import UsageError
from gpuctl.sanity.answer import Level

__all__ = ["Demand"]

TOLERANCE_PERCENT = 7  # as in a match: tools differ by that much about one card
_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,5}\Z")


@dataclass(frozen=True)
class Demand:
    """None: no demand. Memory in bytes; versions as texts such as `535.104`."""

    memory_bytes: int | None = None
    driver: str | None = None
    runtime: str | None = None
    capability: str | None = None

    def check(self) -> None:
        for flag in ("driver", "runtime", "capability"):
            text = getattr(self, flag)
            if text is not None and not _VERSION.match(text):
                raise UsageError(f"`--min-{flag} {text[:40]}`: expected a version such as 12.2")

    def judge(
        self,
        versions: Mapping[str, str | None],
        devices: Sequence[Mapping[str, Any]],
        drivers: Sequence[str | None],
    ) -> Level:
        """`drivers`: of the GPUs, as the inventory has them; the interface's own word otherwise."""
        complaints = list(self._complaints(versions, devices, drivers))
        if complaints:
            return Level("requirements", "fail", None, "; ".join(complaints))
        if self == Demand():
            return Level("requirements", "skip", None, "none were given")
        return Level("requirements", "pass", None, "")

    def _complaints(
        self,
        versions: Mapping[str, str | None],
        devices: Sequence[Mapping[str, Any]],
        drivers: Sequence[str | None],
    ) -> Iterator[str]:
        for device in devices:
            yield from self._memory(device)
            yield from _older("capability", self.capability, device.get("capability"))
        for driver in drivers or (versions.get("driver"),):
            yield from _older("driver", self.driver, driver)
        yield from _older("runtime", self.runtime, versions.get("runtime"))

    def _memory(self, device: Mapping[str, Any]) -> Iterator[str]:
        if self.memory_bytes is None:
            return
        has = device.get("memory_bytes") or 0
        if has * 100 < self.memory_bytes * (100 - TOLERANCE_PERCENT):
            yield f"{has} bytes of memory, asked for are {self.memory_bytes}"


def _older(what: str, wanted: str | None, has: str | None) -> Iterator[str]:
    if wanted is None:
        return
    if not has:
        yield f"{what} is not known, asked for is {wanted}"
    elif _numbers(has) < _numbers(wanted):
        yield f"{what} is {has}, asked for is {wanted}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version)[:6])
