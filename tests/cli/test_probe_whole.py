"""Whole nodes: a stand-in root with the kernel's files and the recorded output of a tool, joined.

For every recorded case whose devices have an address and an id a root is composed that has them;
the tool's own output must then find each of them again, and nothing else.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from nodes.cases import Case, all_cases
from nodes.compose import Function, Node, compose
from nodes.recorded import recorded_root
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]
DRIVERS = {"10de": "nvidia", "1002": "amdgpu", "8086": "i915"}
TOOLS = ("nvidia-smi", "rocm-smi", "amdgpu_top", "xpu-smi", "amd-smi", "sonar")
CASES = [case for case in all_cases() if case.kind.startswith((*TOOLS, "CDI", "condor"))]


def ask(gpuctl: Run, *words: object) -> dict[str, Any]:
    done = gpuctl("probe", "--json", *words, env={"GPUCTL_PCI_IDS": "none"})
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    validate("probe.json", answer)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_tool_finds_the_kernels_devices(
    case: Case, recordings: Path, tmp_path: Path, gpuctl: Run
) -> None:
    alone = ask(gpuctl, "--from", recordings / case.name)
    cards = [g for g in alone["gpus"] if g["kind"] == "gpu" and g["pci_address"] and g["device_id"]]
    cards = [gpu for gpu in cards if gpu["vendor_id"] in DRIVERS]
    if not cards:
        assert any(not gpu["pci_address"] or not gpu["device_id"] for gpu in alone["gpus"]) or (
            alone["gpus"] == []
        )
        return  # nothing that a kernel would know by address and id
    functions = [
        Function(
            gpu["pci_address"],
            "030200",
            gpu["vendor_id"],
            gpu["device_id"],
            gpu["subsystem_id"] or "0000:0000",
            gpu["revision"] or "00",
            DRIVERS[gpu["vendor_id"]],
        )
        for gpu in cards
    ]
    root = compose(Node(functions=functions), tmp_path / "root", device_nodes=False)
    both = ask(gpuctl, "--root", root, "--from", recordings / case.name)
    whole = [gpu for gpu in both["gpus"] if gpu["kind"] == "gpu"]
    assert [gpu["id"] for gpu in whole if gpu["sources"][0] == "pci"] == [g["id"] for g in cards]
    assert len(both["gpus"]) == len(alone["gpus"]), "the tool added or lost a device"
    assert [row for row in both["problems"] if row["code"] == "conflict"] == []
    for gpu, card in zip(whole, cards):
        assert len(gpu["sources"]) >= 2
        assert gpu["memory_total_bytes"] in (card["memory_total_bytes"], gpu["memory_total_bytes"])
        if card["memory_total_bytes"]:
            error = abs(gpu["memory_total_bytes"] - card["memory_total_bytes"])
            assert error <= 0.07 * card["memory_total_bytes"]
        assert "kernel" in gpu["field_sources"]["device_id"]


def test_the_kernels_tree_and_the_tools_table(
    recordings: Path, tmp_path: Path, gpuctl: Run
) -> None:
    """A recorded DGX as sysfs, the same as udev's own text, and lspci's words for one card."""
    root = recorded_root(recordings / "udev-dgx-a100", tmp_path / "root")
    line = "0000:07:00.0 3D controller [0302]: NVIDIA Corporation GA100 [10de:20b0] (rev 00)\n"
    (tmp_path / "lspci.txt").write_text(line, encoding="utf-8")
    text = recordings / "udev-dgx-a100" / "udevadm-export-db.txt.gz"
    answer = ask(gpuctl, "--root", root, "--from", text, "--from", tmp_path / "lspci.txt")
    assert len(answer["gpus"]) == 8
    assert answer["gpus"][0]["field_sources"]["device_id"] == ["kernel", "udev", "lspci"]
    assert [row for row in answer["problems"] if row["code"] == "conflict"] == []
    assert len(answer["ignored"]) == 7


def test_the_orders_of_a_recorded_node(recordings: Path, gpuctl: Run) -> None:
    """KFD's order is not the bus's: node 2 is 0000:63:00.0."""
    answer = ask(gpuctl, "--from", f"kfd-topology={recordings / 'kfd-mi210x8/topology.tar.gz'}")
    first = min(answer["gpus"], key=lambda gpu: gpu["orders"]["rocr"])
    assert first["id"] == "0000:63:00.0"
    assert sorted(gpu["orders"]["rocr"] for gpu in answer["gpus"]) == list(range(8))


def test_cuda_counts_by_address(recordings: Path, gpuctl: Run) -> None:
    answer = ask(gpuctl, "--from", recordings / "smi-xml-h100x8")
    assert [gpu["orders"]["cuda"] for gpu in answer["gpus"]] == list(range(8))
