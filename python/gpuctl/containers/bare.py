"""Without a container: the command itself; the masks are the supervisor's."""

from __future__ import annotations

from gpuctl.containers.request import ContainerRequest, Launch

__all__ = ["launch"]


def launch(request: ContainerRequest) -> Launch:
    return Launch(argv=request.command, environment=request.environment)
