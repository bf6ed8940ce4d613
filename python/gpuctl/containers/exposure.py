"""The GPUs' nodes, masks and driver libraries in a runtime's words, as the core spells them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from gpuctl import _core
from gpuctl.containers.request import Exposure, LeaseFile
from gpuctl.settings import Settings

__all__ = ["expose"]


def expose(
    runtime: str,
    settings: Settings,
    gpu_ids: Sequence[str],
    libraries: Sequence[str] = (),
    lease: LeaseFile | None = None,
) -> Exposure:
    """Also for no GPU at all: then masks hide those that an image might find."""
    pci_ids = settings.text("pci_ids")
    told = (None, None) if lease is None else (lease.id, lease.path)
    answer = _core.expose_json(
        runtime, settings.root, pci_ids, list(gpu_ids), list(libraries), *told
    )
    return Exposure.from_json(json.loads(answer))
