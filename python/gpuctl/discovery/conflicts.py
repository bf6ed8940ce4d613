"""Which source is believed for which field: one table, also in docs/design/discovery.md.

The first source of a field's list that says something gives the value. Others that say the same are
its sources too; others that say something else make a problem `conflict`, and nothing is lost.
A source that is not listed comes last, in the order of reading.

`same` says when two values are one: memory within 7 %, since tools differ by what they reserve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["EQUAL", "ORDER", "SILENT", "choose"]

_KERNEL = ("kernel",)
_BUS = ("kernel", "udev", "lspci", "hwloc")
_TOOLS = ("nvml", "nvidia-smi", "amdgpu_top", "amd-smi", "rocm-smi", "xpu-smi", "sonar", "cdi")
_COARSE = ("hwloc", "condor_gpu_discovery", "omniperf", "nvtop")
_DEFAULT = (*_BUS, *_TOOLS, *_COARSE)

# field -> sources, the first is believed
ORDER: dict[str, tuple[str, ...]] = {
    "vendor_id": _DEFAULT,
    "device_id": _DEFAULT,
    "class_id": _BUS,
    "subsystem_id": _DEFAULT,
    "revision": _DEFAULT,
    "driver": (*_BUS, *_TOOLS, *_COARSE),
    "driver_version": ("nvml", "nvidia-smi", "kernel", *_TOOLS[2:], *_COARSE),
    "memory_total_bytes": (*_KERNEL, *_TOOLS, *_COARSE),
    "uuid": (*_KERNEL, *_TOOLS, *_COARSE),
    "unique_id": (*_KERNEL, *_TOOLS, *_COARSE),
    "isa": (*_KERNEL, "amdgpu_top", "amd-smi", "rocm-smi", *_COARSE),
    "architecture": ("catalogue", *_DEFAULT),
    "numa_node": (*_BUS, *_TOOLS),
    "integrated": ("catalogue", *_DEFAULT),
    "parent_id": _BUS,
}

_TOLERANCE = 0.07


def _near(a: Any, b: Any) -> bool:
    return bool(abs(a - b) <= _TOLERANCE * max(a, b))


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b)


def _words(a: Any, b: Any) -> bool:
    return str(a).replace(" ", "").lower() == str(b).replace(" ", "").lower()


# when two values of a field are the same one; else they must be equal
EQUAL: dict[str, Callable[[Any, Any], bool]] = {"memory_total_bytes": _near, "architecture": _words}

# fields in which sources may differ without contradicting each other
SILENT = frozenset(
    {
        *(
            "driver_version",
            "architecture",
            "integrated",
            "compute_units",
            "vbios_version",
            "details",
        ),
        *("name_start", "memory_is_nominal", "shares", "numa_node", "isa"),
    }
)

Claim = tuple[str, Any]  # source and value


def choose(field: str, claims: list[Claim]) -> tuple[Any, list[str], list[Claim]]:
    """The value, the sources that say so, and the claims that say otherwise."""
    order = ORDER.get(field, _DEFAULT)
    ranked = sorted(
        claims, key=lambda claim: order.index(claim[0]) if claim[0] in order else len(order)
    )
    value = ranked[0][1]
    same = EQUAL.get(field, _equal)
    agreeing = list(dict.fromkeys(source for source, other in ranked if same(value, other)))
    return value, agreeing, [claim for claim in ranked if not same(value, claim[1])]
