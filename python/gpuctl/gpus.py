"""The GPUs of a node as typed, frozen records; their fields are the JSON keys of `gpuctl discover`.

None is unknown. `to_json()` gives the record back as plain data, with the same keys in the same
order.

Example:
    inventory = gpuctl.Host().discover()
    free = [gpu for gpu in inventory.gpus if gpu.usable and gpu.vendor == "amd"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from gpuctl.errors import MalformedError

__all__ = [
    "Gpu",
    "Health",
    "HealthReason",
    "Holder",
    "HoldersLookedAt",
    "IgnoredDevice",
    "Inventory",
    "Link",
    "Orders",
    "Problem",
    "Reason",
]


@dataclass(frozen=True)
class HealthReason:
    """Why a GPU is not `ok`; the codes are stable."""

    code: str
    detail: str
    since_at: str | None


@dataclass(frozen=True)
class Health:
    """`state`: ok, degraded, lost, no_driver, unknown or probe_hung."""

    state: str
    reasons: tuple[HealthReason, ...]


@dataclass(frozen=True)
class Reason:
    """Why a device is not among the GPUs, or why a GPU is not allotted; the codes are stable."""

    code: str
    detail: str


@dataclass(frozen=True)
class Orders:
    """How the runtimes count a GPU among those that may be opened here; None: not, or not known."""

    cuda: int | None = None  # with CUDA_DEVICE_ORDER=PCI_BUS_ID
    cuda_fastest_first: int | None = None
    rocr: int | None = None
    hip: int | None = None  # counts what the slot's ROCR_VISIBLE_DEVICES leaves
    level_zero: int | None = None  # with ZE_FLAT_DEVICE_HIERARCHY=COMPOSITE
    level_zero_flat: int | None = None


@dataclass(frozen=True)
class Link:
    """A way to another GPU of the node that does not lead over PCI; one hop is direct."""

    id: str
    type: str  # xgmi
    hops: int
    bandwidth_bytes_per_s: int | None


@dataclass(frozen=True)
class Holder:
    """A process that has device nodes of a GPU open."""

    pid: int
    uid: int
    name: str
    service: bool  # a daemon known to keep nodes open without computing
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Gpu:
    """One GPU, partition or virtual function, whatever its vendor."""

    pci_address: str | None  # None: seen only in /sys/class/drm
    id: str
    parent_id: str | None
    kind: str
    vendor: str
    vendor_id: str
    device_id: str | None
    subsystem_id: str | None
    class_id: str | None
    revision: str | None
    model: str | None
    names: tuple[str, ...]
    architecture: str | None
    chip: str | None
    isa: str | None
    memory_total_bytes: int | None
    memory_source: str | None  # driver, kfd, tool, or catalogue: the nominal size
    compute_units: int | None
    tiles: int | None
    integrated: bool
    uuid: str | None
    unique_id: str | None
    numa_node: int | None
    local_cpus: str | None
    links: tuple[Link, ...] | None  # ways to other GPUs beside PCI; None: nothing tells
    driver: str | None
    driver_version: str | None
    power_state: str | None
    compute_partition: str | None
    memory_partition: str | None
    virtual_functions: int | None
    device_nodes: tuple[str, ...]
    card_nodes: tuple[str, ...]
    shared_nodes: tuple[str, ...]
    health: Health
    usable: bool
    allotted: bool
    allotment_reasons: tuple[Reason, ...]
    orders: Orders
    busy_by: tuple[Holder, ...]
    sources: tuple[str, ...]

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Gpu:
        """The record of `gpuctl discover --json`; keys of a later version are left out."""
        values = _known(cls, {**_LATER, **record})
        try:
            reasons = tuple(
                HealthReason(**_known(HealthReason, each)) for each in values["health"]["reasons"]
            )
            values["health"] = Health(values["health"]["state"], reasons)
            values["orders"] = Orders(**_known(Orders, {**asdict(Orders()), **values["orders"]}))
            values["allotment_reasons"] = _all_of(Reason, values["allotment_reasons"])
            values["busy_by"] = _all_of(Holder, values["busy_by"])
            if values["links"] is not None:
                values["links"] = _all_of(Link, values["links"])
        except (KeyError, TypeError) as error:
            raise MalformedError(f"a GPU record is not understood: {error}") from None
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        return {name: plain(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class IgnoredDevice:
    """A PCI function that looks like a GPU, or belongs to a GPU vendor, and is none."""

    pci_address: str
    vendor_id: str | None
    device_id: str | None
    class_id: str | None
    reason: Reason


@dataclass(frozen=True)
class Problem:
    """Something that could not be read, so that the inventory may be incomplete."""

    pci_address: str | None
    code: str
    path: str | None
    detail: str


@dataclass(frozen=True)
class HoldersLookedAt:
    """How many processes could be looked into for open device nodes, and how many could not."""

    processes_read: int
    processes_unreadable: int


@dataclass(frozen=True)
class Inventory:
    """What `Host.discover()` found; sorted by address."""

    gpus: tuple[Gpu, ...]
    ignored: tuple[IgnoredDevice, ...]
    problems: tuple[Problem, ...]
    pci_function_count: int
    holders: HoldersLookedAt | None = None  # None: nobody looked, `busy_by` says nothing

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Inventory:
        """The answer of `gpuctl discover --json`."""
        values = _known(cls, {"holders": None, **answer})
        looked_at = values["holders"]
        return cls(
            gpus=tuple(Gpu.from_json(each) for each in values["gpus"]),
            ignored=tuple(_ignored(each) for each in values["ignored"]),
            problems=tuple(Problem(**_known(Problem, each)) for each in values["problems"]),
            pci_function_count=values["pci_function_count"],
            holders=looked_at and HoldersLookedAt(**_known(HoldersLookedAt, looked_at)),
        )

    def to_json(self) -> dict[str, Any]:
        return {"schema": "gpuctl.discover/1", **plain(asdict(self))}


# Keys that records of earlier versions do not have.
_LATER: dict[str, Any] = {
    "memory_source": None,
    "compute_units": None,
    "tiles": None,
    "power_state": None,
    "compute_partition": None,
    "memory_partition": None,
    "virtual_functions": None,
    "links": None,
    "allotment_reasons": [],
    "orders": {},
}


def _all_of(kind: type[Any], records: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**_known(kind, each)) for each in records)


def _ignored(record: Mapping[str, Any]) -> IgnoredDevice:
    values = _known(IgnoredDevice, record)
    return IgnoredDevice(**{**values, "reason": Reason(**_known(Reason, values["reason"]))})


def _known(kind: type[Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `record` that `kind` has, lists as tuples; MalformedError where one lacks."""
    names = [each.name for each in fields(kind)]
    missing = [name for name in names if name not in record]
    if missing:
        raise MalformedError(f"a {kind.__name__} record lacks `{missing[0]}`")
    return {name: _frozen(record[name]) for name in names}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Tuples as lists, all the way down: what json.loads would give."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value
