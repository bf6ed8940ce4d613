"""What a container is wanted for, and the command line that came of it. Plain values.

Example:
    request = ContainerRequest(image, ("/bin/true",), exposure)
    launch = apptainer.launch("/usr/bin/apptainer", request)
    subprocess.run(launch.argv, env={**os.environ, **launch.environment})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "TOOLS_INSIDE",
    "WORKDIR_INSIDE",
    "Bind",
    "ContainerRequest",
    "Exposure",
    "Launch",
    "LeaseFile",
]

WORKDIR_INSIDE = "/workdir"  # where JAliEn has it
TOOLS_INSIDE = "/opt/gpuctl/bin"  # our own programs, bound in read-only


@dataclass(frozen=True)
class Bind:
    """A file or folder of the host; neither path may hold what separates them, `:` or `,`."""

    source: str
    target: str
    read_only: bool = False

    @property
    def text(self) -> str:
        return f"{self.source}:{self.target}{':ro' if self.read_only else ''}"


@dataclass(frozen=True)
class LeaseFile:
    """What the payload may read of its lease; `path` is the host's."""

    id: str
    path: str


@dataclass(frozen=True)
class Exposure:
    """GPUs in a runtime's words: what `gpuctl export FORMAT --json` prints."""

    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # paths inside
    problems: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Exposure:
        return cls(
            argv=tuple(answer["argv"]),
            environment=dict(answer["environment"]),
            unset=tuple(answer["unset"]),
            devices=tuple(each["path"] for each in answer["devices"]),
            problems=tuple(answer["problems"]),
        )


@dataclass(frozen=True)
class ContainerRequest:
    """`workdir`: the job's own is bound to WORKDIR_INSIDE; its path is known at start only."""

    image: str
    command: tuple[str, ...]
    exposure: Exposure = field(default_factory=Exposure)
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)  # inside, beside the exposure's
    workdir: bool = True
    shm_bytes: int | None = None
    fence: str = "best"  # the level that the site demands
    name: str | None = None  # by which the runtime can be told to forget it
    overlay: bool = True  # what is written over an image's folder goes to a layer of its own
    rlimits: tuple[tuple[str, int, int], ...] = ()  # name, soft, hard: for runtimes that raise them


@dataclass(frozen=True)
class Launch:
    """What to start. `environment` is laid over the caller's, without the names in `unset`."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    unset: tuple[str, ...] = ()

    def environ(self, base: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in base.items() if name not in self.unset}
        return {**kept, **self.environment}
