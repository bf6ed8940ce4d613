"""What one source said: a Reading, with a Sighting for each device and Findings about health.

Parsers make them from text alone and judge nothing; `join.py` brings the sightings of all sources
together, `health.py` says what a finding means. Keys of `facts` are the keys of a GPU record in
JSON (docs/schema/probe.json); keys of `telemetry` those of its telemetry. None is left out.

Example:
    reading = Reading("nvidia-smi")
    gpu = reading.add(Sighting(pci_address="0000:0c:00.0", vendor="nvidia"))
    gpu.put(model_name="NVIDIA L40S", memory_total_bytes=48305799168)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "Function", "Process", "Reading", "Sighting"]


@dataclass(frozen=True)
class Finding:
    """A raw observation for the table in `health.py`: which field, and what stood in it."""

    topic: str
    value: str


@dataclass(frozen=True)
class Process:
    """One process on a GPU, as a tool lists it. A pid is the tool's own pid namespace's."""

    pid: int
    memory_used_bytes: int | None = None
    name: str | None = None
    gpu_usec: int | None = None  # engine time used, all engines


@dataclass
class Sighting:
    """One device as one source saw it. `pci_address`, `uuid`, `unique_id` are what joins."""

    pci_address: str | None = None
    uuid: str | None = None
    unique_id: str | None = None
    vendor: str | None = None
    kind: str = "gpu"  # gpu, partition, vf
    index: int | None = None  # the source's own; says nothing to other sources
    parent: Sighting | None = None  # of a partition
    profile: str | None = None  # `mig-3g.40gb-0`, of a partition
    active: bool | None = None  # a driver serves it now; None: the source cannot tell
    facts: dict[str, Any] = field(default_factory=dict)
    telemetry: dict[str, Any] = field(default_factory=dict)
    processes: list[Process] | None = None  # None: the source cannot tell
    findings: list[Finding] = field(default_factory=list)

    def put(self, **facts: Any) -> Sighting:
        self.facts.update({key: value for key, value in facts.items() if value is not None})
        return self

    def measure(self, **values: Any) -> Sighting:
        self.telemetry.update({key: value for key, value in values.items() if value is not None})
        return self

    def find(self, topic: str, value: object) -> None:
        self.findings.append(Finding(topic, str(value)[:300]))


@dataclass
class Function:
    """A PCI function by the words and numbers of a tool; the core says what it is."""

    pci_address: str
    class_code: int | None = None  # 24 bits
    vendor_id: str | None = None
    device_id: str | None = None
    subsystem_id: str | None = None
    revision: str | None = None
    driver: str | None = None
    driver_told: bool = False  # the source would have said if one were bound
    numa_node: int | None = None
    physical_function: str | None = None
    names: list[str] = field(default_factory=list)


@dataclass
class Reading:
    """All that one source said. `refusal` is why it said nothing, as a topic of `health.py`."""

    source: str
    sightings: list[Sighting] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)  # about all devices of `vendor`
    vendor: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)  # of the node: driver and runtime versions
    problems: list[tuple[str | None, str, str]] = field(default_factory=list)
    missing: bool = False  # the tool is not installed
    inventory: dict[str, Any] | None = None  # the core's own answer, for recorded trees

    def add(self, sighting: Sighting) -> Sighting:
        self.sightings.append(sighting)
        return sighting

    def trouble(self, code: str, detail: str, pci_address: str | None = None) -> None:
        """`code` as in the problems of the answer; the same words once."""
        row = (pci_address, code, detail)
        if row not in self.problems:
            self.problems.append(row)

    def put(self, **facts: Any) -> None:
        self.facts.update({key: value for key, value in facts.items() if value is not None})
