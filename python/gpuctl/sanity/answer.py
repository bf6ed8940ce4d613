"""What the sanity check found: levels, verdicts, and their JSON (docs/schema/sanity.json).

Example:
    answer = check_gpus(question)
    if answer.verdict == "fail":
        print(answer.words)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LEVELS", "Answer", "Check", "Level"]

SCHEMA = "gpuctl.sanity/1"
_OF_THE_GPU = ("devices", "memory", "compute")
LEVELS = ("starts", "libraries", "devices", "memory", "compute", "others", "requirements")


@dataclass(frozen=True)
class Level:
    """`result`: pass, fail or skip (not looked at; `detail` says why)."""

    level: str
    result: str
    usec: int | None
    detail: str
    device: int | None = None  # whose it is, by its place among the devices


@dataclass(frozen=True)
class Check:
    """One run of the probe: the GPUs of one vendor, through one interface.

    `unproven`: the probe did not start there (an image without glibc), or the interface's library
    is not there, so that nothing was found out about the GPUs.
    """

    api: str
    gpu_ids: tuple[str, ...]
    levels: tuple[Level, ...]
    versions: Mapping[str, str | None]
    devices: tuple[Mapping[str, Any], ...]
    usec: int
    unproven: bool = False

    @property
    def failed(self) -> Level | None:
        return next((level for level in self.levels if level.result == "fail"), None)

    @property
    def suspects(self) -> tuple[str, ...]:
        """The GPU that the failed level named, by its address; else all of them. A library that
        does not load in an image, or a fence that lets others through, is no GPU's fault."""
        if self.verdict != "fail" or self.failed is None or self.failed.level not in _OF_THE_GPU:
            return ()
        number = self.failed.device
        if number is not None and number < len(self.devices):
            address = str(self.devices[number].get("pci_address") or "").lower()
            named = tuple(each for each in self.gpu_ids if each.lower() == address)
            if named:
                return named
        return self.gpu_ids

    @property
    def verdict(self) -> str:
        if self.failed is None:
            return "pass"
        return "unproven" if self.unproven else "fail"

    def to_json(self) -> dict[str, Any]:
        return {
            "api": self.api,
            "gpus": list(self.gpu_ids),
            "verdict": self.verdict,
            "versions": dict(self.versions),
            "devices": [dict(device) for device in self.devices],
            "levels": [
                {
                    "level": each.level,
                    "result": each.result,
                    "usec": each.usec,
                    "detail": each.detail,
                    "device": each.device,
                }
                for each in self.levels
            ],
            "usec": self.usec,
        }


@dataclass(frozen=True)
class Answer:
    checks: tuple[Check, ...]
    container: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> str:
        """The worst of its checks; without any there was nothing to prove it by: unproven."""
        verdicts = {check.verdict for check in self.checks}
        return next((each for each in ("fail", "unproven", "pass") if each in verdicts), "unproven")

    @property
    def failed_gpus(self) -> tuple[str, ...]:
        return tuple(gpu_id for check in self.checks for gpu_id in check.suspects)

    @property
    def words(self) -> str:
        """Of the first check that does not pass; empty when all do."""
        for check in self.checks:
            if check.failed is not None:
                return f"{check.api}: {check.failed.level}: {check.failed.detail}"
        return "" if self.checks else "there is no GPU to check"

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "container": None if self.container is None else dict(self.container),
            "checks": [check.to_json() for check in self.checks],
        }
