"""Which GPUs answered a probe and which did not, and what the ledger is told of it.

A GPU answered when a tool that asks its GPUs described it; it hung when such a tool of its vendor
was not answered in time and none described it. A tool that only lists devices (`nvidia-smi -L`)
says nothing of either. Three probes of a GPU in a row that hung make a quarantine; that is counted
in the ledger, so by all processes of a user together.

Example:
    answer = probe_and_tell(Prober(deadline="10s"))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gpuctl.discovery.join import problem
from gpuctl.discovery.live import Asked
from gpuctl.discovery.prober import Prober
from gpuctl.durations import Duration
from gpuctl.errors import GpuctlError, PermissionDeniedError
from gpuctl.host import Host
from gpuctl.host_paths import STATE_FOLDERS

__all__ = ["probe_and_tell", "verdicts_of"]

_UNANSWERED = ("hung", "stuck")


def verdicts_of(answer: Mapping[str, Any], asked: Iterable[Asked]) -> dict[str, bool]:
    """By id, whether it hung; GPUs of which nothing can be said are left out."""
    asked = [each for each in asked if each.source.vendor is not None and each.source.asks_gpus]
    verdicts: dict[str, bool] = {}
    for gpu in answer["gpus"]:
        if gpu["pci_address"] is None or gpu["kind"] != "gpu":
            continue
        mine = [each for each in asked if each.source.vendor == gpu["vendor"]]
        if any(gpu["pci_address"] in _described(each) for each in mine):
            verdicts[gpu["id"]] = False
        elif any(each.row["state"] in _UNANSWERED for each in mine):
            verdicts[gpu["id"]] = True
    return verdicts


def _described(asked: Asked) -> set[str]:
    """Of a tool that hung in the middle of a device, not that one: it may be the culprit."""
    sightings = [each for each in asked.reading.sightings if each.kind != "partition"]
    if asked.half:
        sightings = sightings[:-1]
    return {each.pci_address for each in sightings if each.pci_address is not None}


def probe_and_tell(prober: Prober) -> dict[str, Any]:
    """The answer, with what the ledger made of it among its problems."""
    probed = prober.probe()
    answer = probed.answer
    if prober.settings.root == "/":
        verdicts = verdicts_of(answer, probed.asked)
        answer["problems"] += _tell(verdicts, prober.deadline, prober.settings.text("state_dir"))
    return answer


def _tell(
    verdicts: Mapping[str, bool], deadline: Duration, state_dir: str | None
) -> list[dict[str, Any]]:
    """What was quarantined, and a ledger that cannot be written. Who may not drain tells nothing:
    those who may have counts of their own.
    """
    problems: list[dict[str, Any]] = []
    if not any(verdicts.values()) and not (verdicts and _has_counts(state_dir)):
        return problems
    try:
        host = Host("/", state_dir)
        for gpu, hung in verdicts.items():
            drain = host.note_probe(gpu, hung, asked_ago=deadline)
            if drain is not None:
                words = f"drained until a check passes: {drain['reason']}"
                problems.append(problem("quarantined", words, gpu, "ledger"))
    except PermissionDeniedError:
        return problems
    except GpuctlError as error:
        words = f"it was not told which GPUs answered: {error}"
        problems.append(problem(error.code, words, None, "ledger"))
    return problems


def _has_counts(state_dir: str | None) -> bool:
    """Good news is worth a word only where there was bad news before."""
    folders = [state_dir] if state_dir else STATE_FOLDERS
    return any(any((Path(each) / "ledger").glob("probes.*")) for each in folders)
