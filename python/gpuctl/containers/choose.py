"""The container of one job: runtime, image, what it gets of the host; tried before it counts.

A container that nobody demanded and that does not work is left out, with a warning, as in JAliEn;
one that was demanded (by flag, setting, `JobContainer`) is a reason not to start: CONTAINER.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpuctl.containers.exposure import expose
from gpuctl.containers.fence import entry_bind, fenced
from gpuctl.containers.images import ImageChoice, choose_image
from gpuctl.containers.libraries import Verdict, host_libraries, judge
from gpuctl.containers.probe import RUNTIMES, Runtime, Trial, find_runtime, try_out
from gpuctl.containers.request import Bind, ContainerRequest, Launch, LeaseFile
from gpuctl.errors import UnavailableError
from gpuctl.jdl.units import parse_jalien_size
from gpuctl.settings import Settings

__all__ = ["Container", "ContainerError", "Wish", "choose_container"]

_PASSED = (
    *("JALIEN_TOKEN_CERT", "JALIEN_TOKEN_KEY", "META_VARIABLES", "APMON_CONFIG", "TZ", "LANG"),
    "LC_ALL",
)
_PASSED_PREFIXES = ("ALIEN_", "JALIEN_", "ALIENPY_", "JBOX")
_CVMFS = "/cvmfs"


class ContainerError(UnavailableError):
    """The container that was demanded cannot be had. `sanity`: its GPU cannot be used there."""

    def __init__(self, text: str, sanity: bool = False) -> None:
        super().__init__(text, detail=text)
        self.sanity = sanity


@dataclass(frozen=True)
class Wish:
    """What the job, its caller and its GPUs ask for. `variables` are the JDL's for the payload."""

    runtime: str  # auto, apptainer, podman, none
    image: str | None = None
    job_container: str | None = None
    platform: str | None = None
    gpu_ids: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()
    memory_bytes: int | None = None
    lease: LeaseFile | None = None


@dataclass(frozen=True)
class Container:
    """`runtime` None: none, the payload runs on the host. `words` tell how it came to that."""

    runtime: Runtime | None
    request: ContainerRequest | None
    words: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    libraries: Verdict | None = None
    fence: Mapping[str, Any] | None = None  # what the entry program proved in it (gpuctl.fence/1)
    image_is_the_jobs: bool = False  # named by the JDL, not by the site or its caller

    def launch(self, command: Sequence[str]) -> Launch:
        if self.runtime is None or self.request is None:
            return Launch(tuple(command))
        return self.runtime.launch(fenced(self.request, command))

    def for_check(self, *binds: Bind) -> Container:
        """The same with more of the host in it, without a work directory: there is no job yet."""
        if self.request is None:
            return self
        binds = (*self.request.binds, *binds)
        return replace(self, request=replace(self.request, binds=binds, workdir=False, name=None))

    def clean_up(self) -> None:
        """What a killed runtime leaves of its own records; the processes are gone already."""
        if self.runtime is not None and self.request is not None and self.request.name is not None:
            self.runtime.forget(self.request.name)

    def to_json(self) -> dict[str, Any] | None:
        if self.runtime is None or self.request is None:
            return None
        verdict = self.libraries
        return {
            "runtime": self.runtime.name,
            "program": self.runtime.program,
            "image": self.request.image,
            "devices": list(self.request.exposure.devices),
            "libraries": list(verdict.bind) if verdict else [],
            "missing_versions": list(verdict.missing) if verdict else [],
            "fence": None if self.fence is None else dict(self.fence),
        }


def choose_container(wish: Wish, settings: Settings, environ: Mapping[str, str]) -> Container:
    """Raises ContainerError where one was demanded and cannot be had."""
    if wish.runtime == "none":
        return _without("no container was asked for")
    if wish.runtime == "auto" and environ.get("DISABLE_NESTED_CONTAINERS"):
        return _without("DISABLE_NESTED_CONTAINERS is set: no container")
    image = _image(wish, settings, environ)
    demanded = wish.runtime != "auto" or image.demanded
    if image.path is None:
        if wish.runtime != "auto":
            raise ContainerError(f"{image.reason}: name one with `--image`")
        return _without(f"{image.reason}: no container")
    return _first_that_works(wish, image, demanded, settings, environ)


def _without(words: str, *warnings: str) -> Container:
    return Container(None, None, (words,), warnings)


def _image(wish: Wish, settings: Settings, environ: Mapping[str, str]) -> ImageChoice:
    folder = Path(settings.text("image_dir") or "/")
    given = wish.image or settings.text("image")
    machine = os.uname().machine
    return choose_image(given, wish.job_container, wish.platform, folder, environ, machine)


