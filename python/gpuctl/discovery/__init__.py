"""What vendor tools and libraries tell about a node's GPUs, joined with the kernel's own files.

    from gpuctl import discovery

    answer = discovery.probe()          # this machine, each tool in a child with a deadline
    answer = discovery.replay(["lspci -nn=lspci.txt", "smi.xml"])  # recorded outputs
    for sample in discovery.watch(every="1s", count=10):
        print(sample.array["power_mw"])

`probe` and `replay` give plain data: the answer of `gpuctl probe --json` (docs/schema/probe.json).
Parsers, the join and its rules are modules of this package; docs/design/discovery.md explains them.
Nothing is imported before it is used: the child that asks NVML needs next to nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpuctl.discovery.prober import probe as probe
    from gpuctl.discovery.prober import replay as replay
    from gpuctl.discovery.watching import watch as watch

__all__ = ["probe", "replay", "watch"]

_PLACES = {"probe": "gpuctl.discovery.prober", "replay": "gpuctl.discovery.prober"}
_PLACES["watch"] = "gpuctl.discovery.watching"


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module `gpuctl.discovery` has no attribute `{name}`")
    from importlib import import_module

    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value
