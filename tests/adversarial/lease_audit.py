"""An independent reading of the ledger's audit log: every grant and its end, by unit.

checker = AuditChecker(events)
assert checker.double == [] and checker.unexplained == []

A GPU and its parts exclude each other, and so do parts of two ways of dividing it. It knows nothing
of tables and locks. `void` after `granted` is a writer that died between two
lines: nothing was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PART = re.compile(r"(.+)\.([a-z]+)-[a-z0-9-]+")
ENDS = ("released", "void", "passed over")


def exclude_each_other(one: str, other: str) -> bool:
    part, other_part = PART.fullmatch(one), PART.fullmatch(other)
    if part and other_part and part[1] == other_part[1]:
        return one == other or part[2] != other_part[2]
    return one in (other, _whole(other)) or other == _whole(one)


def _whole(unit: str) -> str | None:
    found = PART.fullmatch(unit)
    return found[1] if found else None


@dataclass
class AuditChecker:
    events: Iterable[Mapping[str, Any]]
    double: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)  # unit -> lease
    granted: int = 0
    given: set[str] = field(default_factory=set)  # every unit that ever was

    def __post_init__(self) -> None:
        begun: set[str] = set()
        for event in self.events:
            lease, name = event.get("lease", ""), event["event"]
            if name == "granted":
                begun.add(lease)
                self.granted += 1
                self._grant(lease, event["units"])
            elif name in ENDS:
                self._end(lease)
            elif name == "releasing" and lease not in begun:
                self.unexplained.append(f"{lease} is released and was never granted")

    def _grant(self, lease: str, units: Sequence[str]) -> None:
        for unit in units:
            for other, owner in self.open.items():
                if exclude_each_other(unit, other):
                    self.double.append(f"{other} was of {owner} when {lease} got {unit}")
            self.open[unit] = lease
        self.given.update(units)

    def _end(self, lease: str) -> None:
        for unit in [unit for unit, owner in self.open.items() if owner == lease]:
            del self.open[unit]
