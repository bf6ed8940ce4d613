"""Time, cores, disk and memory: what the job takes of the node."""

from __future__ import annotations

import re
from typing import Callable

from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements
from gpuctl.match.unmet import Unmet, gib, lacks, unknown

__all__ = ["cpu_cores", "disk", "memory", "required_cpus", "ttl"]


def ttl(job: Requirements, node: Node) -> Unmet | None:
    """Less than what is left: a job that takes all of it is ended before it can report."""
    wanted, found = job.ttl_seconds, node.ttl_seconds
    if found is None:
        return unknown("ttl", wanted, f"the job takes {wanted} s, and the node gives no TTL")
    if wanted < found:
        return None
    return lacks("ttl", wanted, found, f"the job takes {wanted} s, and the node has {found} s left")


def cpu_cores(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.cpu_cores, node.cpu_cores
    if node.whole_node or (found is not None and wanted <= found):
        return None
    if found is None:
        return unknown(
            "cpu_cores", wanted, f"the job takes {wanted} cores, and the node gives none"
        )
    return lacks("cpu_cores", wanted, found, f"the job takes {wanted} cores of {found}")


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


def required_cpus(job: Requirements, node: Node) -> Unmet | None:
    """What the CE takes: `>=8` keeps out jobs of fewer cores."""
    if node.required_cpus is None:
        return None
    match = _CPUS.match(node.required_cpus)
    cores, rule = job.cpu_cores, node.required_cpus
    if match is None:
        text = f"the node takes jobs of `{rule[:40]}` cores, which nobody understands"
        return unknown("required_cpus", cores, text)
    if _SIGNS[match.group(1)](cores, int(match.group(2))):
        return None
    return lacks("required_cpus", cores, rule, f"the node takes jobs of {rule} cores, not {cores}")


def disk(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.disk_bytes, node.disk_bytes
    if found is None:
        return unknown("disk", wanted, f"the job takes {gib(wanted)} of disk, the node tells none")
    if wanted < found:
        return None
    text = f"the job takes {gib(wanted)} of disk, and the node has {gib(found)}"
    return lacks("disk", wanted, found, text)


def memory(job: Requirements, node: Node) -> Unmet | None:
    """Only where both sides say something: JAliEn's nodes do not, and its broker does not ask."""
    wanted, found = job.memory_bytes, node.memory_bytes
    if wanted is None or found is None or wanted <= found:
        return None
    text = f"the job takes {gib(wanted)} of memory, and the node has {gib(found)}"
    return lacks("memory", wanted, found, text)
