"""Which process of which job uses a GPU: the tools' lists joined with the kernel's.

The kernel's figures (`usage.py`) fill what a tool cannot tell, and add processes that it does not
list. A process belongs to the job whose mark (ALIEN_PROC_ID) is in its initial environment; of
other users' processes that cannot be read, and stays None.
"""

from __future__ import annotations

import os
from typing import Any

from gpuctl import _core
from gpuctl.discovery.reading import Process
from gpuctl.discovery.usage import Usage, read_usage
from gpuctl.errors import GpuctlError

__all__ = ["attribute_jobs"]

_JOB_VARIABLE = "ALIEN_PROC_ID"


def attribute_jobs(answer: dict[str, Any], root: str) -> dict[str, Any]:
    """The answer with processes and jobs filled in."""
    usage = read_usage(root)
    jobs = _jobs(root)
    gpus = [_with_processes(gpu, usage, jobs) for gpu in answer["gpus"]]
    return {**answer, "gpus": gpus}


def _with_processes(gpu: dict[str, Any], usage: Usage, jobs: dict[int, str]) -> dict[str, Any]:
    told = gpu["telemetry"]
    rows = {row["pid"]: dict(row) for row in told["processes"] or []}
    if gpu["kind"] != "partition":  # an address is the card's, not its partitions'
        for pid, process in usage.processes.get(gpu["pci_address"] or "", {}).items():
            rows[pid] = _merged(rows.get(pid), process)
    for pid, row in rows.items():
        row["job"] = jobs.get(pid)
    known = told["processes"] is not None or bool(rows)
    processes = [rows[pid] for pid in sorted(rows)] if known else None
    return {**gpu, "telemetry": {**told, "processes": processes}}


def _merged(row: dict[str, Any] | None, process: Process) -> dict[str, Any]:
    found = {
        "pid": process.pid,
        "name": process.name,
        "memory_used_bytes": process.memory_used_bytes,
        "gpu_usec": process.gpu_usec,
        "job": None,
        "source": "kernel",
    }
    if row is not None:
        found.update({key: value for key, value in row.items() if value is not None})
    return found


def _jobs(root: str) -> dict[int, str]:
    """pid to job id, of this user's processes."""
    from gpuctl.discovery.child import rows_with_marks

    try:
        table = _core.take_snapshot(root, False, False, False, _JOB_VARIABLE, os.getuid())
    except GpuctlError:
        return {}
    return dict(rows_with_marks(table))
