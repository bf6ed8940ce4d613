"""The sanity check: the probe, run by the supervisor in the container and fence of the job.

Example:
    question = Question(gpus=inventory.gpus[:1], node=inventory.gpus, container=container)
    answer = check_gpus(question, settings)
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpuctl.binary import find_binary
from gpuctl.containers.choose import Container
from gpuctl.containers.request import TOOLS_INSIDE, Bind
from gpuctl.gpus import Gpu
from gpuctl.sanity.answer import LEVELS, Answer, Check, Level
from gpuctl.sanity.demand import Demand
from gpuctl.sanity.plan import Group, arguments, foreign_nodes, groups
from gpuctl.sanity.probe import Seen, find_probe, run_probe
from gpuctl.settings import Settings

__all__ = ["DEADLINE_SECONDS", "WRITE_BYTES", "Question", "check_gpus"]

DEADLINE_SECONDS = 60.0
WRITE_BYTES = 256 << 20
_PROBE_INSIDE = f"{TOOLS_INSIDE}/gpuctl-sanity-probe"
_GRACE_SECONDS = 15.0  # for the supervisor to end a probe whose time is over
_NOT_THERE = ("cannot open shared object file: No such file", "no OpenCL driver is registered")
_LIBRARIES = ("libcuda.so.1", "libamdhip64.so", "libze_loader.so.1", "libOpenCL.so.1")


@dataclass(frozen=True)
class Question:
    """`gpus` are checked; `node`: all GPUs of the node, for those that must not be reachable."""

    gpus: tuple[Gpu, ...]
    node: tuple[Gpu, ...]
    container: Container
    api: str = "auto"
    cpu_device: bool = False
    write_bytes: int = WRITE_BYTES
    deadline: float = DEADLINE_SECONDS
    demand: Demand = field(default_factory=Demand)
    lease: str | None = None  # whose units `gpus` are; None: they are reserved for the check


def check_gpus(question: Question, settings: Settings) -> Answer:
    question.demand.check()
    probe = find_probe()
    container = question.container.for_check(Bind(probe, _PROBE_INSIDE, read_only=True))
    program = probe if container.runtime is None else _PROBE_INSIDE
    checks = [
        _check(group, question, container, program, settings)
        for group in groups(question.gpus, question.api, question.cpu_device)
    ]
    return Answer(tuple(checks), question.container.to_json())


def _check(
    group: Group, question: Question, container: Container, program: str, settings: Settings
) -> Check:
    """The first interface whose library is there decides. OpenCL as the second one counts only
    where it sees a device: its loader may be there without a driver for this vendor."""
    first = _ask(group.apis[0], group, question, container, program, settings)
    for api in group.apis[1:] if first.unproven else ():
        other = _ask(api, group, question, container, program, settings)
        if other.devices:
            return other
    return first


def _ask(
    api: str,
    group: Group,
    question: Question,
    container: Container,
    program: str,
    settings: Settings,
) -> Check:
    foreign = foreign_nodes(group.gpus, question.node)
    if container.runtime is None and settings.root != "/":
        foreign = [settings.root + path for path in foreign]
    words = arguments(group, api, foreign, question.write_bytes, question.cpu_device)
    launch = container.launch((program, *words))
    with tempfile.TemporaryDirectory(prefix="gpuctl-sanity-") as folder:
        report = Path(folder) / "report.json"
        argv = _supervised(group, question, container, settings, report, launch.argv)
        environment = launch.environ({**os.environ, "POCL_CACHE_DIR": folder})
        seen = run_probe(argv, environment, question.deadline + _GRACE_SECONDS)
        fence = _device_fence(report)
    return _judged(api, group, question, seen, fence)


def _supervised(
    group: Group,
    question: Question,
    container: Container,
    settings: Settings,
    report: Path,
    command: Sequence[str],
) -> list[str]:
    words = [find_binary(), "run", "--quiet", f"--report={report}"]
    words += [f"--ttl={max(1, round(question.deadline))}s", "--forced-kill-timeout=1s"]
    words += [f"--gpu={gpu.id}" for gpu in group.gpus]
    if group.gpus:  # what is drained must be checked before it gets jobs again
        lease = question.lease
        words += ["--even-drained"] if lease is None else [f"--lease={lease}"]
    places = (("root", "root"), ("state-dir", "state_dir"), ("ledger-scope", "ledger_scope"))
    for flag, key in (*places, ("fence", "fence")):
        value = settings.text(key)
        if value is not None and (key, value) != ("root", "/"):
            words.append(f"--{flag}={value}")
    if settings.root != "/" and settings.text("state_dir") is None:
        words.append(f"--state-dir={report.parent / 'state'}")
    if container.runtime is not None:
        words += ["--process-fence=runtime", "--fence-inside"]
    return [*words, "--", *command]


def _device_fence(report: Path) -> str | None:
    try:
        fence = json.loads(report.read_text(encoding="utf-8"))["fence"]["device"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return fence if isinstance(fence, str) else None


def _judged(api: str, group: Group, question: Question, seen: Seen, fence: str | None) -> Check:
    levels = dict(seen.levels)
    libraries = levels.get("libraries")
    unproven = levels["starts"].result == "fail"
    if libraries is not None and libraries.result == "fail":
        unproven = _not_there(libraries.detail)
    if "devices" in levels:
        drivers = [gpu.driver_version for gpu in group.gpus]
        levels["requirements"] = question.demand.judge(seen.versions, seen.devices, drivers)
    others = levels.get("others")
    if others is not None and others.result == "fail" and _is_advisory(question, fence):
        words = f"the fence is advisory: {others.detail}"
        levels["others"] = Level("others", "skip", others.usec, words)
    return Check(
        api=api,
        gpu_ids=tuple(gpu.id for gpu in group.gpus),
        levels=tuple(levels.get(name) or _not_reached(name) for name in LEVELS),
        versions=_all_versions(seen.versions),
        devices=tuple(seen.devices),
        usec=seen.usec,
        unproven=unproven,
    )


def _not_reached(name: str) -> Level:
    return Level(name, "skip", None, "not reached")


def _all_versions(seen: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: seen.get(name) for name in ("library", "runtime", "driver")}


def _is_advisory(question: Question, fence: str | None) -> bool:
    return question.container.runtime is None and fence == "advisory"


def _not_there(detail: str) -> bool:
    """The interface's own library, under each of its names; a missing one that it needs is else."""
    parts = detail.split("; ")
    return all(
        any(words in part for words in _NOT_THERE)
        and (part.startswith(_LIBRARIES) or part.startswith("no OpenCL"))
        for part in parts
    )
