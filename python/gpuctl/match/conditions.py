"""The conditions of a match, one function each: None where it is met, else what is wrong.

They are JAliEn's (what its broker asks of a waiting job and a node), with GPUs and the conditions
of `Requirements` beside them. Every function takes the two plain records and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple

from gpuctl.match.constraints import constraint_fits
from gpuctl.match.expression import ERROR, UNDEFINED, Compiled
from gpuctl.match.expression.values import folded, shown
from gpuctl.match.gpus import Choice, choose
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements

__all__ = ["CONDITIONS", "Unmet", "gpu_choice", "gpu_unmet", "unmet_conditions"]

GIB = 1024**3


class Unmet(NamedTuple):
    """`state`: `unmet`, `unknown` (the node does not say) or `error` (it makes no sense).

    `wanted` and `found` are values of JSON; `found` is None where it is not known.
    """

    name: str
    wanted: Any
    found: Any
    state: str
    text: str


Condition = Callable[[Requirements, Node], "Unmet | None"]


def _unmet(name: str, wanted: Any, found: Any, text: str) -> Unmet:
    return Unmet(name, wanted, found, "unmet", text)


def _unknown(name: str, wanted: Any, text: str) -> Unmet:
    return Unmet(name, wanted, None, "unknown", text)


def _ttl(job: Requirements, node: Node) -> Unmet | None:
    """Less than what is left: a job that takes all of it is ended before it can report."""
    wanted, found = job.ttl_seconds, node.ttl_seconds
    if found is None:
        return _unknown("ttl", wanted, f"the job takes {wanted} s, and the node gives no TTL")
    if wanted < found:
        return None
    return _unmet(
        "ttl", wanted, found, f"the job takes {wanted} s, and the node has {found} s left"
    )


def _cpu_cores(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.cpu_cores, node.cpu_cores
    if node.whole_node or (found is not None and wanted <= found):
        return None
    if found is None:
        return _unknown(
            "cpu_cores", wanted, f"the job takes {wanted} cores, and the node gives none"
        )
    return _unmet("cpu_cores", wanted, found, f"the job takes {wanted} cores of {found}")


_CPUS = re.compile(r"\s*(>=|<=|>|<|==|=|!=)\s*([0-9]{1,9})\s*\Z")
_SIGNS: dict[str, Callable[[int, int], bool]] = {
    ">=": lambda cores, bound: cores >= bound,
    "<=": lambda cores, bound: cores <= bound,
    ">": lambda cores, bound: cores > bound,
    "<": lambda cores, bound: cores < bound,
    "=": lambda cores, bound: cores == bound,
    "==": lambda cores, bound: cores == bound,
    "!=": lambda cores, bound: cores != bound,
}


def _required_cpus(job: Requirements, node: Node) -> Unmet | None:
    """What the CE takes: `>=8` keeps out jobs of fewer cores."""
    if node.required_cpus is None:
        return None
    match = _CPUS.match(node.required_cpus)
    cores, rule = job.cpu_cores, node.required_cpus
    if match is None:
        text = f"the node takes jobs of `{rule[:40]}` cores, which nobody understands"
        return _unknown("required_cpus", cores, text)
    if _SIGNS[match.group(1)](cores, int(match.group(2))):
        return None
    return _unmet("required_cpus", cores, rule, f"the node takes jobs of {rule} cores, not {cores}")


def _disk(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.disk_bytes, node.disk_bytes
    if found is None:
        return _unknown(
            "disk", wanted, f"the job takes {_gib(wanted)} of disk, the node tells none"
        )
    if wanted < found:
        return None
    text = f"the job takes {_gib(wanted)} of disk, and the node has {_gib(found)}"
    return _unmet("disk", wanted, found, text)


def _memory(job: Requirements, node: Node) -> Unmet | None:
    """Only where both sides say something: JAliEn's nodes do not, and its broker does not ask."""
    wanted, found = job.memory_bytes, node.memory_bytes
    if wanted is None or found is None or wanted <= found:
        return None
    text = f"the job takes {_gib(wanted)} of memory, and the node has {_gib(found)}"
    return _unmet("memory", wanted, found, text)


