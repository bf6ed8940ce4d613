"""The report of a whole job (docs/schema/job-report.json).

Of a job that ran it is the supervisor's report with the JDL, the choice of GPUs and our own trace
added; of one that was refused before, it has the same keys, and says that nothing ran.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gpuctl import _core
from gpuctl.containers.choose import Container
from gpuctl.gpus import plain
from gpuctl.jdl import JobRequest
from gpuctl.job.gpus import rejected_json
from gpuctl.job.options import JobOptions
from gpuctl.job.refusal import EXIT_NEVER_STARTED, RefusedError
from gpuctl.job.trace import Trace, now_usec
from gpuctl.match.answer import unmet_json
from gpuctl.match.gpus import Choice
from gpuctl.match.unmet import Unmet
from gpuctl.settings import Settings

__all__ = ["completed", "fence_json", "jdl_json", "match_json", "never_started"]

SCHEMA = "gpuctl.job/1"
USEC = 1_000_000


def completed(report: dict[str, Any], trace: Trace, **more: Any) -> dict[str, Any]:
    """The supervisor's report, with `more` and all of the story in the order of time."""
    story = {
        "timeline": _in_order(trace.timeline, report["timeline"]),
        "trace": _in_order(trace.lines, report["trace"]),
    }
    return {**report, "schema": SCHEMA, **story, **more}


def never_started(
    options: JobOptions, command: Sequence[str], refused: RefusedError
) -> dict[str, Any]:
    """The story is added by `completed`."""
    now = _core.rfc3339(now_usec())
    nonce = secrets.token_hex(16)
    return {
        "schema": SCHEMA,
        "job": {
            "id": options.job or f"job-{nonce[:12]}",
            "resubmission": int(options.resubmission),
            "nonce": nonce,
        },
        "command": list(command),
        "node": {"hostname": os.uname().nodename, "boot_id": _core.boot_id() or ""},
        "state": "never_started",
        "started_at": None,
        "ended_at": now,
        "exit": {
            "code": None,
            "signal": None,
            "signal_name": None,
            "core_dumped": False,
            "gpuctl_exit_code": EXIT_NEVER_STARTED,
        },
        "kill_reason": _kill_reason(refused),
        "wall_usec": 0,
        **dict.fromkeys(_NULLS_OF_USAGE),
        "gpus": [],
        **dict.fromkeys(("lease_id", "cgroup", "oom")),
        "fence": {
            "demanded": Settings.load(options.settings_flags()).text("fence"),
            "process": None,
            "device": "advisory",
            "proof": {"holds": False, "opened": [], "refused": [], "failure": None},
            "landlock": False,
            "seccomp": False,
            "signals_kept_in": False,
            "withheld": [],
            "notes": [],
        },
        "kill": None,
        "batch": {
            "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
            "htcondor_global_job_id": None,
        },
        **dict.fromkeys(("workdir", "output_dir")),
        **{name: [] for name in _LISTS},
    }


_NULLS_OF_USAGE = (
    *("cpu_user_usec", "cpu_system_usec"),
    *("memory_peak_bytes", "memory_peak_source"),
)
_LISTS = ("kept", "cleaned", "left", "problems", "timeline", "trace")


def jdl_json(path: str, request: JobRequest) -> dict[str, Any]:
    """What the JDL asks for, as gpuctl understood it."""
    return {
        "path": path,
        "warnings": [each._asdict() for each in request.warnings],
        "executable": request.executable,
        "arguments": list(request.argv),
        "gpu": None if request.gpu is None else plain(asdict(request.gpu)),
        "cpu_cores": request.cpu_cores,
        "memory_bytes": request.memory_bytes,
        "workdir_bytes": request.workdir_bytes,
        "ttl_usec": request.ttl_seconds * USEC,
        "forced_kill_timeout_usec": request.forced_kill_timeout_seconds * USEC,
        "packages": list(request.packages),
        "platform": request.platform,
        "requirements": request.requirements,
        "job_container": request.job_container,
    }


def match_json(choice: Choice | None, unmet: Sequence[Unmet]) -> dict[str, Any] | None:
    """None: it never came to a choice."""
    if choice is None:
        return None
    return {
        "chosen": list(choice.ids),
        "rejected": rejected_json(choice),
        "unmet": [unmet_json(each) for each in unmet],
        "reason": choice.reason,
        "cpu_only": not choice.ids and (choice.ok or choice.cpu_only),
    }


def fence_json(outside: dict[str, Any], container: Container) -> dict[str, Any]:
    """The supervisor's word, with the device fence that was proven inside the container."""
    inside = container.fence
    return outside if inside is None else {**outside, "device": inside["device"]}


def _kill_reason(refused: RefusedError) -> dict[str, Any]:
    (row,) = [row for row in _core.kill_reasons() if row["name"] == refused.kill_reason]
    return {
        "code": row["code"],
        "name": row["name"],
        "jalien_code": row["jalien_code"],
        "detail": {"text": str(refused), **refused.more},
    }


def _in_order(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """RFC 3339 in UTC sorts as text; within a millisecond ours came first."""
    return sorted([*ours, *theirs], key=lambda entry: str(entry["at"]))
