"""A node as the matching sees it: a SiteMap, read from JSON with its types checked.

A key that is missing or null is unknown; one of the wrong type is unknown too, and a problem that
names it. An unknown thing never fulfils a wish. Keys of JAliEn and of gpuctl have a type here;
all others are Site Sonar constraints, and visible to expressions as they are.

Example:
    node = Node.from_json(json.loads(text))
    node.ttl_seconds, node.partitions, len(node.gpus or ()), node.problems
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpuctl.match.checked import Checked
from gpuctl.match.expression.values import UNDEFINED, visible

__all__ = ["Node"]

Names = Mapping[str, Any]

# Those that have a type are read below; the others are only told apart from constraints.
KNOWN_KEYS = frozenset(
    (
        *("localhost", "aliencm", "host", "ce", "cehost", "site", "closese", "extrasites"),
        *("partition", "ttl", "disk", "workdir", "cpucores", "wholenode", "requiredcpusce"),
        *("cpuisolation", "platform", "packages", "installedpackages", "cvmfs"),
        *("cvmfs_revision", "users", "nousers", "schema", "constraints", "gpus", "gpu"),
        *("gpuvendor", "gpuarchitecture", "gpucount", "gpuavailable", "leases", "drains"),
        *("memory_bytes", "machine", "platforms", "containers", "drivers", "problems"),
        *("created_at", "gpuctl_version", "remote", "ce_requirements", "code", "name"),
    )
)


@dataclass(frozen=True)
class Node:
    """None is unknown. `names` is what `other.` looks into, with lower-case keys."""

    name: str
    names: Names
    problems: tuple[str, ...]
    ttl_seconds: int | None
    disk_bytes: int | None
    cpu_cores: int | None
    whole_node: bool
    required_cpus: str | None
    memory_bytes: int | None
    ce: str | None
    close_ses: tuple[str, ...] | None
    partitions: tuple[str, ...]  # none where the node has no partition
    users: tuple[str, ...]
    excluded_users: tuple[str, ...]
    has_cvmfs: bool
    cvmfs_revision: int | None
    packages: tuple[str, ...] | None
    platforms: tuple[str, ...] | None
    gpus: tuple[Mapping[str, Any], ...] | None
    constraints: Mapping[str, Any]  # by lower-case name

    @classmethod
    def from_json(cls, document: Any, name: str = "node") -> Node:
        """Whatever `document` is: what is wrong with it is in `problems`."""
        checked = Checked(document)
        cores = checked.whole("CPUCores")
        disk_kib = checked.whole("Disk")
        partitions = checked.texts("Partition")
        values = cls(
            name=checked.text("Localhost") or checked.text("Host") or name,
            names={},
            problems=(),
            ttl_seconds=checked.whole("TTL"),
            disk_bytes=None if disk_kib is None else disk_kib * 1024,
            cpu_cores=cores,
            whole_node=checked.flag("WholeNode") is True or cores == 0,
            required_cpus=checked.text("RequiredCpusCe"),
            memory_bytes=checked.whole("memory_bytes"),
            ce=checked.text("CE"),
            close_ses=checked.texts("closeSE"),
            partitions=partitions or (),
            users=checked.texts("Users") or (),
            excluded_users=checked.texts("NoUsers") or (),
            has_cvmfs=checked.flag("CVMFS") is True,
            cvmfs_revision=checked.whole("CVMFS_revision"),
            packages=_packages(checked),
            platforms=_platforms(checked),
            gpus=checked.gpus("GPUs"),
            constraints=_constraints(checked),
        )
        return _with_names(values, checked)


def _packages(checked: Checked) -> tuple[str, ...] | None:
    """As JAliEn: what is installed where the node tells that, else what it could install."""
    installed = checked.texts("InstalledPackages")
    return checked.texts("Packages") if installed is None else installed


def _platforms(checked: Checked) -> tuple[str, ...] | None:
    """The node's own, and those whose packages it can run in a container."""
    own, more = checked.text("Platform"), checked.texts("platforms")
    if own is None and more is None:
        return None
    return tuple(dict.fromkeys((*([own] if own else []), *(more or ()))))


def _constraints(checked: Checked) -> dict[str, Any]:
    """Those under `constraints`, and every key that is nobody's else."""
    nested = checked.values.get("constraints")
    found = {str(k).lower(): v for k, v in nested.items()} if isinstance(nested, dict) else {}
    for key, value in checked.values.items():
        if key not in KNOWN_KEYS:
            found.setdefault(key, value)
    return {key: value for key, value in found.items() if _can_be_compared(value)}


def _can_be_compared(value: Any) -> bool:
    """A plain value, or a list of them."""
    if isinstance(value, list):
        return all(_can_be_compared(each) and not isinstance(each, list) for each in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (str, int))


def _with_names(node: Node, checked: Checked) -> Node:
    """What was typed wrongly is undefined for expressions too."""
    names = {key: visible(value) for key, value in checked.values.items()}
    for key in checked.wrong:
        names[key] = UNDEFINED
    disk = node.disk_bytes
    names.update(
        type="machine",  # what JDLs of old ask for
        gridpartitions=list(node.partitions),
        closese=_list_or_undefined(node.close_ses),
        packages=_list_or_undefined(node.packages),
        platforms=_list_or_undefined(node.platforms),
        localdiskspace=UNDEFINED if disk is None else disk // 1024**2,
        gpus=UNDEFINED if node.gpus is None else visible(list(node.gpus)),
    )
    values = {name: getattr(node, name) for name in Node.__dataclass_fields__}
    return Node(**{**values, "names": names, "problems": tuple(checked.problems)})


def _list_or_undefined(texts: tuple[str, ...] | None) -> Any:
    return UNDEFINED if texts is None else list(texts)
