"""The report for people: one line a fact, aligned, readable without colour.

    job 1234
      state        done, exit code 0
      wall time    12.3 s
      CPU time     45.6 s
      peak memory  1.2 GiB
      GPUs         0000:63:00.0 Radeon Instinct MI50 32GB
      fence        pid_namespace; devices: advisory
      kept         2 files in ./gpuctl-1234: data.root, stdout

Text from payloads and files is shown with control characters escaped: a report on a terminal must
not be able to move the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpuctl import _core
from gpuctl.gpus import Gpu
from gpuctl.report import Report

__all__ = ["escaped", "memory_text", "render"]

_SHOWN_FILES = 12
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def render(report: Report) -> str:
    rows = [(name, text) for name, texts in _rows(report) for text in texts]
    width = max(len(name) for name, _ in rows)
    again = f", resubmission {report.resubmission}" if report.resubmission else ""
    lines = [f"job {report.id}{again}"]
    seen = ""
    for name, text in rows:
        label = "" if name == seen else name
        lines.append(f"  {label:<{width}}  {escaped(text)}")
        seen = name
    return "\n".join(lines) + "\n"


def memory_text(size: int | None) -> str:
    """`1.2 GiB`; `unknown` for None."""
    if size is None:
        return "unknown"
    value, unit = float(size), 0
    while value >= 1024 and unit + 1 < len(_UNITS):
        value, unit = value / 1024, unit + 1
    return f"{size} bytes" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def escaped(text: str) -> str:
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )


def _rows(report: Report) -> Iterable[tuple[str, Iterable[str]]]:
    """Name and lines; a fact that does not apply has none."""
    yield "state", (_state(report),)
    yield "reason", _reason(report)
    yield "command", (" ".join(report.command),) if report.command else ()
    if report.started_at is not None:
        yield "started", (report.started_at,)
        yield "wall time", (_core.duration_text(report.wall_usec),)
        yield "CPU time", (_duration(report.cpu_usec),)
        yield "peak memory", (memory_text(report.memory_peak_bytes),)
    yield "GPUs", [_gpu(gpu) for gpu in report.gpus] or ("none",)
    yield "fence", _fence(report)
    yield "work directory", _workdir(report)
    yield "kept", _kept(report)
    yield "left behind", report.left
    yield "problem", report.problems


def _state(report: Report) -> str:
    if report.state == "never_started":
        return f"never started (exit code {report.exit_code})"
    ended = f"exit code {report.payload_exit_code}"
    if report.payload_exit_code is None:
        number = "an unknown signal" if report.signal is None else f"signal {report.signal}"
        ended = f"ended by {report.signal_name or number}"
    if report.core_dumped:
        ended += ", core dumped"
    if report.state == "survivors":
        return f"{ended}; processes of it are left that nothing can end"
    return f"done, {ended}"


def _reason(report: Report) -> Iterable[str]:
    reason = report.kill_reason
    if not reason:
        return
    jalien = f", {reason.jalien_code} in JAliEn" if reason.jalien_code != reason.code else ""
    yield f"{reason.name} ({reason.code}{jalien}): {reason.text or _meaning(reason.name)}"


def _meaning(name: str) -> str:
    return next((row["meaning"] for row in _core.kill_reasons() if row["name"] == name), "")


def _duration(usec: int | None) -> str:
    return "unknown" if usec is None else _core.duration_text(usec)


def _gpu(gpu: Gpu) -> str:
    return f"{gpu.id} {gpu.model or 'without a name'}, {memory_text(gpu.memory_total_bytes)}"


def _fence(report: Report) -> Iterable[str]:
    if report.fence.process is None:
        return
    yield f"processes: {report.fence.process}; devices: {report.fence.device}"
    yield from report.fence.notes


def _workdir(report: Report) -> Iterable[str]:
    if report.workdir is None:
        return
    if report.workdir in report.cleaned:
        yield f"{report.workdir} (removed)"
    elif any(each.startswith(report.workdir) for each in report.left):
        yield f"{report.workdir} (still there)"
    else:
        yield report.workdir


def _kept(report: Report) -> Iterable[str]:
    if report.output_dir is None:
        return
    if not report.kept:
        yield "no file matched what was to be kept"
        return
    names = ", ".join(report.kept[:_SHOWN_FILES])
    more = len(report.kept) - _SHOWN_FILES
    files = "1 file" if len(report.kept) == 1 else f"{len(report.kept)} files"
    yield f"{files} in {report.output_dir}: {names}" + (f" and {more} more" if more > 0 else "")
