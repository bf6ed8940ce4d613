"""Character devices that stand in for GPUs: numbers that no job needs, in a composed node's dev.

A stand-in opens (1:7 is /dev/full, 10:200 /dev/net/tun, 10:229 /dev/fuse) or, where no driver has
its number (195:x), gives ENXIO: both mean that a fence let it through.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

Number = tuple[int, int]


def mode_of(node: str) -> int:
    """As its driver makes it: a capability of MIG is for reading alone."""
    return 0o444 if "/nvidia-cap" in node else 0o666


def put_nodes(root: Path, nodes: Mapping[str, Number]) -> None:
    """`nodes` by their names below /dev; needs CAP_MKNOD."""
    for name, number in nodes.items():
        path = root / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(path, stat.S_IFCHR | mode_of(name), os.makedev(*number))
        path.chmod(mode_of(name))  # whatever the umask


def put_mig(root: Path, instances: Mapping[tuple[int, int, int], tuple[int, int]]) -> None:
    """/proc/driver/nvidia's capabilities: (minor, gpu instance, compute instance) to the minors of
    the two nvidia-caps nodes."""
    for (minor, gpu, compute), (outer, inner) in instances.items():
        folder = root / f"proc/driver/nvidia/capabilities/gpu{minor}/mig/gi{gpu}"
        (folder / f"ci{compute}").mkdir(parents=True, exist_ok=True)
        access = "DeviceFileMinor: {}\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
        (folder / "access").write_text(access.format(outer))
        (folder / f"ci{compute}" / "access").write_text(access.format(inner))
