"""Where a job runs: its container, and the proof that its GPUs compute in it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from gpuctl import _core
from gpuctl.containers.choose import Container, ContainerError, Wish, choose_container
from gpuctl.errors import GpuctlError
from gpuctl.gpus import Gpu
from gpuctl.host import Host
from gpuctl.jdl import JobRequest
from gpuctl.job.lease import Leased
from gpuctl.job.options import JobOptions
from gpuctl.job.refusal import RefusedError
from gpuctl.job.trace import Trace
from gpuctl.sanity.answer import Answer
from gpuctl.sanity.check import Question
from gpuctl.sanity.check import check_gpus as ask_gpus
from gpuctl.sanity.demand import Demand
from gpuctl.settings import Settings

__all__ = ["Place", "check_gpus", "place_of", "quarantine"]


@dataclass(frozen=True)
class Place:
    container: Container
    settings: Settings
    gpu_ids: tuple[str, ...]
    demand: Demand
    lease: str | None = None
    image_is_the_jobs: bool = False  # named by its JDL: whoever made it may lie about GPUs


def place_of(request: JobRequest, options: JobOptions, leased: Leased, trace: Trace) -> Place:
    """Raises RefusedError: CONTAINER, or GPU_SANITY where the GPU's library cannot load in it."""
    settings = Settings.load(options.settings_flags())
    choice = leased.choice
    wish = Wish(
        runtime=settings.text("container") or "auto",
        image=options.image,
        job_container=request.job_container,
        platform=request.platform,
        gpu_ids=choice.ids,
        vendors=tuple(str(gpu["vendor"]) for gpu in choice.gpus),
        variables=request.variables,
        memory_bytes=request.memory_bytes,
        lease=leased.file,
    )
    try:
        container = choose_container(wish, settings, os.environ)
    except ContainerError as error:
        raise RefusedError("GPU_SANITY" if error.sanity else "CONTAINER", str(error)) from None
    _tell(container, trace)
    memory = request.gpu.memory_bytes if request.gpu is not None else None
    return Place(
        container,
        settings,
        choice.ids,
        Demand(memory_bytes=memory),
        leased.id,
        image_is_the_jobs=container.image_is_the_jobs,
    )


def check_gpus(place: Place, options: JobOptions, trace: Trace) -> Answer | None:
    """None: not looked at. Raises RefusedError GPU_SANITY when a GPU does not compute."""
    when = place.settings.text("sanity")
    stand_in = place.settings.root != "/"  # no vendor's library is started for it
    if not place.gpu_ids or when == "never" or (stand_in and when != "always"):
        return None
    answer = _ask(place, options)
    trace.mark("checked")
    if answer.verdict == "pass":
        trace.say(f"sanity: {len(place.gpu_ids)} GPU computed the right answer")
    elif answer.verdict == "fail" or when == "always":
        detail = {"sanity": answer.to_json(), "gpus": list(answer.failed_gpus)}
        raise RefusedError("GPU_SANITY", answer.words, **detail)
    else:
        trace.warn(f"sanity: not proven: {answer.words}")
    return answer


def _ask(place: Place, options: JobOptions) -> Answer:
    host = Host(root=options.root, state_dir=options.state_dir)
    try:
        node: tuple[Gpu, ...] = host.discover().gpus
        gpus = tuple(gpu for gpu in node if gpu.id in place.gpu_ids)
        question = Question(gpus, node, place.container, demand=place.demand, lease=place.lease)
        return ask_gpus(question, place.settings)
    except GpuctlError as error:
        raise RefusedError("GPU_SANITY", f"it could not be tried: {error}") from None


def quarantine(place: Place, gpu_ids: Sequence[str], why: str, trace: Trace) -> None:
    """No further job gets these GPUs until one has passed the check again; the node goes on. What a
    library says that the job itself brought counts for this job only."""
    for gpu_id in gpu_ids:
        trace.warn(f"GPU {gpu_id} is not taken: {why}")
        if place.image_is_the_jobs:
            continue
        try:
            _core.quarantine_gpu(
                place.settings.root, place.settings.text("state_dir"), gpu_id, f"sanity: {why}"
            )
        except GpuctlError as error:
            trace.warn(f"GPU {gpu_id} could not be drained: {error}")


def _tell(container: Container, trace: Trace) -> None:
    for words in container.warnings:
        trace.warn(f"container: {words}")
    for words in container.words if container.runtime is not None else ():
        trace.say(f"container: {words}")
