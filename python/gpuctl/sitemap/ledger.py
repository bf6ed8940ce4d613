"""Which GPUs are given away, as the node's ledger has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpuctl.errors import GpuctlError
from gpuctl.host import Host
from gpuctl.sitemap.slot import Complain, Environ

__all__ = ["Ledger", "of_status", "read_ledger"]


@dataclass(frozen=True)
class Ledger:
    """`taken`: ids of GPUs that are leased, drained or quarantined."""

    taken: frozenset[str] = frozenset()
    leases: tuple[Mapping[str, Any], ...] = ()
    drains: tuple[Mapping[str, Any], ...] = ()

    def told(self) -> dict[str, Any]:
        return {"leases": list(self.leases), "drains": list(self.drains)}


def read_ledger(host: Host, environ: Environ, complain: Complain) -> Ledger | None:
    """None: nobody knows what is given away. Nothing is put right here, only read."""
    if host.root != "/" and host.state_dir is None:
        return None  # hardware that stands in is in no ledger
    try:
        return of_status(json.loads(host.ledger(environ).status(False)))
    except GpuctlError as error:
        complain(f"the ledger is not known: {error}")
        return None


def of_status(status: Mapping[str, Any]) -> Ledger:
    """Of `gpuctl status --json`. Those who wait for GPUs have none yet."""
    free = {gpu["id"] for gpu in status["gpus"] if gpu["available"]}
    taken = [gpu["id"] for gpu in status["gpus"] if gpu["id"] not in free]
    leases = [_lease(each) for each in status["leases"] if each["state"] != "waiting"]
    return Ledger(frozenset(taken), tuple(leases), tuple(status["drains"]))


def _lease(lease: Mapping[str, Any]) -> dict[str, Any]:
    """What a broker wants to know of it; one without a job is somebody's who computes by hand."""
    job = lease["job"] or {"id": None, "resubmission": 0}
    return {
        "job_id": job["id"],
        "resubmission": job["resubmission"],
        "gpu_ids": [unit["id"] for unit in lease["units"]],
        "since_at": lease["since_at"],
    }
