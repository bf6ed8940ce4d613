"""The command line of Apptainer (1.x).

`exec -C`: own /dev, /tmp, pid and ipc namespaces, clean environment. Devices are bound one by one:
`--nv` and `--rocm` bind all of a vendor even so, and CDI came with 1.5. `-C` makes no session, so
that a payload's `kill -9 0` would end its caller: the supervisor gives it one.
"""

from __future__ import annotations

import os

from gpuctl.containers.entry import WORKDIR, with_entry
from gpuctl.containers.request import WORKDIR_INSIDE, ContainerRequest, Launch

__all__ = ["launch"]

_PREFIX = "APPTAINERENV_"  # `--env` cuts its value at commas


def launch(program: str, request: ContainerRequest) -> Launch:
    argv = [program, "--silent", "exec", "--containall", *_privileges(), *request.exposure.argv]
    if request.workdir:
        argv += ["--bind", f"{WORKDIR}:{WORKDIR_INSIDE}", "--pwd", WORKDIR_INSIDE]
    for bind in request.binds:
        argv += ["--bind", bind.text]
    argv += [request.image, *request.command]
    return Launch(
        argv=with_entry(argv, request.workdir),
        environment={**_of_exposure(request), **_inside(request)},
        unset=request.exposure.unset,
    )


def _privileges() -> list[str]:
    """Else root has every capability inside, and where one is missing nothing is started."""
    return ["--no-privs"] if os.geteuid() == 0 else []


def _of_exposure(request: ContainerRequest) -> dict[str, str]:
    """What is set inside. The same masks by their own names are for agents without `-C`; in the
    environment of our supervisor they would be those of a slot that was allotted fewer GPUs."""
    told = request.exposure.environment
    return {name: value for name, value in told.items() if name.startswith(_PREFIX)}


def _inside(request: ContainerRequest) -> dict[str, str]:
    told = dict(request.environment)
    if request.workdir:
        told["GPUCTL_JOB_WORKDIR"] = WORKDIR_INSIDE
    return {_PREFIX + name: value for name, value in told.items()}
