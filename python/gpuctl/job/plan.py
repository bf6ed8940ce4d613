"""A job as the command line of one `gpuctl run`, and the times that hold for it.

Of the times, a flag is taken as it is (the core refuses one that is weaker than what the site
enforces). Else the JDL's value holds, cut to what the site allows: `ttl` of the settings is the
longest run time here, whoever asks for more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gpuctl import _core
from gpuctl.containers.choose import Container
from gpuctl.containers.request import WORKDIR_INSIDE, Launch
from gpuctl.jdl import Jdl, JobRequest
from gpuctl.job.files import kept_patterns, local_executable, local_inputs
from gpuctl.job.options import JobOptions
from gpuctl.job.report_file import is_plain
from gpuctl.job.trace import Trace
from gpuctl.runner import spelled
from gpuctl.settings import Settings

__all__ = ["Plan", "make_plan"]

USEC = 1_000_000


@dataclass(frozen=True)
class Plan:
    """`command` is the payload's; `arguments` are those of `gpuctl run`."""

    command: tuple[str, ...]
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def make_plan(
    request: JobRequest,
    doc: Jdl,
    options: JobOptions,
    lease_id: str | None,
    trace: Trace,
    container: Container,
) -> Plan:
    """Raises RefusedError where an input cannot be had."""
    folder = Path(options.jdl).resolve().parent
    settings = Settings.load(options.settings_flags())
    inputs = local_inputs(request, folder)
    command = (local_executable(request, folder), *request.argv)
    launch = Launch(command, request.variables)
    if container.runtime is not None:
        inputs, command = _inside(request, folder, inputs)
        launch = container.launch(command)
    flags = {
        "job": options.job,
        "resubmission": options.resubmission,
        "root": options.root,
        "state-dir": options.state_dir,
        "fence": options.fence,
        "outer-grace": options.outer_grace,
        "leave-slot": options.leave_slot,
        "ledger-scope": options.ledger_scope,
        "lease": lease_id,
        "output": options.output,
        "events": options.events,
        "report": options.report if is_plain(options.report) else None,
        "workdir": settings.text("workdir") or os.environ.get("TMPDIR") or "/tmp",
        "memory": options.memory or _memory(request, doc),
        "ttl": options.ttl or _ttl(request, settings, trace),
        "forced-kill-timeout": options.forced_kill_timeout or _forced_kill(request, doc, settings),
    }
    lists = {
        "input": inputs,
        "keep": kept_patterns(request, options.json),
    }
    if container.runtime is not None:  # the namespaces are its own
        flags["process-fence"] = "runtime"
    switches = {
        "capture-output": options.json,
        "quiet": options.quiet,
        "no-cgroups": options.no_cgroups,
    }
    switches["fence-inside"] = container.runtime is not None
    arguments = (*spelled(flags, switches, lists), "--", *launch.argv)
    return Plan(command, arguments, launch.environ(os.environ))


def _inside(
    request: JobRequest, folder: Path, inputs: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """An absolute Executable is the image's; any other comes into the work directory."""
    if request.executable.startswith("/"):
        return inputs, (request.executable, *request.argv)
    executable = local_executable(request, folder)
    name = Path(executable).name
    brought = inputs if executable in inputs else (executable, *inputs)
    return brought, (f"{WORKDIR_INSIDE}/{name}", *request.argv)


def _ttl(request: JobRequest, settings: Settings, trace: Trace) -> str:
    limit = settings.usec("ttl")
    if limit is None or request.ttl_seconds * USEC <= limit:
        return f"{request.ttl_seconds}s"
    allowed = _core.duration_text(limit)
    trace.warn(f"its TTL of {request.ttl_seconds} s is cut to {allowed}: {settings.origin('ttl')}")
    return f"{limit // USEC}s"


def _memory(request: JobRequest, doc: Jdl) -> str | None:
    """A fifth more than it asked for, as JAliEn allows it; None where it asked for nothing."""
    return f"{request.memory_bytes * 6 // 5}B" if "MemorySize" in doc else None


def _forced_kill(request: JobRequest, doc: Jdl, settings: Settings) -> str | None:
    """None: what the settings say."""
    if "ForcedKillTimeout" not in doc:
        return None
    limit = settings.usec("forced_kill_timeout")
    if limit is not None and settings.is_enforced("forced_kill_timeout"):
        return f"{min(limit // USEC, request.forced_kill_timeout_seconds)}s"
    return f"{request.forced_kill_timeout_seconds}s"
