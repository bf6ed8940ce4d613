"""gpuctl killed at every system call of the protocol that writes, locks, forks or makes (strace's
fault injection), as one program: what is left is what the next caller repairs.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes.compose import compose

CALLS = (
    *("pwrite64", "write", "fallocate", "ftruncate", "utimensat"),
    *("flock", "fcntl", "clone3"),
    *("mkdirat", "fchmod", "fchmodat", "unlinkat", "renameat", "renameat2"),
)
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
        self.state = folder / "state"
        self.jobs = self.state / "jobs"
        self.places = ("--root", str(root), "--state-dir", str(self.state))

    def words(self, verb: str, *more: object) -> list[str]:
        return [self.binary, verb, "--json", *self.places, *map(str, more)]

    def json(self, verb: str, *more: object) -> dict[str, Any]:
        done = subprocess.run(self.words(verb, *more), capture_output=True, check=False)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def runs(self, strace: str, words: list[str], umask: int = -1) -> Iterator[bool]:
        """Runs `words` once for each system call at which it can be killed, and once more for each
        kind of them, which none of its calls ends; yields whether it was killed, after each run.
        strace counts each kind by itself.
        """
        for call in CALLS:
            for number in range(1, MOST_CALLS):
                inject = f"inject={call}:signal=KILL:when={number}"
                command = [strace, "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", inject]
                done = subprocess.run(
                    [*command, *words], capture_output=True, check=False, umask=umask
                )
                yield done.returncode == KILLED
                if done.returncode != KILLED:
                    assert done.returncode == 0, done.stderr
                    break
            else:
                pytest.fail(f"{call} has no end")


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
    for died in node.runs(strace, node.words("reserve", "--gpus", 8, "--owner-pid", owner.pid)):
        deaths += died
        leases = check(node)
        assert died or leases
        for lease in leases:
            assert node.json("release", lease["id"])["released"]
    assert deaths >= 15
    assert check(node) == []


def test_killed_while_it_releases(node: Node, strace: str, owner: subprocess.Popen[bytes]) -> None:
    def reserve() -> list[str]:
        if not check(node):  # what had begun is finished by the repair
            assert node.json("reserve", "--gpus", 8, "--owner-pid", owner.pid)["lease"]
        (lease,) = node.json("status")["leases"]
        return [str(lease["id"])]

    deaths = 0
    words = node.words("release", *reserve())
    for died in node.runs(strace, words):
        deaths += died
        assert died or check(node) == []
        words[-1:] = reserve()
    assert deaths >= 8


def test_killed_while_it_holds(node: Node, strace: str) -> None:
    """The supervisor itself: of what it forked nothing is traced."""
    deaths = 0
    words = [node.binary, "reserve", "-q", *node.places, "--gpus", "8", "--", "true"]
    for died in node.runs(strace, words):
        deaths += died
        assert check(node) == []
        shutil.rmtree(node.jobs, ignore_errors=True)  # each start would finish one more dead job
    assert deaths >= 40


def test_killed_while_it_makes_the_directories(
    node: Node, strace: str, owner: subprocess.Popen[bytes]
) -> None:
    """A directory of all users is never there with the mode that the umask of one of them gives."""

    def begin_anew() -> None:
        shutil.rmtree(node.state, ignore_errors=True)
        node.state.mkdir()
        node.state.chmod(0o1777)

    begin_anew()
    deaths = 0
    words = node.words("reserve", "--gpus", 8, "--owner-pid", owner.pid)
    for died in node.runs(strace, words, umask=0o077):
        deaths += died
        ledger = node.state / "ledger"
        assert not ledger.exists() or stat.S_IMODE(ledger.stat().st_mode) == 0o1777
        assert check(node) or died
        begin_anew()
    assert deaths >= 20


def test_the_owner_of_the_state_cannot_have_the_mode_of_something_else_changed(
    node: Node, strace: str, owner: subprocess.Popen[bytes]
) -> None:
    """What was just made there is taken away, and a link is put where it was."""
    node.state.mkdir()
    node.state.chmod(0o1777)
    victim = node.state.parent / "victim"
    victim.touch(0o600)
    slow = ["-e", "trace=mkdirat", "-e", "inject=mkdirat:delay_exit=500000"]
    words = node.words("reserve", "--gpus", 8, "--owner-pid", owner.pid)
    with subprocess.Popen(
        [strace, "-qq", "-o", os.devnull, *slow, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        made: list[Path] = []
        end = time.monotonic() + 20
        while not made and time.monotonic() < end:
            made = list(node.state.glob("ledger.*"))
        made[0].rename(node.state / "taken")
        made[0].symlink_to(victim)
        assert process.wait(timeout=60) != 0
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert stat.S_IMODE((node.state / "taken").stat().st_mode) == 0o700
