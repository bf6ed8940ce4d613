"""Platform, packages, CVMFS."""

from __future__ import annotations

from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements
from gpuctl.match.unmet import Unmet, is_in, lacks, unknown, words

__all__ = ["cvmfs_revision", "packages", "platform"]


def platform(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.platforms, node.platforms
    if not wanted or any(is_in(name, found or ()) for name in wanted):
        return None
    if found is None:
        return unknown("platform", list(wanted), "the node does not tell its platform")
    text = f"the job is for {words(wanted)}, and the node runs {words(found)}"
    return lacks("platform", list(wanted), list(found), text)


def packages(job: Requirements, node: Node) -> Unmet | None:
    """With CVMFS every package is at hand."""
    if not job.packages or node.has_cvmfs:
        return None
    if node.packages is None:
        return unknown(
            "packages", list(job.packages), "the node has no CVMFS and lists no packages"
        )
    missing = [name for name in job.packages if not is_in(name, node.packages)]
    if not missing:
        return None
    return lacks("packages", missing, len(node.packages), f"the node lacks {words(missing)}")


def cvmfs_revision(job: Requirements, node: Node) -> Unmet | None:
    wanted, found = job.cvmfs_revision, node.cvmfs_revision
    if wanted is None or (found is not None and found >= wanted):
        return None
    if found is None:
        text = f"revision {wanted} of CVMFS is wanted, and the node tells none"
        return unknown("cvmfs_revision", wanted, text)
    text = f"revision {wanted} of CVMFS is wanted, and the node is at {found}"
    return lacks("cvmfs_revision", wanted, found, text)
