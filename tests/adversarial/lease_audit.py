"""An independent reading of the ledger's audit log: every grant and its end, by unit.

checker = AuditChecker(events)
assert checker.double == [] and checker.unexplained == []

It knows nothing of tables and locks. `void` after `granted` is a writer that died between two
lines: nothing was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENDS = ("released", "void", "passed over")


@dataclass
class AuditChecker:
    events: Iterable[Mapping[str, Any]]
    double: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)  # unit -> lease
    granted: int = 0

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

    def _grant(self, lease: str, units: Iterable[str]) -> None:
        for unit in units:
            if unit in self.open:
                self.double.append(f"{unit} was of {self.open[unit]} when {lease} got it")
            self.open[unit] = lease

    def _end(self, lease: str) -> None:
        for unit in [unit for unit, owner in self.open.items() if owner == lease]:
            del self.open[unit]
