"""A round of Site Sonar: ask which probes are wanted, run them, upload, read the constraints.

Offline nobody is asked: all probes run, or those that are named.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from gpuctl import _core
from gpuctl.errors import GpuctlError, UsageError
from gpuctl.sonar.client import Collector
from gpuctl.sonar.probes import Probes
from gpuctl.sonar.runner import ProbeResult, run_probe

__all__ = ["DEFAULT_DEADLINE_SECONDS", "offline_round", "online_round"]

SCHEMA = "gpuctl.sonar/1"
DEFAULT_DEADLINE_SECONDS = 60.0


def offline_round(
    names: Sequence[str] | None = None,
    probes: Probes | None = None,
    deadline: float = DEFAULT_DEADLINE_SECONDS,
) -> dict[str, Any]:
    """Raises NotFoundError for a probe that is not there."""
    known = probes or Probes()
    rows = []
    for name in names or known.names():
        rows.append({**_run(known, name, deadline).to_json(), "uploaded": None})
    hostname = os.environ.get("PARENT_HOSTNAME") or os.uname().nodename
    return _answer(hostname, os.environ.get("CE", ""), None, rows, None, [])


def online_round(
    collector: Collector,
    url: str,
    names: Sequence[str] | None = None,
    probes: Probes | None = None,
    deadline: float = DEFAULT_DEADLINE_SECONDS,
) -> dict[str, Any]:
    """A probe that the collector wants and this installation lacks is a problem, no error."""
    known = probes or Probes()
    rows, problems = [], []
    for name in names or collector.probes():
        try:
            result = _run(known, name, deadline)
        except GpuctlError as error:
            problems.append(str(error))
            continue
        rows.append({**result.to_json(), "uploaded": collector.upload(name, result.message)})
    constraints = collector.constraints()
    problems += collector.problems
    return _answer(collector.hostname, collector.ce_name, url, rows, constraints, problems)


def _run(probes: Probes, name: str, deadline: float) -> ProbeResult:
    if deadline <= 0:
        raise UsageError("the deadline is 0; no probe answers in no time")
    return run_probe(name, probes.path(name), deadline)


def _answer(
    hostname: str,
    ce_name: str,
    url: str | None,
    rows: list[dict[str, Any]],
    constraints: dict[str, Any] | None,
    problems: list[str],
) -> dict[str, Any]:
    failed = [f"{row['name']}: {row['problem']}" for row in rows if row["problem"]]
    return {
        "schema": SCHEMA,
        "created_at": _core.rfc3339(int(time.time() * 1e6)),
        "hostname": hostname,
        "ce_name": ce_name,
        "collector": url,
        "probes": rows,
        "constraints": constraints,
        "problems": [*failed, *problems],
    }
