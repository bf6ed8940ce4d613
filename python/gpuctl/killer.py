"""`gpuctl.kill()`: end a job, a process tree or a cgroup, and know that nothing of it is left.

It works in this process and starts none: a payload that has used up the user's processes cannot
keep it from working. Only root, ending another user's job, does so through the `gpuctl` binary,
which acts as that user.

Example:
    report = gpuctl.kill(job="4711", grace="30s")
    assert report.ended, [str(each) for each in report.survivors]
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from gpuctl import _core
from gpuctl.binary import find_binary
from gpuctl.durations import Duration, flag_text
from gpuctl.errors import EXIT_USAGE, GpuctlError, UsageError
from gpuctl.settings import Settings

__all__ = ["KillReport", "Refused", "Survivor", "kill"]

StrPath = Union[str, "os.PathLike[str]"]

_DEFAULT_GRACE = "60s"
_MAX_GRACE_USEC = 600_000_000


@dataclass(frozen=True)
class Survivor:
    """A process that outlived its kill, and where in the kernel it waits."""

    pid: int
    name: str
    state: str
    wchan: str
    syscall: str | None
    cgroup: str | None

    def __str__(self) -> str:
        return f"pid {self.pid} `{self.name}`, state {self.state}, waits in `{self.wchan}`"


@dataclass(frozen=True)
class Refused:
    """A process that gpuctl would not signal, and why."""

    pid: int
    name: str
    reason: str


@dataclass(frozen=True)
class KillReport:
    """What a kill did and how sure it is.

    `proof` is `cgroup`, `pid_namespace`, `subreaper` or, weakest, `identities`; None while
    something lives. `signalled` processes were asked to end, `killed` ones got KILL. `unreaped` is
    the most zombies seen at once below a living parent of the job: nothing to end, but each counts
    against RLIMIT_NPROC and pids.max. `method` is None when nothing had to be done.
    """

    ended: bool
    method: str | None
    proof: str | None
    signalled: int
    killed: int
    survivors: tuple[Survivor, ...]
    refused: tuple[Refused, ...]
    rounds: int
    elapsed_usec: int
    problems: tuple[str, ...] = ()
    unreaped: int = 0

    @staticmethod
    def from_json(
        kill: Mapping[str, Any] | None, ended: bool, problems: Sequence[str] = ()
    ) -> KillReport:
        """From the value of `kill` in `gpuctl kill --json`, or in a job's report."""
        if kill is None:
            return KillReport(ended, None, None, 0, 0, (), (), 0, 0, tuple(problems))
        return KillReport(
            ended,
            kill["method"],
            kill["proof"],
            kill["signalled"],
            kill["killed"],
            tuple(_survivor(each) for each in kill["survivors"]),
            tuple(Refused(each["pid"], each["name"], each["reason"]) for each in kill["refused"]),
            kill["rounds"],
            kill["elapsed_usec"],
            tuple(problems),
            kill.get("unreaped", 0),  # a supervisor of an older gpuctl does not say
        )


def kill(
    *,
    pid: int | None = None,
    cgroup: StrPath | None = None,
    job: str | None = None,
    resubmission: int | None = None,
    grace: Duration | None = None,
    spare: Sequence[int | str] = (),
    state_dir: StrPath | None = None,
) -> KillReport:
    """End one of a process with its descendants, a cgroup, or a job; wait for the end.

    grace: between TERM and KILL, whole seconds or text such as `10m`, at most 10 minutes; default
    the job's ForcedKillTimeout, else 60 s. spare: pids, or entries `NAME=value` of an environment,
    that get no TERM and only the KILL at the deadline.

    Survivors are an answer, not an error: see `ended`. Raises UsageError for what must not be
    ended (this process, its ancestors, init, kernel threads, other users' processes) and
    NotFoundError where there is no such thing; nothing was signalled then.
    """
    if sum(each is not None for each in (pid, cgroup, job)) != 1:
        raise UsageError("give one of `pid`, `cgroup`, `job`")
    if resubmission is not None and (job is None or resubmission < 0):
        raise UsageError("`resubmission` goes with `job` and is not negative")
    spared = _spared(spare)
    if job is not None:
        return _kill_job(job, resubmission, _grace_usec(grace), spared, state_dir)
    usec = _grace_usec(_DEFAULT_GRACE if grace is None else grace) or 0
    if pid is not None:
        text = _core.kill_pid(_checked_pid(pid), usec, spared)
    else:
        text = _core.kill_cgroup(os.fspath(cgroup or ""), usec, spared)
    report = json.loads(text)
    return KillReport.from_json(report, report["proof"] is not None)


def _survivor(each: Mapping[str, Any]) -> Survivor:
    return Survivor(
        each["pid"],
        each["name"],
        each["state"],
        each["wchan"],
        each.get("syscall"),
        each.get("cgroup"),
    )


def _checked_pid(pid: int) -> int:
    if isinstance(pid, bool) or not isinstance(pid, int):
        raise UsageError(f"`pid` is a {type(pid).__name__}, give the number of a process")
    if not -(2**63) <= pid < 2**63:
        raise UsageError(f"pid {pid}: not a process that a job can have")
    return pid


def _spared(spare: Sequence[int | str]) -> list[str]:
    if isinstance(spare, (str, bytes, int)):
        raise UsageError("`spare` is one value, give a list of them")
    return [str(each) for each in spare]


def _grace_usec(grace: Duration | None) -> int | None:
    text = flag_text(grace, "grace")
    if text is None:
        return None
    usec = _core.parse_duration_usec(text, "`grace`")
    if usec > _MAX_GRACE_USEC:
        raise UsageError("`grace`: at most 600s")
    return usec


def _kill_job(
    job: str,
    resubmission: int | None,
    grace_usec: int | None,
    spared: list[str],
    state_dir: StrPath | None,
) -> KillReport:
    flag = None if state_dir is None else os.fspath(state_dir)
    state = Settings.load({"state-dir": flag}).text("state_dir")
    number = None if resubmission is None else str(resubmission)
    owner = _core.job_owner(state, job, number)
    if owner != os.geteuid():
        return _as_its_owner(job, number, grace_usec, spared, state)
    text, gone, problems = _core.kill_job(state, job, number, grace_usec, spared)
    return KillReport.from_json(json.loads(text), gone, problems)


def _as_its_owner(
    job: str, resubmission: str | None, grace_usec: int | None, spared: list[str], state: str | None
) -> KillReport:
    """By the binary, which gives up root first: this process keeps its user."""
    flags = {"job": job, "resubmission": resubmission, "state-dir": state}
    words = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    words += [f"--spare={each}" for each in spared]
    if grace_usec is not None:
        words.append(f"--grace={grace_usec // 1_000_000}")
    done = subprocess.run(
        [find_binary(), "kill", "--json", *words], capture_output=True, text=True, check=False
    )
    said = done.stderr.strip()
    if done.returncode == EXIT_USAGE:
        raise UsageError(said)
    if done.returncode not in (0, 1):
        raise GpuctlError(said)
    return KillReport.from_json(
        json.loads(done.stdout)["kill"], done.returncode == 0, said.splitlines()
    )
