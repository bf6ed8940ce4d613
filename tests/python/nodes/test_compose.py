"""The composed nodes have the kernel's shape: what stands on them must not be built on sand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from nodes.compose import NODES, Function, Node, compose, device_directory, has_device_nodes


def test_devices_are_links_out_of_their_folder(tmp_path: Path) -> None:
    root = compose("epn-mi50x8", tmp_path / "node")
    for entry in (root / "sys/bus/pci/devices").iterdir():
        assert entry.is_symlink()
        assert not Path(entry.readlink() if hasattr(entry, "readlink") else "").is_absolute()
        assert entry.resolve() == device_directory(root, entry.name).resolve()


def test_pci400_has_400_functions(tmp_path: Path) -> None:
    root = compose("pci400", tmp_path / "node")
    assert len(list((root / "sys/bus/pci/devices").iterdir())) == 400


def test_config_header_repeats_the_ids(tmp_path: Path) -> None:
    node = Node(functions=[Function("0001:02:03.4", "038000", "1002", "66a1", "1002:0834", "02")])
    root = compose(node, tmp_path / "node")
    header = (device_directory(root, "0001:02:03.4") / "config").read_bytes()
    assert header[:4] == bytes.fromhex("0210a166")
    assert header[8:12] == bytes.fromhex("02008003")
    assert header[0x2C:0x30] == bytes.fromhex("02103408")


def test_device_nodes_can_be_left_out(tmp_path: Path) -> None:
    assert not has_device_nodes(compose("epn-mi50x8", tmp_path / "node", device_nodes=False))


def test_a_used_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(FileExistsError):
        compose("empty", tmp_path)


def test_the_command_line(repository: Path, tmp_path: Path) -> None:
    script = [sys.executable, str(repository / "tests/nodes/compose.py")]
    listed = subprocess.run([*script, "--list"], capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(NODES)
    built = subprocess.run([*script, "empty", str(tmp_path / "node")], check=False)
    assert built.returncode == 0
    assert (tmp_path / "node/sys/bus/pci/devices").is_dir()
    again = subprocess.run(
        [*script, "empty", str(tmp_path / "node")], capture_output=True, check=False
    )
    assert again.returncode == 2
