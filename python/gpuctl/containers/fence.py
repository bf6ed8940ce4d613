"""The fence in a container: its first program is `gpuctl fence-entry`, which becomes the payload.

What is mounted outside counts for nothing in a runtime's own namespaces, so the entry program
refuses there what is not the job's, proves it, and starts nothing where that does not hold. It is
our own static binary, bound in read-only, and needs nothing of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpuctl.binary import find_binary
from gpuctl.containers.request import TOOLS_INSIDE, Bind, ContainerRequest

__all__ = ["entry_bind", "fenced"]

_ENTRY = f"{TOOLS_INSIDE}/gpuctl"


def entry_bind() -> Bind:
    return Bind(find_binary(), _ENTRY, read_only=True)


def fenced(
    request: ContainerRequest, command: Sequence[str], proof: str | None = None
) -> ContainerRequest:
    """`proof`: where, inside, what was proven is written."""
    words = [_ENTRY, "fence-entry", f"--fence={request.fence}"]
    words += [f"--own={path}" for path in request.exposure.devices]
    if proof is not None:
        words.append(f"--proof={proof}")
    return replace(request, command=(*words, "--", *command))
