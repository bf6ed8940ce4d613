"""Which GPUs are given away, as far as this installation keeps a ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gpuctl.errors import GpuctlError
from gpuctl.host import Host
from gpuctl.sitemap.slot import Complain

__all__ = ["Ledger", "read_ledger"]


@dataclass(frozen=True)
class Ledger:
    """`taken`: ids of GPUs that are leased, drained or quarantined."""

    taken: frozenset[str] = frozenset()
    leases: tuple[dict[str, Any], ...] = ()
    drains: tuple[dict[str, Any], ...] = field(default=())

    def told(self) -> dict[str, Any]:
        return {"leases": list(self.leases), "drains": list(self.drains)}


def read_ledger(host: Host, complain: Complain) -> Ledger | None:
    """None: nobody knows what is given away."""
    status = getattr(host, "status", None)
    stands_in = host.root != "/" and host.state_dir is None  # its hardware is in no ledger
    if status is None or stands_in:
        return None
    try:
        return of_status(status())
    except GpuctlError as error:
        complain(f"the ledger is not known: {error}")
        return None


def of_status(status: Any) -> Ledger:
    """Of `Host.status()`."""
    taken = [gpu["id"] for gpu in status.gpus if not gpu["available"]]
    return Ledger(frozenset(taken), tuple(map(_lease, status.leases)), tuple(status.drains))


def _lease(lease: Any) -> dict[str, Any]:
    """What a broker wants to know of it."""
    return {
        "job_id": lease.job_id,
        "resubmission": getattr(lease, "resubmission", 0),
        "gpu_ids": list(lease.gpu_ids),
        "since_at": lease.since_at,
    }
