"""`gpuctl sanity`: prove that the GPUs compute, where the job will run.

Exit codes: 0 all levels hold, 1 one does not or there is no GPU, 2 a wrong call, 3 it could not be
tried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from gpuctl.commands.shared import flags_alone, guarded, switched_on
from gpuctl.containers.choose import Wish, choose_container
from gpuctl.errors import UsageError
from gpuctl.gpus import Gpu
from gpuctl.host import Host
from gpuctl.jdl.units import parse_duration, parse_gpu_memory
from gpuctl.sanity.answer import Answer
from gpuctl.sanity.check import DEADLINE_SECONDS, WRITE_BYTES, Question, check_gpus
from gpuctl.sanity.demand import Demand
from gpuctl.settings import Settings

__all__ = ["main"]

VERB = "sanity"
HEALTHY, UNHEALTHY = 0, 1
_SETTINGS = ("root", "state_dir", "pci_ids", "container", "image", "fence")


def main(arguments: Sequence[str] | None = None) -> int:
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = flags_alone(VERB, arguments, "a GPU is `--gpu ID`")
    if given is None:
        return HEALTHY
    answer = _answer(given)
    _print(answer, given)
    return HEALTHY if answer.verdict == "pass" else UNHEALTHY


def _answer(given: argparse.Namespace) -> Answer:
    settings = Settings.load({name.replace("_", "-"): getattr(given, name) for name in _SETTINGS})
    node = Host(root=settings.root, state_dir=settings.text("state_dir")).discover().gpus
    gpus = _chosen(given.gpu or [], node)
    wish = Wish(
        runtime=settings.text("container") or "auto",
        gpu_ids=tuple(gpu.id for gpu in gpus),
        vendors=tuple(gpu.vendor for gpu in gpus),
    )
    question = Question(
        gpus=gpus,
        node=node,
        container=choose_container(wish, settings, os.environ),
        api=given.api or "auto",
        cpu_device=switched_on(given, "cpu_device"),
        write_bytes=_bytes(given.write_memory) or WRITE_BYTES,
        deadline=DEADLINE_SECONDS if given.deadline is None else _seconds(given.deadline),
        demand=Demand(
            _bytes(given.min_memory), given.min_driver, given.min_runtime, given.min_capability
        ),
    )
    return check_gpus(question, settings)


def _chosen(ids: Sequence[str], node: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    known = {gpu.id: gpu for gpu in node}
    for each in ids:
        if each not in known:
            raise UsageError(f"no GPU `{each}` on this node: `gpuctl discover` lists them")
    if ids:
        return tuple(known[each] for each in dict.fromkeys(ids))
    return tuple(gpu for gpu in node if gpu.usable and gpu.allotted)


def _bytes(text: str | None) -> int | None:
    return None if text is None else parse_gpu_memory(text)


def _seconds(text: str) -> float:
    seconds = parse_duration(text)
    if seconds == 0:
        raise UsageError("`--deadline`: give a time above 0")
    return float(seconds)


def _print(answer: Answer, given: argparse.Namespace) -> None:
    if switched_on(given, "json"):
        sys.stdout.write(json.dumps(answer.to_json(), ensure_ascii=False) + "\n")
        return
    from gpuctl.sanity.text import render

    sys.stdout.write(render(answer))


if __name__ == "__main__":
    sys.exit(main())
