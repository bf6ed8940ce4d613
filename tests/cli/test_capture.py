"""`gpuctl capture`: a node goes into an archive, and comes back as the same node."""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from nodes.compose import NODES, compose
from nodes.recorded import recorded_root

Run = Callable[..., Any]

SCHEMA = Path(__file__).resolve().parents[2] / "docs/schema/capture.json"

DONE, USAGE, PARTIAL = 0, 2, 4
BUILT_IN_NAMES = {"GPUCTL_PCI_IDS": "none"}
RECORDED = ("sysfs-vm-p100", "sysfs-drm-vega56", "kfd-mi300x-cpx", "procfs-power9-v100x6")

# What a capture replaces, and what it does not take along.
SCRUBBED = ("uuid", "unique_id")


def capture(gpuctl: Run, root: Path, archive: Path) -> dict[str, Any]:
    done = gpuctl("capture", archive, "--json", "--root", root)
    assert done.returncode in (DONE, PARTIAL), done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(answer, json.loads(SCHEMA.read_text(encoding="utf-8")))
    return answer


def unpacked(archive: Path, directory: Path) -> Path:
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert not any(name.startswith("/") or ".." in Path(name).parts for name in names)
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extractall(directory, filter="fully_trusted")
        else:
            tar.extractall(directory)
    return directory


def inventory(gpuctl: Run, root: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        gpuctl("discover", "--json", "--root", root, env=BUILT_IN_NAMES).stdout
    )
    for gpu in answer["gpus"]:
        for key in SCRUBBED:
            gpu[key] = gpu[key] is not None
    answer["holders"] = None
    for problem in answer["problems"]:
        problem["path"] = problem["detail"] = None
    return answer


def assert_round_trip(gpuctl: Run, root: Path, directory: Path) -> None:
    capture(gpuctl, root, directory / "node.tar")
    again = unpacked(directory / "node.tar", directory / "again")
    before = inventory(gpuctl, root)
    assert inventory(gpuctl, again) == before
    assert inventory(gpuctl, directory / "node.tar") == before


@pytest.mark.parametrize("output", ["--json", "--quiet"])
def test_what_an_archive_was_unpacked_to_is_removed(
    output: str, tmp_path: Path, gpuctl: Run
) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root", device_nodes=False)
    capture(gpuctl, root, tmp_path / "node.tar")
    (tmp_path / "tmp").mkdir()
    done = gpuctl(
        "discover", output, "--root", tmp_path / "node.tar", env={"TMPDIR": str(tmp_path / "tmp")}
    )
    assert done.returncode == DONE
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(NODES) - {"mixed-broken"}))
def test_round_trip_of_a_composed_node(name: str, tmp_path: Path, gpuctl: Run) -> None:
    root = compose(name, tmp_path / "root", device_nodes=False)
    assert_round_trip(gpuctl, root, tmp_path)


@pytest.mark.parametrize("case", RECORDED)
def test_round_trip_of_a_recorded_node(
    case: str, recordings: Path, tmp_path: Path, gpuctl: Run
) -> None:
    assert_round_trip(gpuctl, recorded_root(recordings / case, tmp_path / "root"), tmp_path)


def test_a_broken_node_keeps_what_can_be_kept(tmp_path: Path, gpuctl: Run) -> None:
    """One file cannot be read: it is missing in the capture, and nothing else is."""
    root = compose("mixed-broken", tmp_path / "root", device_nodes=False)
    capture(gpuctl, root, tmp_path / "node.tar")
    before = inventory(gpuctl, root)
    after = inventory(gpuctl, unpacked(tmp_path / "node.tar", tmp_path / "again"))
    assert [gpu["id"] for gpu in after["gpus"]] == [gpu["id"] for gpu in before["gpus"]]
    healths = [[gpu["health"]["state"] for gpu in each["gpus"]] for each in (before, after)]
    assert healths[0] == healths[1]


def test_links_stay_links(tmp_path: Path, gpuctl: Run) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root", device_nodes=False)
    capture(gpuctl, root, tmp_path / "node.tar")
    entry = unpacked(tmp_path / "node.tar", tmp_path / "again") / "sys/bus/pci/devices/0000:03:00.0"
    assert os.readlink(entry) == "../../../devices/pci0000:03/0000:03:00.0"
    assert os.readlink(entry / "driver").endswith("bus/pci/drivers/nvidia")


