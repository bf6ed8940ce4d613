"""Typed reading of a SiteMap that somebody else wrote: the value, or None and a problem."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["Checked"]

_MAX_WHOLE = 2**63 - 1
_MAX_PROBLEMS = 50
_GPU_TEXTS = frozenset(
    (
        *("id", "parent_id", "kind", "vendor", "vendor_id", "device_id", "subsystem_id", "model"),
        *("architecture", "chip", "isa", "uuid", "unique_id", "driver", "driver_version"),
        *("pci_address", "class_id", "revision", "memory_source", "power_state"),
    )
)
_GPU_FLAGS = frozenset(("usable", "allotted", "available", "integrated"))
_GPU_NUMBERS = frozenset(("memory_total_bytes", "compute_units", "tiles"))
_GPU_LISTS = frozenset(("names", "device_nodes", "card_nodes", "shared_nodes", "sources"))


class Checked:
    """`values` by lower-case key; `wrong` are the keys whose type was wrong; both grow."""

    def __init__(self, document: Any) -> None:
        self.problems: list[str] = []
        self.wrong: set[str] = set()
        self.values: dict[str, Any] = {}
        if not isinstance(document, Mapping):
            self._problem(f"a SiteMap is an object, and this is a {_kind(document)}")
            return
        for key, value in document.items():
            self._take(str(key), value)

    def whole(self, key: str) -> int | None:
        """Not negative."""
        value = self.values.get(key.lower())
        if isinstance(value, float) and math.isfinite(value) and value.is_integer():
            value = int(value)
        if value is None or (type(value) is int and 0 <= value <= _MAX_WHOLE):
            return value
        self._wrong(key, value, "a whole number from 0")
        return None

    def text(self, key: str) -> str | None:
        value = self.values.get(key.lower())
        if value is None or isinstance(value, str):
            return value or None
        self._wrong(key, value, "a text")
        return None

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, or JAliEn's `,one,,two,`."""
        value = self.values.get(key.lower())
        if isinstance(value, str):
            value = value.split(",")
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self._wrong(key, value, "a list of texts")
            return None
        return tuple(each.strip() for each in value if each.strip())

    def flag(self, key: str) -> bool | None:
        """Also JAliEn's 0 and 1."""
        value = self.values.get(key.lower())
        if value is None or isinstance(value, bool):
            return value
        if type(value) is int and value in (0, 1):
            return value == 1
        self._wrong(key, value, "true or false")
        return None

    def gpus(self, key: str) -> tuple[Mapping[str, Any], ...] | None:
        """The records; one with something wrong in it is not usable. None: nobody told of any."""
        value = self.values.get(key.lower())
        if value is None:
            return None
        if not isinstance(value, list):
            self._wrong(key, value, "a list of records")
            return None
        records = [self._gpu(index, each) for index, each in enumerate(value)]
        return tuple(record for record in records if record is not None)

    def _take(self, key: str, value: Any) -> None:
        lower = sys.intern(key.lower())  # as in expressions: found without comparing texts
        if lower in self.values:
            self.wrong.add(lower)
            self.values[lower] = None
            self._problem(f"`{key[:60]}` is there twice, ignoring case, and counts as unknown")
        else:
            self.values[lower] = value

    def _gpu(self, index: int, record: Any) -> dict[str, Any] | None:
        if not isinstance(record, Mapping):
            self._problem(f"`GPUs[{index}]` is a {_kind(record)}, expected a record")
            return None
        clean = {str(key): value for key, value in record.items()}
        wrong = [name for name in clean if not _fits(name, clean[name])]
        for name in wrong:
            self._problem(f"`GPUs[{index}].{name}` is a {_kind(clean[name])}: the GPU is not given")
            clean[name] = None
        return {**clean, "usable": False} if wrong else clean

    def _wrong(self, key: str, value: Any, expected: str) -> None:
        self.wrong.add(key.lower())
        self._problem(f"`{key}` is a {_kind(value)}, expected {expected}; it counts as unknown")

    def _problem(self, text: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(text)


def _fits(name: str, value: Any) -> bool:
    """Whether a key of a GPU record has the type that the matching relies on."""
    if value is None:
        return True
    if name in _GPU_TEXTS:
        return isinstance(value, str)
    if name in _GPU_FLAGS:
        return isinstance(value, bool)
    if name in _GPU_NUMBERS:
        return type(value) is int and value >= 0
    if name in _GPU_LISTS:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return _health_fits(value) if name == "health" else True


def _health_fits(value: Any) -> bool:
    reasons = value.get("reasons", []) if isinstance(value, Mapping) else None
    return isinstance(reasons, list) and all(isinstance(each, Mapping) for each in reasons)


def _kind(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "number that is none"
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "list"}
    return kinds.get(type(value), "record" if isinstance(value, Mapping) else "null")
