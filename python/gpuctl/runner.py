"""`gpuctl.run()`: one payload under the C++ supervisor, from Python.

Example:
    report = gpuctl.run(["./simulate"], gpus=["0000:63:00.0"], ttl="2h", workdir="/scratch",
                        keep=["*.root"], output="results")
    assert report.ok, report.render()
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Callable, Union

from gpuctl.durations import Duration, flag_text
from gpuctl.errors import GpuctlError, UsageError, error_for
from gpuctl.gpus import Gpu
from gpuctl.leases import HeldLease
from gpuctl.report import Report
from gpuctl.settings import Settings
from gpuctl.supervisor import Ended, Stream, Supervisor

__all__ = ["run"]

StrPath = Union[str, "os.PathLike[str]"]
Event = Mapping[str, Any]

# read by gpuctl itself, or by the loader before it: such a variable goes to the payload alone
_NOT_FOR_US = ("GPUCTL_", "LD_")


def run(
    argv: Sequence[StrPath],
    *,
    job: str | None = None,
    resubmission: int = 0,
    gpus: Sequence[str | Gpu] = (),
    lease: str | HeldLease | None = None,
    wait: Duration | None = None,
    ttl: Duration | None = None,
    forced_kill_timeout: Duration | None = None,
    outer_grace: Duration | None = None,
    workdir: StrPath | None = None,
    output: StrPath | None = None,
    keep: Sequence[str] = (),
    inputs: Sequence[StrPath] = (),
    env: Mapping[str, str | None] | None = None,
    capture_output: bool = False,
    memory: str | None = None,
    cpus: float | str | None = None,
    pids: int | None = None,
    cgroups: bool = True,
    leave_slot: str | None = None,
    fence: str | None = None,
    state_dir: StrPath | None = None,
    root: StrPath | None = None,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    on_event: Callable[[Event], object] | None = None,
    die_with_parent: bool = False,
) -> Report:
    """Run `argv` and wait for its end; what became of it is in the report, whatever it was.

    gpus: ids of `Host.discover()`, or the records themselves; they are reserved for it, and it
    waits for them as long as `wait` says. lease: use those of a lease instead. ttl,
    forced_kill_timeout, outer_grace: whole seconds, or text such as `10m`. workdir: the parent of
    the work directory;
    inputs are copied into it, files that match keep are copied to output (default `./gpuctl-ID`).
    memory: what the job may use, `8GB` or `8000` (MB), in steps of 1024. cpus: CPU time, in CPUs.
    cgroups: whether it gets a cgroup of its own where the slot allows one. leave_slot: `never` if
    gpuctl must not go to a scope of systemd for it.
    env: laid over this process's environment, None removes a variable. stdin, stdout, stderr: as
    for subprocess, without PIPE. on_event: called with each event while the job runs; an exception
    of it ends the job.

    Raises only where there is no report: UsageError for a call that makes no sense,
    UnavailableError and others where gpuctl itself could not do its work. An exception that comes
    while waiting (Ctrl-C) ends the job, and is raised when nothing of it is left.
    """
    flags = {
        "job": job,
        "resubmission": str(resubmission),
        "wait": flag_text(wait, "wait"),
        "lease": lease.lease.id if isinstance(lease, HeldLease) else lease,
        "ttl": flag_text(ttl, "ttl"),
        "forced-kill-timeout": flag_text(forced_kill_timeout, "forced_kill_timeout"),
        "outer-grace": flag_text(outer_grace, "outer_grace"),
        "workdir": _path(workdir),
        "output": _path(output),
        "memory": memory,
        "cpus": None if cpus is None else str(cpus),
        "pids": None if pids is None else str(pids),
        "leave-slot": leave_slot,
        "fence": fence,
        "state-dir": _path(state_dir),
        "root": _path(root),
    }
    Settings.load(flags)  # the same checks as the command's, raised here as what they are
    switches = {
        "capture-output": capture_output,
        "die-with-parent": die_with_parent,
        "no-cgroups": not cgroups,
    }
    lists = {
        "gpu": [gpu.id if isinstance(gpu, Gpu) else gpu for gpu in gpus],
        "keep": keep,
        "input": [os.fspath(path) for path in inputs],
    }
    environment, own = _environment(env or {})
    command = [os.fspath(word) for word in _checked(argv)]
    arguments = ["-q", *spelled(flags, switches, {**lists, "env": own}), "--", *command]
    inherited = lease.descriptors if isinstance(lease, HeldLease) else ()
    return _supervise(arguments, environment, (stdin, stdout, stderr), on_event, inherited)


def spelled(
    flags: Mapping[str, str | None],
    switches: Mapping[str, bool],
    lists: Mapping[str, Sequence[str]],
) -> list[str]:
    """The command line; `--name=value` keeps a value that begins with a dash a value."""
    words = [f"--{name}={value}" for name, value in flags.items() if value is not None]
    words += [f"--{name}" for name, on in switches.items() if on]
    for name, values in lists.items():
        if isinstance(values, str):
            raise UsageError(f"`{name}` is one text, give a list of them")
        words += [f"--{name}={value}" for value in values]
    return words


def _checked(argv: Sequence[StrPath]) -> Sequence[StrPath]:
    if isinstance(argv, (str, bytes)):
        raise UsageError("`argv` is one text, give a list of the command and its arguments")
    if not argv or not os.fspath(argv[0]):
        raise UsageError("`argv` is empty, give a list of the command and its arguments")
    return argv


def _path(path: StrPath | None) -> str | None:
    return None if path is None else os.fspath(path)


def _environment(env: Mapping[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """The supervisor's environment, which the payload inherits, and what only the payload gets.

    Values do not go on the command line where it can be avoided: everyone on the node reads that.
    """
    wrong = [name for name in env if not name or "=" in name or "\0" in name]
    if wrong:
        raise UsageError(f"`{wrong[0]}` cannot be the name of a variable")
    inherited = {name: value for name, value in os.environ.items() if name not in env}
    own = []
    for name, value in env.items():
        if value is None:
            continue
        if name.startswith(_NOT_FOR_US):
            own.append(f"{name}={value}")
        else:
            inherited[name] = value
    return inherited, own


def _supervise(
    arguments: list[str],
    environment: dict[str, str],
    streams: tuple[Stream, Stream, Stream],
    on_event: Callable[[Event], object] | None,
    inherited: tuple[int, ...],
) -> Report:
    stdin, stdout, stderr = streams
    read_end, write_end = os.pipe()
    supervisor = Supervisor(
        [f"--events=fd:{write_end}", *arguments],
        env=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=inherited,
        hand_over=(write_end,),
    )
    with os.fdopen(read_end, "rb") as events, supervisor:
        refusal = None
        for event in _read_events(events):
            refusal = event if event["event"] == "error" else refusal
            if on_event is not None:
                on_event(event)
        ended = supervisor.wait()
    return _report_of(ended, refusal)


def _read_events(stream: Iterable[bytes]) -> Iterator[Event]:
    """Until the last one, or until the supervisor closes it; its own last line may be half one."""
    for line in stream:
        if not line.endswith(b"\n"):
            return
        event = json.loads(line)
        yield event
        if event["event"] in ("end", "error"):
            return


def _report_of(ended: Ended, refusal: Event | None) -> Report:
    if ended.report is not None:
        return Report.from_json(ended.report)
    if refusal is not None:
        raise error_for(refusal["code"], refusal["text"])
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise GpuctlError(
            f"the supervisor was ended by {name}; the next `gpuctl run` of this user cleans up"
        )
    raise GpuctlError(
        f"the supervisor ended with {ended.returncode} and left no report; its words are on stderr"
    )
