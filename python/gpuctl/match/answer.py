"""The answer of `gpuctl match` (docs/schema/match.json), and the same for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from gpuctl.gpus import plain
from gpuctl.jdl import JdlWarning
from gpuctl.match.evaluate import Match, best_of, nearest
from gpuctl.match.requirements import Requirements
from gpuctl.match.unmet import Unmet

__all__ = ["answer_json", "answer_text", "requirements_json", "unmet_json"]

SCHEMA = "gpuctl.match/1"
_LONGEST = 500


def answer_json(
    path: str, job: Requirements, matches: Sequence[Match], warnings: Iterable[JdlWarning]
) -> dict[str, Any]:
    best, near = best_of(matches), nearest(matches)
    return {
        "schema": SCHEMA,
        "ok": best is not None,
        "jdl": path,
        "warnings": [each._asdict() for each in warnings],
        "requirements": requirements_json(job),
        "nodes": [match_json(match) for match in matches],
        "best": None if best is None else best.node.name,
        "nearest": None if best is not None or near is None else _nearest_json(near),
    }


def requirements_json(job: Requirements) -> dict[str, Any]:
    return {
        "ttl_seconds": job.ttl_seconds,
        "cpu_cores": job.cpu_cores,
        "disk_bytes": job.disk_bytes,
        "memory_bytes": job.memory_bytes,
        "price": job.price,
        "user": job.user,
        "partition": job.partition,
        "ces": list(job.ces),
        "excluded_ces": list(job.excluded_ces),
        "close_ses": list(job.close_ses),
        "excluded_close_ses": list(job.excluded_close_ses),
        "packages": list(job.packages),
        "platforms": list(job.platforms),
        "cvmfs_revision": job.cvmfs_revision,
        "gpu": None if job.gpu is None else plain(asdict(job.gpu)),
        "conditions": [condition.text for condition in job.conditions],
        "rank": None if job.rank is None else job.rank.text,
    }


def match_json(match: Match) -> dict[str, Any]:
    return {
        "name": match.node.name,
        "ok": match.ok,
        "rank": match.rank,
        "cpu_only": match.cpu_only,
        "gpus": list(match.choice.ids) if match.ok else [],
        "unmet": [unmet_json(each) for each in match.unmet],
        "rejected": [{"id": gpu_id, "reason": _cut(why)} for gpu_id, why in match.choice.rejected],
        "problems": list(match.node.problems),
    }


def unmet_json(unmet: Unmet) -> dict[str, Any]:
    return unmet._asdict()


def _nearest_json(match: Match) -> dict[str, Any]:
    return {"name": match.node.name, "lacks": [each.text for each in match.unmet]}


def answer_text(matches: Sequence[Match], verbose: bool = False) -> str:
    best, near = best_of(matches), nearest(matches)
    lines = [line for match in matches for line in _match_lines(match, verbose)]
    if best is not None and len(matches) > 1:
        lines.append(f"best: {best.node.name}")
    if best is None and near is not None and len(matches) > 1:
        count = len(near.unmet)
        lines.append(f"nearest: {near.node.name}, which lacks {count} thing{'s' * (count > 1)}")
    return "".join(f"{line}\n" for line in lines)


def _match_lines(match: Match, verbose: bool) -> list[str]:
    gpus = f", with {', '.join(match.choice.ids)}" if match.choice.ids else ""
    rank = f", rank {match.rank:g}" if match.rank else ""
    lines = [f"{match.node.name}: {'yes' + gpus + rank if match.ok else 'no'}"]
    lines += [f"  {_cut(each.text)}" for each in match.unmet]
    wants_gpu = any(each.name == "gpu" for each in match.unmet)
    if wants_gpu or verbose:
        lines += [f"    GPU {gpu_id}: {_cut(why)}" for gpu_id, why in match.choice.rejected]
    return lines + [f"  problem: {problem}" for problem in match.node.problems]


def _cut(text: str) -> str:
    """A reason may quote what the JDL says, which may be without end."""
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