def _partition(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.partition, node.partitions
    if wanted is None or _is_in(wanted, found):
        return None
    return _unmet("partition", wanted, list(found), f"the node is not in the partition `{wanted}`")


def _ce(job: Requirements, node: Node) -> Unmet | None:
    if not job.ces or _is_in(node.ce, job.ces):
        return None
    if node.ce is None:
        return _unknown("ce", list(job.ces), "the job wants certain CEs, and the node names none")
    return _unmet("ce", list(job.ces), node.ce, f"the job wants other CEs than `{node.ce}`")


def _excluded_ce(job: Requirements, node: Node) -> Unmet | None:
    wanted = [f"not {name}" for name in job.excluded_ces]
    if not wanted or (node.ce is not None and not _is_in(node.ce, job.excluded_ces)):
        return None
    if node.ce is None:
        return _unknown("ce", wanted, "the job does not want certain CEs, and the node names none")
    return _unmet("ce", wanted, node.ce, f"the job does not want the CE `{node.ce}`")


def _close_se(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.close_ses, node.close_ses
    if not wanted or any(_is_in(name, found or ()) for name in wanted):
        return None
    if found is None:
        return _unknown("close_se", list(wanted), "the node names no storage that is close to it")
    return _unmet("close_se", list(wanted), list(found), "none of the wanted storages is close")


def _excluded_close_se(job: Requirements, node: Node) -> Unmet | None:
    unwanted, found = job.excluded_close_ses, node.close_ses
    wanted = [f"not {name}" for name in unwanted]
    if not unwanted:
        return None
    if found is None:
        return _unknown("close_se", wanted, "the node names no storage that is close to it")
    close = [name for name in unwanted if _is_in(name, found)]
    if not close:
        return None
    return _unmet("close_se", wanted, list(found), f"the storage `{close[0]}` is close to the node")


def _user(job: Requirements, node: Node) -> Unmet | None:
    """The CE may take some users only, and may exclude some."""
    if not node.users and not node.excluded_users:
        return None
    if job.user is None:
        return _unknown("user", None, "the node looks at the user, and the job names none")
    if job.user in node.excluded_users:
        found = [f"not {name}" for name in node.excluded_users]
        return _unmet("user", job.user, found, f"the node takes no jobs of `{job.user}`")
    if not node.users or job.user in node.users:
        return None
    return _unmet("user", job.user, list(node.users), f"the node takes no jobs of `{job.user}`")


def _platform(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.platforms, node.platforms
    if not wanted or any(_is_in(name, found or ()) for name in wanted):
        return None
    if found is None:
        return _unknown("platform", list(wanted), "the node does not tell its platform")
    text = f"the job is for {_words(wanted)}, and the node runs {_words(found)}"
    return _unmet("platform", list(wanted), list(found), text)


def _packages(job: Requirements, node: Node) -> Unmet | None:
    """With CVMFS every package is at hand."""
    if not job.packages or node.has_cvmfs:
        return None
    if node.packages is None:
        return _unknown(
            "packages", list(job.packages), "the node has no CVMFS and lists no packages"
        )
    missing = [name for name in job.packages if not _is_in(name, node.packages)]
    if not missing:
        return None
    return _unmet("packages", missing, len(node.packages), f"the node lacks {_words(missing)}")


def _cvmfs_revision(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.cvmfs_revision, node.cvmfs_revision
    if wanted is None or (found is not None and found >= wanted):
        return None
    if found is None:
        text = f"revision {wanted} of CVMFS is wanted, and the node tells none"
        return _unknown("cvmfs_revision", wanted, text)
    text = f"revision {wanted} of CVMFS is wanted, and the node is at {found}"
    return _unmet("cvmfs_revision", wanted, found, text)


CONDITIONS: tuple[Condition, ...] = (
    _ttl,
    _cpu_cores,
    _required_cpus,
    _disk,
    _memory,
    _partition,
    _ce,
    _excluded_ce,
    _close_se,
    _excluded_close_se,
    _user,
    _platform,
    _packages,
    _cvmfs_revision,
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
        return _unknown("gpu", wanted, f"{wanted} wanted, and the node does not tell its GPUs")
    fitting = len(node.gpus) - len(choice.rejected)
    return _unmet("gpu", wanted, fitting, choice.reason)


def _constraints(job: Requirements, node: Node, names: frozenset[str]) -> Iterator[Unmet]:
    """A job that does not name a constraint takes any node; one that does needs the value."""
    for name in sorted({*node.constraints, *names} & job.values.keys()):
        wanted, found = job.values[name], node.constraints.get(name)
        if found is None:
            yield _unknown(name, list(wanted), f"the node has no value of the constraint `{name}`")
        elif not any(constraint_fits(each, found) for each in wanted):
            text = f"`{name}` is {shown(found)}, and the job wants {_words(wanted)}"
            yield _unmet(name, list(wanted), found, text)


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
    words = ", ".join(f"{name} is {shown(looked_at[name])}" for name in looked_at)
    ending = f"the node does not tell {_words(missing)}" if missing else words or "always so"
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


def _is_in(name: str | None, names: tuple[str, ...]) -> bool:
    """Ignoring case, as the broker's database does."""
    return name is not None and folded(name) in map(folded, names)


def _words(names: Any) -> str:
    few = ", ".join(f"`{name[:80]}`" for name in names[:5])
    return f"{few} and {len(names) - 5} more" if len(names) > 5 else few or "nothing"


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
