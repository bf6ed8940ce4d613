"""Does this job fit this node, and if not, why not.

`Matcher` holds what a job wants, compiled once; it is asked about one node after the other. `fits`
stops at the first thing that is wrong, `match` lists all of them. `nearest` is the node with the
fewest. Nothing here reads, prints or reserves.

Example:
    matcher = Matcher(Requirements.from_jdl(doc))
    matches = [matcher.match(node) for node in nodes]
    best = best_of(matches) or nearest(matches)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpuctl.match.conditions import Unmet, gpu_choice, gpu_unmet, unmet_conditions
from gpuctl.match.gpus import Choice
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements

__all__ = ["Match", "Matcher", "best_of", "nearest"]


@dataclass(frozen=True)
class Match:
    """One job and one node. `choice` names the GPUs that the job would get."""

    node: Node
    unmet: tuple[Unmet, ...]
    choice: Choice
    rank: float

    @property
    def ok(self) -> bool:
        return not self.unmet

    @property
    def cpu_only(self) -> bool:
        """It fits, and gets no GPU."""
        return self.ok and not self.choice.ids


class Matcher:
    """`constraint_names` are Site Sonar constraints also where a node has no value of them."""

    def __init__(self, job: Requirements, constraint_names: Iterable[str] = ()) -> None:
        self.job = job
        self._constraints = frozenset(name.lower() for name in constraint_names)

    def fits(self, node: Node) -> bool:
        """Whether `match(node).ok`, at the cost of the first thing that is wrong."""
        if next(unmet_conditions(self.job, node, self._constraints), None) is not None:
            return False
        return self.job.gpu is None or gpu_unmet(self.job, node, gpu_choice(self.job, node)) is None

    def match(self, node: Node) -> Match:
        choice = gpu_choice(self.job, node)
        unmet = [*unmet_conditions(self.job, node, self._constraints)]
        gpu = gpu_unmet(self.job, node, choice)
        return Match(node, tuple(unmet + ([gpu] if gpu else [])), choice, self.rank(node))

    def rank(self, node: Node) -> float:
        """The JDL's `Rank`: the higher, the better; 0 where it gives no number."""
        if self.job.rank is None:
            return 0.0
        value = self.job.rank.evaluate(node.names, self.job.tags)
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def best_of(matches: Sequence[Match]) -> Match | None:
    """Of those that fit the one with the highest rank; of several the first."""
    fitting = [match for match in matches if match.ok]
    return max(fitting, key=lambda match: match.rank) if fitting else None


def nearest(matches: Sequence[Match]) -> Match | None:
    """The one that lacks the fewest conditions, and of those the one nearest in GPUs."""
    return min(matches, key=_distance) if matches else None


def _distance(match: Match) -> tuple[int, int]:
    job_gpus = [unmet for unmet in match.unmet if unmet.name == "gpu"]
    fitting = job_gpus[0].found if job_gpus else 0
    return len(match.unmet), -(fitting if isinstance(fitting, int) else 0)
