"""A leased GPU that leaves the node, or comes back at another address: it is told, given to nobody,
and its lease comes back like any other, by proof.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from ledger_site import Ledger, Run
from nodes.compose import NODES, Function, KfdGpu, Node, NvidiaCard, compose

GONE, MOVED = "0000:41:00.0", "0000:45:00.0"  # of the A100 node
AMD_GONE, AMD_MOVED = "0000:63:00.0", "0000:64:00.0"


class Changing(Ledger):
    """A node whose hardware is another one from a moment on."""

    def change(self, node: Node) -> None:
        self.root.rename(self.root.with_name("before"))
        compose(node, self.root, device_nodes=False)


def changing(gpuctl: Run, name: str, folder: Path) -> Changing:
    root = compose(name, folder / "node", device_nodes=False)
    return Changing(gpuctl, root, folder / "state")


def without(name: str, address: str) -> Node:
    node = NODES[name]()
    return replace(
        node,
        functions=[each for each in node.functions if each.address != address],
        nvidia=[each for each in node.nvidia if each.address != address],
        kfd=[each for each in node.kfd if each.address != address],
    )


Row = TypeVar("Row", Function, NvidiaCard, KfdGpu)


def at(name: str, old: str, new: str) -> Node:
    """The same card with another address."""
    node = NODES[name]()

    def moved(rows: Sequence[Row]) -> list[Row]:
        return [replace(row, address=new) if row.address == old else row for row in rows]

    return replace(
        node, functions=moved(node.functions), nvidia=moved(node.nvidia), kfd=moved(node.kfd)
    )


@contextmanager
def holding(ledger: Ledger, gpu: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [ledger.binary, "reserve", "-q", *ledger.places, "--gpu", gpu]
    with subprocess.Popen(
        [*command, "--", "sh", "-c", "echo; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout and process.stdout.readline() == b"\n"
        yield process
        process.communicate()
        assert process.returncode == 0


def test_a_gpu_that_vanished_is_told_and_its_lease_comes_back(gpuctl: Run, tmp_path: Path) -> None:
    ledger = changing(gpuctl, "perlmutter-a100x4", tmp_path)
    with holding(ledger, GONE):
        ledger.change(without("perlmutter-a100x4", GONE))
        status = ledger.json("status", code=4)
        (problem,) = status["problems"]
        assert (problem["code"], problem["pci_address"]) == ("gpu_gone", GONE)
        assert status["leases"][0]["state"] == "held"
        assert f"GPU {GONE} of lease" in ledger.run("status").stderr
        assert ledger.run("reserve", "--gpus", 4, "--", "true").returncode == 125
        assert ledger.run("reserve", "--gpus", 3, "--", "true").returncode == 0
    assert ledger.json("status")["leases"] == []


@pytest.mark.parametrize(
    ("name", "old", "new", "others"),
    [("perlmutter-a100x4", GONE, MOVED, 3), ("epn-mi50x8", AMD_GONE, AMD_MOVED, 7)],
)
def test_a_gpu_at_another_address_is_still_leased(
    gpuctl: Run, tmp_path: Path, name: str, old: str, new: str, others: int
) -> None:
    ledger = changing(gpuctl, name, tmp_path)
    with holding(ledger, old):
        ledger.change(at(name, old, new))
        status = ledger.json("status", code=4)
        (problem,) = status["problems"]
        assert problem["code"] == "gpu_moved"
        assert new in problem["detail"]
        (taken,) = [gpu for gpu in status["gpus"] if not gpu["available"]]
        assert taken["id"] == new
        assert ledger.run("reserve", "--gpu", new, "--", "true").returncode == 125
        assert ledger.run("reserve", "--gpus", others, "--", "true").returncode == 0
    assert ledger.json("status")["leases"] == []
    assert ledger.run("reserve", "--gpu", new, "--", "true").returncode == 0


def test_a_recorded_lease_of_a_gpu_that_vanished(gpuctl: Run, tmp_path: Path) -> None:
    ledger = changing(gpuctl, "perlmutter-a100x4", tmp_path)
    with subprocess.Popen(["sleep", "600"]) as owner:
        try:
            lease = ledger.json("reserve", "--owner-pid", owner.pid, "--gpu", GONE)["lease"]["id"]
            ledger.change(without("perlmutter-a100x4", GONE))
            assert ledger.json("status", "--repair", code=4)["leases"][0]["state"] == "held"
        finally:
            owner.kill()
    assert any(lease in words for words in ledger.json("status", "--repair")["repaired"])
    assert ledger.json("status")["leases"] == []


def test_another_card_in_its_place_is_not_given(gpuctl: Run, tmp_path: Path) -> None:
    ledger = changing(gpuctl, "perlmutter-a100x4", tmp_path)
    with holding(ledger, GONE):
        node = NODES["perlmutter-a100x4"]()
        cards = [
            replace(card, uuid="GPU-00000000-1f6b-4a2d-9c3e-000000000000")
            if card.address == GONE
            else card
            for card in node.nvidia
        ]
        ledger.change(replace(node, nvidia=cards))
        (problem,) = ledger.json("status", code=4)["problems"]
        assert problem["code"] == "gpu_gone"
        assert ledger.run("reserve", "--gpu", GONE, "--", "true").returncode == 125
    assert ledger.run("reserve", "--gpu", GONE, "--", "true").returncode == 0
