"""Container runtimes that are here, and whether each starts the image that jobs would get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpuctl.containers.choose import ContainerError, Wish, choose_container
from gpuctl.containers.probe import RUNTIMES, find_runtime
from gpuctl.settings import Settings
from gpuctl.sitemap.slot import Environ

__all__ = ["usable_containers"]


def usable_containers(settings: Settings, environ: Environ) -> list[dict[str, Any]]:
    """One record for each runtime that is installed; `works` is null where there is no image."""
    folder = Path(settings.text("runtime_dir") or "/")
    found = []
    for name in RUNTIMES:
        runtime = find_runtime(name, folder, environ)
        if runtime is not None:
            told = {"runtime": name, "program": runtime.program}
            found.append({**told, **_tried(name, settings, environ)})
    return found


def _tried(name: str, settings: Settings, environ: Environ) -> dict[str, Any]:
    try:
        container = choose_container(Wish(runtime=name), settings, environ)
    except ContainerError as error:
        words = str(error)
        return {"image": None, "works": None if "no image" in words else False, "detail": words}
    image = None if container.request is None else container.request.image
    return {"image": image, "works": image is not None, "detail": "; ".join(container.words)}
