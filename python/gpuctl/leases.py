"""Leases: GPUs that are given to one job and to nobody else (`Host.reserve`, `Host.status`).

A lease of `reserve` is held by this process: the kernel's locks go with it, whatever ends it. It is
given back when the `with` block is left and nobody has the GPUs' device nodes open any more; a
process that computed on them itself keeps them until it ends, and the lease is `releasing` until
then.

Example:
    with gpuctl.Host().reserve(gpus=2, model="A100", wait="10m") as lease:
        report = gpuctl.run(["./train"], lease=lease)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Union

from gpuctl import _core
from gpuctl.durations import Duration, flag_text
from gpuctl.errors import UsageError
from gpuctl.jdl.units import parse_gpu_memory

__all__ = ["Blocker", "HeldLease", "Lease", "NodeStatus", "Unit", "Wishes", "make_request"]

Wishes = Union[str, Sequence[str], None]
Size = Union[int, str, None]


@dataclass(frozen=True)
class Unit:
    """A GPU or a part of one; `parent_id` is None for a whole GPU."""

    id: str
    pci_address: str
    uuid: str | None
    parent_id: str | None


@dataclass(frozen=True)
class Blocker:
    """What keeps units from being given anew; `pid` is None for what is no process."""

    pid: int | None
    name: str
    what: str


@dataclass(frozen=True)
class Lease:
    """`state`: waiting, held, releasing or released; `way`: held or recorded. None is unknown."""

    id: str
    job_id: str | None
    resubmission: int
    uid: int
    way: str
    state: str
    units: tuple[Unit, ...]
    holder_pid: int
    holder_alive: bool | None
    command: str
    since_at: str | None
    expires_at: str | None
    blockers: tuple[Blocker, ...]
    unknown: str | None

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Lease:
        return Lease(
            id=record["id"],
            job_id=record["job"]["id"] if record["job"] else None,
            resubmission=record["job"]["resubmission"] if record["job"] else 0,
            uid=record["uid"],
            way=record["way"],
            state=record["state"],
            units=tuple(Unit(**unit) for unit in record["units"]),
            holder_pid=record["holder"]["pid"],
            holder_alive=record["holder"]["alive"],
            command=record["command"],
            since_at=record["since_at"],
            expires_at=record["expires_at"],
            blockers=tuple(Blocker(**each) for each in record["blockers"]),
            unknown=record["unknown"],
        )

    @property
    def gpu_ids(self) -> tuple[str, ...]:
        return tuple(unit.id for unit in self.units)


@dataclass(frozen=True)
class NodeStatus:
    """`gpus` are records of `gpuctl status`: those of the inventory with `available`, `lease_id`
    and `drain`; drains and problems are records too.
    """

    gpus: tuple[Mapping[str, Any], ...]
    leases: tuple[Lease, ...]
    drains: tuple[Mapping[str, Any], ...]
    problems: tuple[Mapping[str, Any], ...]
    repaired: tuple[str, ...]

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> NodeStatus:
        return NodeStatus(
            gpus=tuple(record["gpus"]),
            leases=tuple(Lease.from_json(each) for each in record["leases"]),
            drains=tuple(record["drains"]),
            problems=tuple(record["problems"]),
            repaired=tuple(record["repaired"]),
        )


class HeldLease:
    """A lease that this process holds. `lease` stays what it was when it was given."""

    def __init__(self, held: _core.HeldLease) -> None:
        self._held: _core.HeldLease | None = held
        self.lease = Lease.from_json(json.loads(held.json()))

    @property
    def gpu_ids(self) -> tuple[str, ...]:
        return self.lease.gpu_ids

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Whoever inherits them keeps the lease alive when this process is gone."""
        return tuple(self._held.descriptors()) if self._held is not None else ()

    def publish(self) -> str:
        """The path of the lease file (docs/schema/lease-file.json), for GPUCTL_LEASE_FILE. It goes
        with the lease.
        """
        if self._held is None:
            raise UsageError("the lease was given back already")
        return self._held.publish()

    def release(self, proven: bool = False) -> Lease:
        """Give it back. `state` of the answer is `releasing` with `blockers` where it is not free
        yet. `proven`: nothing of the job is left, that is known, and no process is looked for.
        """
        if self._held is None:
            raise UsageError("the lease was given back already")
        held, self._held = self._held, None
        kept = held.give_back(proven)
        if kept is None:
            return replace(self.lease, state="released", holder_alive=None)
        return Lease.from_json(json.loads(kept)["lease"])

    def __enter__(self) -> HeldLease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._held is not None:
            self.release()


def make_request(
    gpus: int,
    *,
    vendor: Wishes = None,
    model: Wishes = None,
    architecture: Wishes = None,
    min_memory: Size = None,
    only: Wishes = None,
    exclude: Wishes = None,
    same_numa_node: bool = False,
    same_link: bool = False,
    allow_integrated: bool = False,
    job: str | None = None,
    resubmission: int = 0,
    command: str = "",
    expires: Duration | None = None,
) -> _core.GpuRequest:
    """UsageError for what cannot be asked for. `same_link`: each is linked to each, directly and
    not over PCI.
    """
    if isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 1:
        raise UsageError(f"`gpus` is {gpus!r}, give a whole number from 1")
    if job is not None:
        _core.parse_job_id(job)
    return _core.GpuRequest(
        count=gpus,
        vendors=_texts(vendor),
        models=_texts(model),
        architectures=_texts(architecture),
        memory_bytes=_bytes(min_memory),
        only=_texts(only),
        exclude=_texts(exclude),
        same=_same(same_numa_node, same_link),
        allow_integrated=allow_integrated,
        job=job,
        resubmission=resubmission,
        command=command,
        expires_usec=wait_usec(expires, "expires"),
    )


def _same(numa_node: bool, link: bool) -> str | None:
    if numa_node and link:
        raise UsageError("`same_numa_node` and `same_link` do not go together: give one of them")
    return "numa" if numa_node else "link" if link else None


def hold(
    ledger: _core.Ledger,
    request: _core.GpuRequest,
    wait: Duration | None,
    stop: Callable[[], bool] | None,
) -> HeldLease:
    return HeldLease(ledger.hold(request, wait_usec(wait, "wait"), stop))


def wait_usec(value: Duration | None, name: str) -> int | None:
    text = flag_text(value, name)
    return None if text is None else _core.parse_duration_usec(text, f"`{name}`")


def _texts(value: Wishes) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _bytes(value: Size) -> int | None:
    if value is None or isinstance(value, int):
        return value
    try:
        return parse_gpu_memory(value)
    except ValueError as error:
        raise UsageError(f"`min_memory`: {error}") from None
