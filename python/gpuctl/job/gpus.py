"""Which of the node's GPUs would do for the job. Which of them it gets is decided by the ledger, in
gpuctl.job.lease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gpuctl.errors import GpuctlError, UsageError
from gpuctl.gpus import Gpu, Inventory
from gpuctl.host import Host
from gpuctl.jdl import GpuWish
from gpuctl.job.refusal import RefusedError
from gpuctl.job.trace import Trace
from gpuctl.match.gpus import Choice, choose
from gpuctl.report_text import memory_text

__all__ = ["choose_gpus", "demand", "rejected_json"]


def choose_gpus(
    wish: GpuWish | None, host: Host, trace: Trace, failed: Mapping[str, str] | None = None
) -> Choice:
    """Look, tell, decide. A job that cannot have what it needs is refused by `demand`.

    `failed`: GPUs that were found not to compute, with the words; they are not taken again.
    """
    failed = failed or {}
    inventory = _look(host, trace)
    records = [gpu.to_json() for gpu in inventory.gpus] if inventory else []
    choice = choose(wish, [record for record in records if record["id"] not in failed])
    choice = replace(choice, rejected=(*choice.rejected, *failed.items()))
    if wish is None:
        trace.say(_cpu_only(inventory, "the job asks for no GPU"))
        return choice
    for gpu_id, why in choice.rejected:
        trace.say(f"GPU {gpu_id} will not do: {why}")
    if choice.ok:
        trace.say(choice.reason)
    elif choice.cpu_only:
        trace.say(_cpu_only(inventory, f"{choice.reason}, and `GPURequired` is false"))
    return choice


def demand(choice: Choice) -> None:
    """Raises RefusedError, with the reason for each GPU that will not do."""
    if not choice.ok and not choice.cpu_only:
        raise RefusedError("GPU_UNAVAILABLE", choice.reason, rejected=rejected_json(choice))


def rejected_json(choice: Choice) -> list[dict[str, str]]:
    return [{"id": gpu_id, "reason": why} for gpu_id, why in choice.rejected]


def _look(host: Host, trace: Trace) -> Inventory | None:
    """None where the node cannot be read at all: then no GPU is known, which is not no GPU."""
    try:
        inventory = host.discover()
    except UsageError:
        raise
    except GpuctlError as error:
        trace.warn(f"the node's GPUs are not known: {error}")
        return None
    for problem in inventory.problems:
        trace.warn(problem.detail)
    for gpu in inventory.gpus:
        trace.say(_line(gpu))
    return inventory


def _line(gpu: Gpu) -> str:
    memory = "" if gpu.memory_total_bytes is None else f", {memory_text(gpu.memory_total_bytes)}"
    state = "usable" if gpu.usable else f"not usable: {gpu.health.state}"
    return f"GPU {gpu.id}: {gpu.vendor} {gpu.model or 'without a name'}{memory}, {state}"


def _cpu_only(inventory: Inventory | None, why: str) -> str:
    if inventory is not None and not inventory.gpus:
        return "no GPU on this node: the job runs CPU-only"
    return f"{why}: the job runs CPU-only"
