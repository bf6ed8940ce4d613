"""The words that describe a stand-in worker node; `tree.py` writes them down as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

AMD = "1002"
INTEL = "8086"
NVIDIA = "10de"

VGA = "030000"
THREE_D = "030200"
DISPLAY = "038000"
ACCELERATOR = "120000"
AUDIO = "040300"
BRIDGE = "060400"
OTHER_BRIDGE = "068000"
NETWORK = "020000"
NVME = "010802"
HOST_BRIDGE = "060000"


@dataclass(frozen=True)
class Function:
    """One PCI function; every field is what its sysfs files say.

    `files` adds or replaces attribute files, `missing` leaves some out, `directories` makes a
    directory in a file's place, which nobody can read as a file.
    """

    address: str
    class_id: str
    vendor: str
    device: str
    subsystem: str = "0000:0000"
    revision: str = "00"
    driver: str | None = None
    numa_node: int = -1
    cpus: str = "0-7"
    drm: Sequence[str] = ()
    physical_function: str | None = None
    config_all_ones: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    directories: Sequence[str] = ()


@dataclass(frozen=True)
class NvidiaCard:
    """What /proc/driver/nvidia says of one GPU."""

    address: str
    model: str
    uuid: str
    minor: int


@dataclass(frozen=True)
class XgmiLink:
    """An xGMI link of a GPU: the address at its other end, as newer kernels tell it."""

    to: str
    hops: int = 1
    bandwidth_mbs: int = 0  # 0: the kernel does not know


@dataclass(frozen=True)
class KfdGpu:
    """One GPU node of the KFD topology."""

    address: str
    device: str
    gfx_target_version: int
    unique_id: int
    render_minor: int
    memory_bytes: int
    simd_count: int = 240
    links: Sequence[XgmiLink] | None = None  # None: its node counts no links


@dataclass(frozen=True)
class Node:
    """A whole worker node."""

    functions: Sequence[Function] = ()
    nvidia: Sequence[NvidiaCard] = ()
    kfd: Sequence[KfdGpu] = ()
    cpu_nodes: int = 0  # of the KFD topology
    driver_versions: Mapping[str, str] = field(default_factory=dict)
    device_nodes: Sequence[str] = ()