def _first_that_works(
    wish: Wish, image: ImageChoice, demanded: bool, settings: Settings, environ: Mapping[str, str]
) -> Container:
    names = RUNTIMES if wish.runtime == "auto" else (wish.runtime,)
    folder = Path(settings.text("runtime_dir") or "/")
    failures = []
    for name in names:
        runtime = find_runtime(name, folder, environ)
        if runtime is None:
            failures.append(f"`{name}` is not installed")
            continue
        found = _try(runtime, wish, image, settings, environ)
        if isinstance(found, Container):
            return found
        failures.append(found)
    if demanded:
        raise ContainerError("; ".join(failures))
    return _without("no container works here", *failures)


def _try(
    runtime: Runtime,
    wish: Wish,
    image: ImageChoice,
    settings: Settings,
    environ: Mapping[str, str],
) -> Container | str:
    """Words where it cannot be started. With the host's libraries, then without, where the image
    does not work with them and brings its own."""
    verdict = _libraries(wish, image, settings)
    request = _request(runtime, wish, image, settings, environ, verdict.bind)
    trial, request = _started(runtime, request)
    if verdict.bind and (not trial.works or trial.ps_works is False):
        without = _request(runtime, wish, image, settings, environ, ())
        words = trial.words or "`ps --version` fails with the host's driver libraries"
        trial, request = _started(runtime, without)
        if trial.works:
            verdict = _not_with_them(verdict, words)
    if not trial.works:
        return trial.words
    said = (f"{runtime.name}, image `{request.image}` ({image.reason})", verdict.words)
    return Container(
        runtime,
        request,
        said,
        libraries=verdict,
        fence=trial.fence,
        image_is_the_jobs=image.is_the_jobs,
    )


def _started(runtime: Runtime, request: ContainerRequest) -> tuple[Trial, ContainerRequest]:
    """Where no layer can be laid over an image's folder, its own folders may do as they are."""
    trial = try_out(runtime, request)
    if trial.works or runtime.name != "podman" or "overlay" not in trial.words:
        return trial, request
    plain = replace(request, overlay=False)
    second = try_out(runtime, plain)
    return (second, plain) if second.works else (trial, request)


def _libraries(wish: Wish, image: ImageChoice, settings: Settings) -> Verdict:
    """Raises ContainerError(sanity) where the GPU's library can come from nowhere."""
    if not wish.gpu_ids or settings.root != "/":
        return Verdict((), (), False, "no driver libraries are needed")
    folder = Path(image.path or "")
    root = folder if folder.is_dir() else None
    verdict = judge(host_libraries(wish.vendors), root, wish.vendors)
    if not verdict.usable:
        raise ContainerError(verdict.words, sanity=True)
    return verdict


def _not_with_them(verdict: Verdict, why: str) -> Verdict:
    if not verdict.own:
        raise ContainerError(
            f"the image does not work with the host's libraries: {why}", sanity=True
        )
    words = f"{why}: the image's own libraries are used"
    return Verdict((), (*verdict.missing, why), True, words)


def _request(
    runtime: Runtime,
    wish: Wish,
    image: ImageChoice,
    settings: Settings,
    environ: Mapping[str, str],
    libraries: Sequence[str],
) -> ContainerRequest:
    exposure = expose(runtime.name, settings, wish.gpu_ids, libraries, wish.lease)
    if exposure.problems:
        raise ContainerError("; ".join(exposure.problems))
    return ContainerRequest(
        image=image.path or "",
        command=(),
        exposure=exposure,
        binds=(*_site_binds(environ), *wish.binds, entry_bind()),
        environment={**_passed(environ), **wish.variables},
        shm_bytes=_shm_bytes(wish, settings),
        fence=settings.text("fence") or "best",
        name=f"gpuctl-{secrets.token_hex(8)}",
    )


def _site_binds(environ: Mapping[str, str]) -> tuple[Bind, ...]:
    """/cvmfs where it is; what the site adds: ADDITIONAL_BINDS of JAliEn, `source:target,...`."""
    binds = [Bind(_CVMFS, _CVMFS)] if os.path.isdir(_CVMFS) else []  # noqa: PTH112
    for text in filter(None, environ.get("ADDITIONAL_BINDS", "").split(",")):
        source, _, target = text.strip().partition(":")
        binds.append(Bind(source, target or source))
    return tuple(binds)


def _passed(environ: Mapping[str, str]) -> dict[str, str]:
    """The job's own, not the pilot's: what is not named stays outside."""
    return {
        name: value
        for name, value in environ.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }


def _shm_bytes(wish: Wish, settings: Settings) -> int | None:
    given = settings.text("shm_size")
    if given is not None:
        return parse_jalien_size(given)
    return wish.memory_bytes // 2 if wish.memory_bytes else None