def test_it_tells_nobody_who_and_where(tmp_path: Path, gpuctl: Run) -> None:
    root = compose("epn-mi50x8", tmp_path / "root", device_nodes=False)
    folder = root / "sys/bus/pci/devices/0000:03:00.0"
    secret = (folder / "unique_id").read_text(encoding="utf-8").strip()
    (folder / "serial_number").write_text("PCB0123456789\n", encoding="utf-8")
    version = root / "proc/driver/nvidia/version"
    version.parent.mkdir(parents=True)
    version.write_text("NVRM version: 570.1 (anna@wn042.example.org)\n", encoding="utf-8")
    capture(gpuctl, root, tmp_path / "node.tar")
    text = (tmp_path / "node.tar").read_bytes()
    for told in (secret, secret.upper(), str(int(secret, 16)), "PCB0123456789", "anna", "wn042"):
        assert told.encode() not in text, told
    again = unpacked(tmp_path / "node.tar", tmp_path / "again")
    made_up = (again / "sys/bus/pci/devices/0000:03:00.0/unique_id").read_text(encoding="utf-8")
    properties = [
        path.read_text(encoding="utf-8")
        for path in (again / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    ]
    assert any(f"unique_id {int(made_up, 16)}\n" in text for text in properties)


def test_equal_nodes_are_equal_archives(tmp_path: Path, gpuctl: Run) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root", device_nodes=False)
    for name in ("a.tar", "b.tar"):
        capture(gpuctl, root, tmp_path / name)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_a_file_that_is_there_stays(tmp_path: Path, gpuctl: Run) -> None:
    root = compose("empty", tmp_path / "root")
    archive = tmp_path / "node.tar"
    archive.write_text("mine", encoding="utf-8")
    done = gpuctl("capture", archive, "--root", root)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert archive.read_text(encoding="utf-8") == "mine"
    assert gpuctl("capture", "--root", root).returncode == USAGE
    assert gpuctl("capture", tmp_path / "x", "--deadline", "soon").returncode == USAGE


def test_long_paths_survive(tmp_path: Path, gpuctl: Run) -> None:
    """A card behind many bridges: sysfs paths grow by a component for each."""
    root = compose("empty", tmp_path / "root")
    deep = "pci0000:00/" + "/".join(f"0000:{bus:02x}:00.0" for bus in range(1, 24))
    folder = root / "sys/devices" / deep
    folder.mkdir(parents=True)
    for name, text in (("class", "0x030200"), ("vendor", "0x10de"), ("device", "0x20b0")):
        (folder / name).write_text(text + "\n", encoding="utf-8")
    (root / "sys/bus/pci/devices/0000:17:00.0").symlink_to(f"../../../devices/{deep}")
    assert_round_trip(gpuctl, root, tmp_path)


def tool(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_tools_go_beside_it_and_a_hung_one_is_ended(tmp_path: Path, gpuctl: Run) -> None:
    """Stand-ins that print what is recorded, hang, or fail; found on PATH before any real one."""
    tools = tmp_path / "bin"
    tool(
        tools,
        "nvidia-smi",
        'echo "uuid GPU-6a1b5f2e-77aa-4f6e-8a10-00000000a001 serial 1324520042233"',
    )
    tool(tools, "rocm-smi", f"echo $$ > {tmp_path}/pid; echo begun; sleep 600")
    tool(tools, "amd-smi", "echo broken >&2; exit 3")
    began = time.monotonic()
    done = gpuctl(
        "capture",
        tmp_path / "node.tar",
        "--json",
        "--deadline",
        "1s",
        env={"PATH": f"{tools}:/usr/bin:/bin", "GPUCTL_ROOT": "/"},
    )
    assert time.monotonic() - began < 30
    assert done.returncode == PARTIAL, done.stderr
    told = {each["command"]: each for each in json.loads(done.stdout)["tools"]}
    assert told["rocm-smi -a --json"]["timed_out"]
    assert told["amd-smi static --json"]["exit_status"] == 3
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    assert not Path(f"/proc/{pid}").exists()
    with tarfile.open(tmp_path / "node.tar") as tar:
        member = tar.extractfile("tools/nvidia-smi-q-x.xml")
        assert member is not None
        assert member.read() == b"uuid GPU-00000001-0000-4000-8000-000000000001 serial SCRUBBED\n"
        half = tar.extractfile("tools/rocm-smi-a.json")
        assert half is not None
        assert half.read() == b"begun\n"


def test_what_the_tools_said_is_read_back(tmp_path: Path, gpuctl: Run) -> None:
    uuid = "GPU-6a1b5f2e-77aa-4f6e-8a10-00000000a001"
    tools = tmp_path / "bin"
    tool(tools, "nvidia-smi", f'echo "GPU 0: NVIDIA A100-SXM4-40GB (UUID: {uuid})"')
    done = gpuctl(
        "capture", tmp_path / "node.tar", env={"PATH": f"{tools}:/usr/bin:/bin", "GPUCTL_ROOT": "/"}
    )
    assert done.returncode in (DONE, PARTIAL), done.stderr
    answer = json.loads(gpuctl("probe", "--json", "--from", tmp_path / "node.tar").stdout)
    assert any("nvidia-smi" in str(each["source"]) for each in answer["sources"]), answer["sources"]
    assert [gpu["model"] for gpu in answer["gpus"]] == ["NVIDIA A100-SXM4-40GB"]
