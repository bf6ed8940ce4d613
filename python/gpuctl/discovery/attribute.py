"""Which process of which job uses a GPU: the tools' lists joined with the kernel's.

The kernel's figures (`usage.py`) fill what a tool cannot tell, and add processes that it does not
list. A process belongs to the job whose mark (ALIEN_PROC_ID) is in its initial environment, else
to the one whose cgroup it is in: other users' environments cannot be read, and anybody may wipe
his own. Neither: None.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from gpuctl import _core
from gpuctl.discovery.reading import Process
from gpuctl.discovery.usage import Usage, read_usage
from gpuctl.errors import GpuctlError

__all__ = ["attribute_jobs"]

_JOB_VARIABLE = "ALIEN_PROC_ID"
_JOB_GROUP = re.compile(r"/job-([^/\n]+)\.[0-9a-f]{12}(?=/|$)", re.MULTILINE)  # ID and nonce


def attribute_jobs(answer: dict[str, Any], root: str) -> dict[str, Any]:
    """The answer with processes and jobs filled in."""
    usage = read_usage(root)
    jobs = _jobs(root)
    gpus = [_with_processes(gpu, usage, jobs, root) for gpu in answer["gpus"]]
    return {**answer, "gpus": gpus}


def _with_processes(
    gpu: dict[str, Any], usage: Usage, jobs: dict[int, str], root: str
) -> dict[str, Any]:
    told = gpu["telemetry"]
    rows = {row["pid"]: dict(row) for row in told["processes"] or []}
    if gpu["kind"] != "partition":  # an address is the card's, not its partitions'
        for pid, process in usage.processes.get(gpu["pci_address"] or "", {}).items():
            rows[pid] = _merged(rows.get(pid), process)
    for pid, row in rows.items():
        row["job"] = jobs.get(pid) or _job_by_group(root, pid)
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


def _job_by_group(root: str, pid: int) -> str | None:
    try:
        text = Path(root, "proc", str(pid), "cgroup").read_text("utf-8", "replace")
    except OSError:
        return None
    found: list[str] = _JOB_GROUP.findall(text)
    return found[-1] if found else None  # a job within a job: the inner one's
