"""The constraints that a collector makes of results: a name, and where its value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RULES", "Rules", "constraints_of"]

Rules = Mapping[str, "tuple[str, str]"]  # constraint -> (probe, key)

RULES: Rules = {
    "OS_NAME": ("os", "os_name"),
    "OS_VERSION": ("os", "os_version"),
    "KERNEL": ("os", "kernel"),
    "CPU_MODEL": ("cpu", "model"),
    "CPU_LEVEL": ("cpu", "x86_64_level"),
    "CGROUPS_VERSION": ("cgroups", "version"),
    "CGROUPS_DELEGATED": ("cgroups", "delegated"),
    "CONTAINERS": ("containers", "usable"),
    "CVMFS_AVAILABLE": ("cvmfs", "available"),
    "USER_NAMESPACES": ("isolation", "user_namespaces"),
    "LINGERING": ("lingering", "lingering"),
    "GPU_VENDORS": ("gpu", "vendors"),
}


def constraints_of(results: Mapping[str, Mapping[str, Any]], rules: Rules) -> dict[str, Any]:
    """`results` by probe; a key that a probe did not tell is no constraint."""
    found = {}
    for name, (probe, key) in rules.items():
        value = results.get(probe, {}).get(key)
        if isinstance(value, list):
            value = ",".join(map(str, value)) or None
        if value is not None and not isinstance(value, dict):
            found[name] = value
    return found
