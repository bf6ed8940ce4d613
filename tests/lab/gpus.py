"""GPUs for a node: a composed or recorded hardware tree mounted over its /sys, /proc and /dev.

    install(node, "epn-mi50x8")             # one of tests/nodes/compose.py
    install(node, recorded_root(...))       # any folder with sys, proc and dev
    install_tool(node, "nvidia-smi", {"-L": "GPU 0: …\\n"})

Only kernel files and device nodes stand in: no driver is behind them. The nodes have their
drivers' numbers, so that opening one fails with ENXIO where it is allowed. A mount over
/proc/driver (NVIDIA nodes) has a price that a real node does not pay: the kernel then refuses
unprivileged mounts of a new /proc (fs/namespace.c, mount_too_revealing).
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from nodes.compose import NODES, compose

from lab.node import Node

# Documentation/admin-guide/devices.txt; KFD's and UVM's are given at run time (511 and below).
NUMBERS = (
    (r"nvidia(\d+)", 195, None),
    (r"nvidiactl", 195, 255),
    (r"nvidia-uvm", 510, 0),
    (r"nvidia-uvm-tools", 510, 1),
    (r"dri/(?:card|renderD)(\d+)", 226, None),
    (r"kfd", 511, 0),
)


def install(node: Node, hardware: str | Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gpuctl-lab-") as folder:
        if isinstance(hardware, Path):
            root, devices = hardware, _devices_of(hardware)
        else:
            root = compose(hardware, Path(folder) / "node", device_nodes=False)
            devices = list(NODES[hardware]().device_nodes)
        for name in ("sys", "proc"):
            if (root / name).is_dir():
                node.put(root / name, f"/var/lib/lab/{name}")
    node.run([MOUNT], user="root", timeout=60).check()
    make_devices(node, devices)


MOUNT = "/opt/lab/bin/lab-mount-hardware"


def _devices_of(root: Path) -> list[str]:
    dev = root / "dev"
    return [f"/dev/{each.relative_to(dev)}" for each in dev.rglob("*") if not each.is_dir()]


def make_devices(node: Node, paths: Iterable[str]) -> None:
    """Character devices that no driver serves."""
    lines = ["set -e"]
    for path in paths:
        major, minor = device_number(path[len("/dev/") :])
        lines.append(f"mkdir -p $(dirname {path}); rm -f {path}")
        lines.append(f"mknod -m 666 {path} c {major} {minor}")
    node.run("\n".join(lines), user="root").check()


def device_number(name: str) -> tuple[int, int]:
    for pattern, major, minor in NUMBERS:
        found = re.fullmatch(pattern, name)
        if found:
            return major, int(found[1]) if minor is None else minor
    return 509, sum(name.encode()) % 256  # of no driver that there is


REPLAY = """#!/usr/bin/python3
# Stands in for a vendor's tool: says what the tool said to the same arguments, and 1 to all others.
import json, sys
answers = json.loads({answers!r})
key = " ".join(sys.argv[1:])
if key not in answers:
    sys.exit(f"{{sys.argv[0]}}: no answer was recorded to `{{key}}`")
sys.stdout.write(answers[key])
"""


def install_tool(node: Node, name: str, answers: Mapping[str, str]) -> None:
    """A program of that name on everybody's PATH; `answers`: joined arguments to stdout."""
    text = REPLAY.format(answers=json.dumps(dict(answers)))
    node.put(text.encode(), f"/usr/local/bin/{name}", mode=0o755)
