"""The GPU part: the records with `available`, and the flat scalars that a broker's table wants.

JAliEn's broker binds one scalar for each constraint, as `column = ?` or `? LIKE column`. So beside
the list there are texts of all GPUs that the slot may use: models, vendors and architectures, each
once, joined by commas, and two counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpuctl.errors import GpuctlError
from gpuctl.gpus import Inventory
from gpuctl.host import Host
from gpuctl.sitemap.ledger import Ledger, read_ledger
from gpuctl.sitemap.slot import Complain, Environ

__all__ = ["gpu_part", "of_inventory"]

_UNKNOWN = dict.fromkeys(
    ("GPUs", "GPU", "GPUVendor", "GPUArchitecture", "GPUCount", "GPUAvailable", "drivers")
)


def gpu_part(host: Host, environ: Environ, complain: Complain) -> dict[str, Any]:
    """All null where the node's GPUs cannot be read, which is not the same as none."""
    ledger = read_ledger(host, environ, complain)
    told = {"leases": None, "drains": None} if ledger is None else ledger.told()
    try:
        inventory = host.discover(environ)
    except GpuctlError as error:
        complain(f"the GPUs are not known: {error}")
        return {**_UNKNOWN, **told}
    for problem in inventory.problems:
        complain(problem.detail)
    return {**of_inventory(inventory, ledger), **told}


def of_inventory(inventory: Inventory, ledger: Ledger | None) -> dict[str, Any]:
    """`available` is null where the ledger is not known: then nobody knows what is leased."""
    divided = {gpu.parent_id for gpu in inventory.gpus if gpu.parent_id is not None}
    records = []
    for gpu in inventory.gpus:
        could = gpu.usable and gpu.allotted and gpu.id not in divided
        taken = None if ledger is None else gpu.id in ledger.taken
        available = False if not could else None if taken is None else not taken
        records.append({**gpu.to_json(), "available": available})
    counted = [r for r in records if r["usable"] and r["allotted"] and r["id"] not in divided]
    return {"GPUs": records, **_scalars(counted), "drivers": _drivers(records)}


def _scalars(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    known = [record["available"] for record in records]
    return {
        "GPU": _joined(record["model"] for record in records),
        "GPUVendor": _joined(record["vendor"] for record in records),
        "GPUArchitecture": _joined(record["architecture"] for record in records),
        "GPUCount": len(records),
        "GPUAvailable": None if None in known else sum(known),
    }


def _joined(names: Iterable[str | None]) -> str | None:
    """A comma inside a name would look like two."""
    distinct = dict.fromkeys(name.replace(",", " ") for name in names if name)
    return ",".join(distinct) or None


def _drivers(records: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    return {r["driver"]: r["driver_version"] for r in records if r["driver"]}
