"""The command line of Podman, rootless or not.

`--cgroups=disabled` keeps conmon and the container in the cgroup of their caller, which is the
job's: its limits, its accounting and its end hold for them without a path that would have to be
known beforehand. The network is the host's (JBox listens on localhost). `--userns=keep-id` lets
files of the work directory keep their owner. Ours are the resource limits: Podman's defaults are
higher than what a slot may allow, and crun would refuse to start.
"""

from __future__ import annotations

import os

from gpuctl.containers.entry import AT_START, WORKDIR, with_entry
from gpuctl.containers.request import TOOLS_INSIDE, WORKDIR_INSIDE, ContainerRequest, Launch

__all__ = ["launch"]

# Podman's own --init is a program (catatonit) that is often not installed
_INIT = (f"{TOOLS_INSIDE}/gpuctl", "container-init", "--")


def launch(program: str, request: ContainerRequest, options: tuple[str, ...] = ()) -> Launch:
    """`options` are Podman's own, before `run`: what its probe found to be needed."""
    argv = [program, *options, "run", "--rm", "--pull=never", "--cgroups=disabled"]
    argv += ["--network=host", "--pid=private", "--ipc=private", "--log-driver=none"]
    argv += [] if request.name is None else [f"--name={request.name}"]
    argv += _namespace() + _limits(request) + list(request.exposure.argv)
    if request.workdir:
        argv += ["--volume", f"{WORKDIR}:{WORKDIR_INSIDE}", f"--workdir={WORKDIR_INSIDE}"]
    argv += [f"--volume={bind.text}" for bind in request.binds]
    argv += _variables(request) + _image(request) + [*_INIT, *request.command]
    return Launch(
        argv=with_entry(argv, request.workdir),
        environment={**request.exposure.environment, **request.environment},
        unset=request.exposure.unset,
    )


def _namespace() -> list[str]:
    return [] if os.geteuid() == 0 else ["--userns=keep-id"]


def _limits(request: ContainerRequest) -> list[str]:
    limits = [f"--ulimit={name}={soft}:{hard}" for name, soft, hard in request.rlimits]
    return limits if request.shm_bytes is None else [*limits, f"--shm-size={request.shm_bytes}b"]


def _variables(request: ContainerRequest) -> list[str]:
    """By name: the values are in Podman's own environment, out of sight of `ps`."""
    names = [f"--env={name}" for name in (*request.environment, *AT_START)]
    return [*names, f"--env=GPUCTL_JOB_WORKDIR={WORKDIR_INSIDE}"] if request.workdir else names


def _image(request: ContainerRequest) -> list[str]:
    """A folder is a root file system; `:O` lays what is written over it, and forgets it. Without,
    the runtime makes its mount points in the folder itself."""
    if not os.path.isdir(request.image):  # noqa: PTH112
        return [request.image]
    return ["--rootfs", f"{request.image}:O" if request.overlay else request.image]
