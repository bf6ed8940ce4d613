"""The job's GPUs, reserved from before its container is made until its supervisor is gone.

The supervisor inherits the lease's descriptors: should we die, the GPUs stay taken as long as it
lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from gpuctl.containers.request import LeaseFile
from gpuctl.errors import GpuctlError, UnavailableError, UnsupportedError
from gpuctl.host import Host
from gpuctl.jdl import GpuWish, JobRequest
from gpuctl.job.gpus import rejected_json
from gpuctl.job.options import JobOptions
from gpuctl.job.refusal import RefusedError
from gpuctl.job.signals import Signals
from gpuctl.job.trace import Trace
from gpuctl.leases import HeldLease
from gpuctl.match.gpus import Choice

__all__ = ["Leased", "leased_gpus"]


@dataclass(frozen=True)
class Leased:
    """`choice` has the GPUs that were given in the end; `id` is None where there are none."""

    choice: Choice
    id: str | None = None
    file: LeaseFile | None = None  # for the container
    descriptors: tuple[int, ...] = ()


@contextmanager
def leased_gpus(
    request: JobRequest,
    options: JobOptions,
    host: Host,
    choice: Choice,
    signals: Signals,
    trace: Trace,
    exclude: Iterable[str],
    problems: list[str],
) -> Iterator[Leased]:
    """Raises RefusedError where others have the GPUs, and the job cannot do without. GPUs of
    `exclude` are not taken; `problems` gets what keeps them from being given back.
    """
    wish = request.gpu
    if wish is None or not choice.ok:
        yield Leased(choice)
        return
    try:
        held = _reserve(wish, options, host, signals, " ".join(request.command), exclude)
    except (UnavailableError, UnsupportedError) as error:  # the latter: `ledger_scope`
        yield Leased(_without(wish, choice, error, signals, trace))
        return
    trace.say(f"the job gets {', '.join(held.gpu_ids)} (lease {held.lease.id})")
    try:
        file = _file_of(held, problems)
        yield Leased(_with(choice, held, host), held.lease.id, file, held.descriptors)
    finally:
        _give_back(held, trace, problems)


def _reserve(
    wish: GpuWish,
    options: JobOptions,
    host: Host,
    signals: Signals,
    command: str,
    exclude: Iterable[str],
) -> HeldLease:
    return host.reserve(
        wish.count,
        vendor=wish.vendors,
        model=wish.models,
        architecture=wish.architectures,
        min_memory=wish.memory_bytes,
        exclude=tuple(exclude),
        wait=options.wait,
        job=options.job,
        resubmission=int(options.resubmission),
        command=command,
        stop=lambda: bool(signals.ending),
    )


def _without(
    wish: GpuWish, choice: Choice, error: GpuctlError, signals: Signals, trace: Trace
) -> Choice:
    signals.check()
    if wish.required:
        rejected = rejected_json(choice)
        raise RefusedError("GPU_UNAVAILABLE", str(error), rejected=rejected) from None
    trace.say(f"{error}, and `GPURequired` is false: the job runs CPU-only")
    return replace(choice, ok=False, gpus=(), reason=str(error), cpu_only=True)


def _with(choice: Choice, held: HeldLease, host: Host) -> Choice:
    records = {gpu.id: gpu.to_json() for gpu in host.discover().gpus}
    return replace(choice, gpus=tuple(records[each] for each in held.gpu_ids))


def _file_of(held: HeldLease, problems: list[str]) -> LeaseFile | None:
    """Without one the job runs all the same."""
    try:
        return LeaseFile(held.lease.id, held.publish())
    except GpuctlError as error:
        problems.append(f"no lease file: {error}")
        return None


def _give_back(held: HeldLease, trace: Trace, problems: list[str]) -> None:
    lease = held.release()
    if not lease.blockers and lease.unknown is None:
        return
    who = "; ".join(f"pid {each.pid} `{each.name}` {each.what}" for each in lease.blockers)
    words = f"lease {lease.id} stays `releasing`: {who or lease.unknown}"
    trace.error(words)
    problems.append(words)
