"""Build a stand-in worker node (sys, proc, dev) from a description, for `gpuctl --root DIR`.

    python3 tests/nodes/compose.py epn-mi50x8 DIR
    python3 tests/nodes/compose.py --list

    from nodes.compose import compose
    root = compose("epn-mi50x8", tmp_path / "node")

A node is a table of PCI functions (`Function`) with what their drivers add: DRM minors, KFD nodes,
/proc/driver/nvidia. The tree has the kernel's shape: the entries of sys/bus/pci/devices are
symbolic links into sys/devices/pciDDDD:BB, drivers are links, attributes end in a newline.

Device nodes in DIR/dev are character devices with the numbers of /dev/null, so that a test may
open them. Making them needs CAP_MKNOD; without it the node has no dev at all, which gpuctl takes
as "not known"; `has_device_nodes` tells.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a program: the package is the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nodes.description import Function, KfdGpu, Node, NvidiaCard
from nodes.named import NODES
from nodes.tree import (
    device_directory,
    link_virtual_function,
    make_device_nodes,
    write,
    write_function,
    write_kfd,
    write_nvidia,
    write_skeleton,
)

__all__ = [
    "NODES",
    "Function",
    "KfdGpu",
    "Node",
    "NvidiaCard",
    "compose",
    "device_directory",
    "has_device_nodes",
]


def compose(node: str | Node, directory: Path, device_nodes: bool = True) -> Path:
    """Build `node` (one of NODES by name, or a description) in `directory`: new or empty."""
    described = NODES[node]() if isinstance(node, str) else node
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"`{directory}` is not empty; give a new directory")
    write_skeleton(directory)
    for function in described.functions:
        write_function(directory, function)
    for function in described.functions:
        link_virtual_function(directory, function)
    write_nvidia(directory, described)
    if described.kfd:
        write_kfd(directory, described)
    for driver, version in described.driver_versions.items():
        write(directory / "sys/module" / driver / "version", version)
    if device_nodes:
        make_device_nodes(directory, described.device_nodes)
    return directory


def has_device_nodes(root: Path) -> bool:
    """Whether the stand-in device nodes could be made."""
    return (root / "dev").is_dir()


def main(argv: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="build a stand-in worker node")
    parser.add_argument("--list", action="store_true", help="name the nodes and leave")
    parser.add_argument("--no-dev", action="store_true", help="without device nodes")
    parser.add_argument("node", nargs="?", choices=sorted(NODES))
    parser.add_argument("directory", nargs="?", type=Path)
    options = parser.parse_args(argv)
    if options.list:
        for name, make in NODES.items():
            print(f"{name:20} {(make.__doc__ or '').strip()}")
        return 0
    if options.node is None or options.directory is None:
        parser.error("give NODE and DIRECTORY, or --list")
    try:
        root = compose(options.node, options.directory, device_nodes=not options.no_dev)
    except OSError as error:
        print(f"compose: {error}", file=sys.stderr)
        return 2
    if not options.no_dev and not has_device_nodes(root):
        print("compose: no device nodes: making them needs CAP_MKNOD", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
