"""Where a job may run, and whose jobs a node takes: partition, CE, storage, user."""

from __future__ import annotations

from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements
from gpuctl.match.unmet import Unmet, is_in, lacks, unknown

__all__ = ["ce", "close_se", "excluded_ce", "excluded_close_se", "partition", "user"]


def partition(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.partition, node.partitions
    if wanted is None or is_in(wanted, found):
        return None
    return lacks("partition", wanted, list(found), f"the node is not in the partition `{wanted}`")


def ce(job: Requirements, node: Node) -> Unmet | None:
    if not job.ces or is_in(node.ce, job.ces):
        return None
    if node.ce is None:
        return unknown("ce", list(job.ces), "the job wants certain CEs, and the node names none")
    return lacks("ce", list(job.ces), node.ce, f"the job wants other CEs than `{node.ce}`")


def excluded_ce(job: Requirements, node: Node) -> Unmet | None:
    wanted = [f"not {name}" for name in job.excluded_ces]
    if not wanted or (node.ce is not None and not is_in(node.ce, job.excluded_ces)):
        return None
    if node.ce is None:
        return unknown("ce", wanted, "the job does not want certain CEs, and the node names none")
    return lacks("ce", wanted, node.ce, f"the job does not want the CE `{node.ce}`")


def close_se(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.close_ses, node.close_ses
    if not wanted or any(is_in(name, found or ()) for name in wanted):
        return None
    if found is None:
        return unknown("close_se", list(wanted), "the node names no storage that is close to it")
    return lacks("close_se", list(wanted), list(found), "none of the wanted storages is close")


def excluded_close_se(job: Requirements, node: Node) -> Unmet | None:
    unwanted, found = job.excluded_close_ses, node.close_ses
    wanted = [f"not {name}" for name in unwanted]
    if not unwanted:
        return None
    if found is None:
        return unknown("close_se", wanted, "the node names no storage that is close to it")
    close = [name for name in unwanted if is_in(name, found)]
    if not close:
        return None
    return lacks("close_se", wanted, list(found), f"the storage `{close[0]}` is close to the node")


def user(job: Requirements, node: Node) -> Unmet | None:
    """The CE may take some users only, and may exclude some."""
    if not node.users and not node.excluded_users:
        return None
    if job.user is None:
        return unknown("user", None, "the node looks at the user, and the job names none")
    if job.user in node.excluded_users:
        found = [f"not {name}" for name in node.excluded_users]
        return lacks("user", job.user, found, f"the node takes no jobs of `{job.user}`")
    if not node.users or job.user in node.users:
        return None
    return lacks("user", job.user, list(node.users), f"the node takes no jobs of `{job.user}`")
