"""Report: what became of one job. A typed, frozen view of the JSON that `gpuctl run` writes.

`exit_code` is what gpuctl itself ends with; whether the payload ran, and how it ended, is in
`state`, `payload_exit_code`, `signal` and `kill_reason`. None is unknown or does not apply.

Example:
    report = gpuctl.run(["./simulate"], ttl="2h")
    if report.kill_reason.name == "TTL":
        print(report.render())
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuctl.errors import MalformedError
from gpuctl.gpus import Gpu

__all__ = ["Fence", "KillReason", "Report", "TimelineEntry", "TraceLine"]

SCHEMAS = ("gpuctl.run/1", "gpuctl.job/1")


@dataclass(frozen=True)
class KillReason:
    """Why the job ended other than by itself; `OK` when it did. `text` says it in words."""

    code: int
    name: str
    jalien_code: int
    text: str | None

    def __bool__(self) -> bool:
        return self.name != "OK"


@dataclass(frozen=True)
class Fence:
    """What was demanded, and what kept the payload's processes and devices apart."""

    demanded: str | None
    process: str | None
    device: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TimelineEntry:
    at: str
    event: str


@dataclass(frozen=True)
class TraceLine:
    at: str
    level: str
    text: str


@dataclass(frozen=True)
class Report:
    """One job's report; `to_json()` is the whole of it."""

    id: str
    resubmission: int
    nonce: str
    command: tuple[str, ...]
    state: str  # never_started, done or survivors
    started_at: str | None  # RFC 3339, UTC
    ended_at: str
    exit_code: int
    payload_exit_code: int | None
    signal: int | None
    signal_name: str | None
    core_dumped: bool
    kill_reason: KillReason
    wall_usec: int
    cpu_user_usec: int | None
    cpu_system_usec: int | None
    memory_peak_bytes: int | None
    gpus: tuple[Gpu, ...]
    fence: Fence
    workdir: str | None
    output_dir: str | None
    kept: tuple[str, ...]
    cleaned: tuple[str, ...]
    left: tuple[str, ...]
    problems: tuple[str, ...]
    timeline: tuple[TimelineEntry, ...]
    trace: tuple[TraceLine, ...]
    _json: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> Report:
        """The report that `gpuctl run --report` or `gpuctl job --report` wrote."""
        if report.get("schema") not in SCHEMAS:
            raise MalformedError(f"`{report.get('schema')}` is no report, give one of {SCHEMAS}")
        try:
            return cls(**_values(report), _json=copy.deepcopy(dict(report)))
        except (KeyError, TypeError) as error:
            raise MalformedError(f"the report is not understood: {error}") from None

    @property
    def ok(self) -> bool:
        """It ran, ended by itself, and said that all went well."""
        return self.state == "done" and self.payload_exit_code == 0 and not self.kill_reason

    @property
    def cpu_usec(self) -> int | None:
        if self.cpu_user_usec is None or self.cpu_system_usec is None:
            return None
        return self.cpu_user_usec + self.cpu_system_usec

    def to_json(self) -> dict[str, Any]:
        return copy.deepcopy(dict(self._json))

    def render(self) -> str:
        """The report for people: aligned lines, no colour, ends in a newline."""
        from gpuctl.report_text import render

        return render(self)


def _values(report: Mapping[str, Any]) -> dict[str, Any]:
    job, ended, fence = report["job"], report["exit"], report["fence"]
    return {
        "id": job["id"],
        "resubmission": job["resubmission"],
        "nonce": job["nonce"],
        "exit_code": ended["gpuctl_exit_code"],
        "payload_exit_code": ended["code"],
        "signal": ended["signal"],
        "signal_name": ended["signal_name"],
        "core_dumped": ended["core_dumped"],
        "kill_reason": _kill_reason(report["kill_reason"]),
        "gpus": tuple(Gpu.from_json(each) for each in report["gpus"]),
        "fence": Fence(fence["demanded"], fence["process"], fence["device"], tuple(fence["notes"])),
        "timeline": tuple(TimelineEntry(each["at"], each["event"]) for each in report["timeline"]),
        "trace": tuple(
            TraceLine(each["at"], each["level"], each["text"]) for each in report["trace"]
        ),
        **{name: report[name] for name in _PLAIN},
        **{name: tuple(report[name]) for name in _LISTS},
    }


_PLAIN = (
    *("state", "started_at", "ended_at", "wall_usec", "cpu_user_usec", "cpu_system_usec"),
    *("memory_peak_bytes", "workdir", "output_dir"),
)
_LISTS = ("command", "kept", "cleaned", "left", "problems")


def _kill_reason(reason: Mapping[str, Any]) -> KillReason:
    return KillReason(
        reason["code"], reason["name"], reason["jalien_code"], reason["detail"].get("text")
    )
