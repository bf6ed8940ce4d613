"""gpuctl killed at every system call of the protocol that writes, locks or opens (strace's fault
injection), as one program: what is left is what the next caller repairs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes.compose import compose

CALLS = "pwrite64,flock,fcntl,write,fallocate,utimensat,ftruncate,unlinkat,renameat"
MOST_CALLS = 200
KILLED = -9


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.fail("no strace: it comes with the packages of ./dev test")
    probe = subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.skip("strace may not trace here (ptrace is forbidden)")
    return found


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


class Node:
    def __init__(self, folder: Path, binary: Path) -> None:
        self.binary = str(binary)
        root = compose("epn-mi50x8", folder / "node")
        self.jobs = folder / "state" / "jobs"
        self.places = ("--root", str(root), "--state-dir", str(folder / "state"))

    def words(self, verb: str, *more: object) -> list[str]:
        return [self.binary, verb, "--json", *self.places, *map(str, more)]

    def json(self, verb: str, *more: object) -> dict[str, Any]:
        done = subprocess.run(self.words(verb, *more), capture_output=True, check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def killed_at(self, strace: str, number: int, words: list[str]) -> bool:
        inject = f"inject={CALLS}:signal=KILL:when={number}"
        command = [strace, "-qq", "-o", os.devnull, "-e", f"trace={CALLS}", "-e", inject, *words]
        return subprocess.run(command, capture_output=True, check=False).returncode == KILLED


@pytest.fixture
def node(tmp_path: Path, gpuctl_binary: Path) -> Node:
    return Node(tmp_path, gpuctl_binary)


def check(node: Node) -> list[dict[str, Any]]:
    """What is on record is whole: all eight GPUs are of one lease, or all are free."""
    status = node.json("status", "--repair")
    assert status["problems"] == []
    assert all(lease["state"] == "held" for lease in status["leases"])
    assert len(status["leases"]) <= 1
    assert {gpu["available"] for gpu in status["gpus"]} == {not status["leases"]}
    leases: list[dict[str, Any]] = status["leases"]
    return leases


def test_killed_while_it_reserves(node: Node, strace: str, owner: subprocess.Popen[bytes]) -> None:
    deaths = 0
    for number in range(1, MOST_CALLS):
        if not node.killed_at(
            strace, number, node.words("reserve", "--gpus", 8, "--owner-pid", owner.pid)
        ):
            break
        deaths += 1
        for lease in check(node):
            assert node.json("release", lease["id"])["released"]
    assert 8 <= deaths < MOST_CALLS - 1
    assert node.json("release", check(node)[0]["id"])["released"]
    assert check(node) == []


def test_killed_while_it_releases(node: Node, strace: str, owner: subprocess.Popen[bytes]) -> None:
    deaths = 0
    for number in range(1, MOST_CALLS):
        if not check(node):  # what had begun is finished by the repair
            assert node.json("reserve", "--gpus", 8, "--owner-pid", owner.pid)["lease"]
        (lease,) = node.json("status")["leases"]
        if not node.killed_at(strace, number, node.words("release", lease["id"])):
            break
        deaths += 1
    assert 4 <= deaths < MOST_CALLS - 1
    assert check(node) == []


def test_killed_while_it_holds(node: Node, strace: str) -> None:
    """The supervisor itself: of what it forked nothing is traced."""
    deaths = 0
    for number in range(1, MOST_CALLS):
        words = [node.binary, "reserve", "-q", *node.places, "--gpus", "8", "--", "true"]
        if not node.killed_at(strace, number, words):
            break
        deaths += 1
        assert check(node) == []
        shutil.rmtree(node.jobs)  # each start would finish one more dead job
    assert 15 <= deaths < MOST_CALLS - 1
    assert check(node) == []
