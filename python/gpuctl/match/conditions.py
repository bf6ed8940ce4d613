"""The conditions of a match, one function each: None where it is met, else what is wrong.

They are JAliEn's (what its broker asks of a waiting job and a node), in `resources`, `places` and
`software`; with GPUs, constraints and the conditions of `Requirements` here. Every function takes
the two plain records and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

from gpuctl.match.constraints import constraint_fits
from gpuctl.match.expression import ERROR, UNDEFINED, Compiled
from gpuctl.match.expression.values import shown
from gpuctl.match.gpus import Choice, choose
from gpuctl.match.node import Node
from gpuctl.match.places import ce, close_se, excluded_ce, excluded_close_se, partition, user
from gpuctl.match.requirements import Requirements
from gpuctl.match.resources import cpu_cores, disk, memory, required_cpus, ttl
from gpuctl.match.software import cvmfs_revision, packages, platform
from gpuctl.match.unmet import Unmet, lacks, unknown, words

__all__ = ["CONDITIONS", "Unmet", "gpu_choice", "gpu_unmet", "unmet_conditions"]

Condition = Callable[[Requirements, Node], "Unmet | None"]

CONDITIONS: tuple[Condition, ...] = (
    ttl,
    cpu_cores,
    required_cpus,
    disk,
    memory,
    partition,
    ce,
    excluded_ce,
    close_se,
    excluded_close_se,
    user,
    platform,
    packages,
    cvmfs_revision,
)


def unmet_conditions(
    job: Requirements, node: Node, constraint_names: frozenset[str] = frozenset()
) -> Iterator[Unmet]:
    """All that is wrong apart from GPUs, in a fixed order."""
    for condition in CONDITIONS:
        unmet = condition(job, node)
        if unmet is not None:
            yield unmet
    yield from _constraints(job, node, constraint_names)
    for compiled in job.conditions:
        value = compiled.evaluate(node.names, job.tags)
        if value is not True:
            unmet = _expression(compiled, value, node)
            if unmet is not None:
                yield unmet


def gpu_choice(job: Requirements, node: Node) -> Choice:
    return choose(job.gpu, node.gpus or ())


def gpu_unmet(job: Requirements, node: Node, choice: Choice) -> Unmet | None:
    if choice.ok or choice.cpu_only or job.gpu is None:
        return None
    wanted = f"{job.gpu.count} GPUs" if job.gpu.count > 1 else "1 GPU"
    if node.gpus is None:
        return unknown("gpu", wanted, f"{wanted} wanted, and the node does not tell its GPUs")
    fitting = len(node.gpus) - len(choice.rejected)
    return lacks("gpu", wanted, fitting, choice.reason)


def _constraints(job: Requirements, node: Node, names: frozenset[str]) -> Iterator[Unmet]:
    """A job that does not name a constraint takes any node; one that does needs the value."""
    for name in sorted({*node.constraints, *names} & job.values.keys()):
        wanted, found = job.values[name], node.constraints.get(name)
        if found is None:
            yield unknown(name, list(wanted), f"the node has no value of the constraint `{name}`")
        elif not any(constraint_fits(each, found) for each in wanted):
            text = f"`{name}` is {shown(found)}, and the job wants {words(wanted)}"
            yield lacks(name, list(wanted), found, text)


def _expression(compiled: Compiled, value: Any, node: Node) -> Unmet | None:
    """The values that the condition looks at say what was found. A number but 0 counts as true."""
    if isinstance(value, (int, float)) and value:
        return None
    looked_at = {name: node.names.get(name.lower(), UNDEFINED) for name in compiled.looks_at}
    missing = [name for name, found in looked_at.items() if found is UNDEFINED]
    found = {name: _plain(found) for name, found in looked_at.items()}
    state = "error" if value is ERROR else "unknown" if value is UNDEFINED else "unmet"
    if not isinstance(value, (bool, int, float)) and value is not UNDEFINED:
        state = "error"
    told = ", ".join(f"{name} is {shown(looked_at[name])}" for name in looked_at)
    ending = f"the node does not tell {words(missing)}" if missing else told or "always so"
    return Unmet(
        "requirements", compiled.text[:500], found, state, f"`{compiled.text[:200]}`: {ending}"
    )


def _plain(value: Any) -> Any:
    """As JSON; of GPUs and long lists only how many."""
    if value is UNDEFINED or value is ERROR or isinstance(value, dict):
        return None
    if isinstance(value, list):
        short = len(value) <= 20 and all(isinstance(each, (str, int, float)) for each in value)
        return value if short else len(value)
    return value[:500] if isinstance(value, str) else value
