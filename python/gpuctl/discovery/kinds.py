"""Every kind of tool output that can be read back, as one table.

A kind is asked for by its name or by any words that begin with one of its `starts` ("nvidia-smi -q
-x", "rocm-smi --csv"), or guessed: `is_it` looks at the text. The words say which tool was meant;
what stands in the file decides the form.

Example:
    kind = kind_of("lspci -nn", text)
    reading = kind.parse(text)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gpuctl.discovery.reading import Reading
from gpuctl.discovery.sources import (
    amd_smi,
    amdgpu_top,
    cdi,
    condor,
    hwloc,
    lspci,
    nvidia_smi,
    nvml,
    nvtop,
    omniperf,
    rocm_smi,
    sonar,
    udev,
    xpu_smi,
)

__all__ = ["KINDS", "TREES", "Kind", "kind_of", "query_columns"]


@dataclass(frozen=True)
class Kind:
    name: str
    starts: tuple[str, ...]
    is_it: Callable[[str], bool]
    parse: Callable[[str], Reading]


# in the order of guessing: from those with unmistakable words to those with few
KINDS: tuple[Kind, ...] = (
    Kind("nvml", ("nvml", "pynvml", "nvidia-ml-py"), nvml.is_nvml, nvml.parse),
    Kind("condor_gpu_discovery", ("condor",), condor.is_condor, condor.parse),
    Kind("hwloc", ("hwloc", "lstopo"), hwloc.is_hwloc, hwloc.parse),
    Kind("cdi", ("cdi",), cdi.is_cdi, cdi.parse),
    Kind("udev", ("udev",), udev.is_udev, udev.parse),
    Kind("amdgpu_top", ("amdgpu_top", "amdgpu-top"), amdgpu_top.is_amdgpu_top, amdgpu_top.parse),
    Kind("rocm-smi", ("rocm-smi", "rocm_smi", "rsmi"), rocm_smi.is_rocm_smi, rocm_smi.parse),
    Kind("amd-smi", ("amd-smi", "amd_smi", "amdsmi"), amd_smi.is_amd_smi, amd_smi.parse),
    Kind("xpu-smi", ("xpu-smi", "xpu_smi", "xpumcli"), xpu_smi.is_xpu_smi, xpu_smi.parse),
    Kind("nvtop", ("nvtop",), nvtop.is_nvtop, nvtop.parse),
    Kind("sonar", ("sonar",), sonar.is_sonar, sonar.parse),
    Kind("omniperf", ("omniperf", "sysinfo"), omniperf.is_omniperf, omniperf.parse),
    Kind("lspci", ("lspci",), lspci.is_lspci, lspci.parse),
    Kind(
        "nvidia-smi",
        ("nvidia-smi", "nvidia_smi", "smi"),
        nvidia_smi.is_nvidia_smi,
        nvidia_smi.parse,
    ),
)

# kinds that are folders or archives, read by the core's own readers
TREES: tuple[str, ...] = ("sysfs", "kfd", "proc-driver-nvidia", "procfs", "root", "capture")


def kind_of(words: str | None, text: str) -> Kind | None:
    """The kind for `words`; None when neither they nor the text tell."""
    named = None
    if words:
        wanted = words.strip().lower()
        named = next((each for each in KINDS if wanted.startswith(each.starts)), None)
        if named and named.is_it(text):
            return named
    guessed = next((each for each in KINDS if each.is_it(text)), None)
    return guessed or named


def query_columns(words: str | None) -> list[str] | None:
    """The columns of `nvidia-smi --query-gpu=a,b,c`, where the words give them."""
    found = re.search(r"--query-(?:gpu|compute-apps)=([A-Za-z0-9_.,]+)", words or "")
    return found.group(1).split(",") if found else None
