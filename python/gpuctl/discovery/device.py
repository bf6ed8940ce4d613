"""A GPU while the sources are being joined: every claim that any source made about it.

`base` is the record of the core's inventory, where the kernel's files were read; otherwise the
record is made of claims alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpuctl.discovery.conflicts import Claim
from gpuctl.discovery.reading import Finding, Process, Reading, Sighting
from gpuctl.discovery.sources.functions import VENDORS

__all__ = ["Device", "is_key"]

_LISTS = ("names", "device_nodes", "card_nodes")


def is_key(uuid: str | None) -> bool:
    """A masked or zero UUID is shown, and joins nothing."""
    return uuid is not None and any(character not in "0-GPUMIgpumi/" for character in uuid)


@dataclass
class Device:
    pci_address: str | None
    kind: str = "gpu"
    base: dict[str, Any] | None = None
    parent: Device | None = None
    profile: str | None = None
    fallback_id: str | None = None
    claims: dict[str, list[Claim]] = field(default_factory=dict)
    lists: dict[str, list[Claim]] = field(default_factory=dict)
    telemetry: dict[str, list[Claim]] = field(default_factory=dict)
    processes: list[tuple[str, Process]] = field(default_factory=list)
    tells_processes: bool = False
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    active: dict[str, bool] = field(default_factory=dict)  # by source
    seen_by: dict[str, int | None] = field(default_factory=dict)  # source -> its index
    sources: list[str] = field(default_factory=list)

    @property
    def vendor(self) -> str | None:
        return VENDORS.get(str(self.first("vendor_id") or "")) or self.first("vendor")

    def first(self, name: str) -> Any:
        """What the first source said, before any rule."""
        if self.base is not None and self.base.get(name) is not None:
            return self.base[name]
        found = self.claims.get(name)
        return found[0][1] if found else None

    def all_of(self, name: str) -> set[Any]:
        found = {value for _, value in self.claims.get(name, [])}
        if self.base is not None and self.base.get(name) is not None:
            found.add(self.base[name])
        return found

    def names(self) -> list[str]:
        found = list(self.base["names"]) if self.base else []
        for _, names in self.lists.get("names", []):
            found.extend(name for name in names if name not in found)
        return found

    def claim(self, source: str, name: str, value: Any) -> None:
        rows = self.lists if name in _LISTS else self.claims
        if (source, value) not in rows.setdefault(name, []):
            rows[name].append((source, value))

    def take(self, reading: Reading, sighting: Sighting) -> None:
        """Adds all that this sighting says. A tool's several outputs are one source."""
        source = reading.source
        if source not in self.sources:
            self.sources.append(source)
        if self.seen_by.get(source) is None:
            self.seen_by[source] = sighting.index
        for name, value in self._facts(sighting).items():
            self.claim(source, name, value)
        for name, value in sighting.telemetry.items():
            self.telemetry.setdefault(name, []).append((source, value))
        if sighting.processes is not None:
            self.tells_processes = True
            known = {each.pid for _, each in self.processes}
            self.processes += [(source, p) for p in sighting.processes if p.pid not in known]
        if sighting.active is not None:
            self.active[source] = self.active.get(source, True) and sighting.active
        self.findings += [(source, each) for each in sighting.findings]
        self.profile = _better(self.profile, sighting.profile)

    def _facts(self, sighting: Sighting) -> dict[str, Any]:
        facts = dict(sighting.facts)
        for name in ("uuid", "unique_id", "vendor"):
            if getattr(sighting, name) is not None:
                facts[name] = getattr(sighting, name)
        return facts


def _better(old: str | None, new: str | None) -> str | None:
    """`mig-gi2-ci0` says more than the tool's own number, and is what the kernel calls it."""
    if old is None or new is None:
        return old or new
    return new if "-gi" in new and "-gi" not in old else old
