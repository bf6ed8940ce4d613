"""What a fence costs at the start: each rung over a plain fork and exec, against bubblewrap with
the same namespaces, /dev and rights, and against `setsid -w`.

`fence_start` is the fence alone, as the supervisor calls it: plan, start, proof, wait.
The overhead is what is left when the time of starting `true` alone is taken off both sides; it says
how the fences compare, the whole of `gpuctl run` is in bench_run.py.

Not shown: a node with GPUs, whose own nodes the proof opens (a driver may take long over the first
open), and the cost of a fence while the payload runs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ROUNDS = 100
NOBODY = 65534
MOST_OF_BUBBLEWRAP = 0.8
MOST_OF_SETSID = 1.5


@pytest.fixture(scope="module")
def fence_start() -> Iterator[str]:
    """Compiled statically with our rooms, as gpuctl is; where every user may start it."""
    rooms = ("fence", "proc", "gpu", "base")
    libraries = [ROOT / f"build/dev/cpp/libgpuctl_{room}.a" for room in rooms]
    if not all(each.exists() for each in libraries):
        pytest.skip("no build folder with the rooms' libraries")
    folder = Path("/dev/shm") / f"gpuctl-bench-{os.getpid()}"
    folder.mkdir()
    words = ["g++", "-std=c++20", "-Os", "-D_FILE_OFFSET_BITS=64", "-static"]
    words += [f"-I{ROOT / 'cpp/include'}", str(HERE / "fence_start.cpp")]
    target = folder / "fence_start"
    subprocess.run([*words, *map(str, libraries * 2), "-o", str(target)], check=True)
    yield str(target)
    shutil.rmtree(folder)


Compare = Callable[..., Any]  # of conftest.py
Command = Callable[[], None]


class Who:
    """Starts commands as root or as a user without any right.

    By setpriv(1), whose own cost is taken off again: Python would fork instead of vfork for it,
    which takes ten times what is measured here.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.demotion: tuple[str, ...] = ()
        if name == "user" and os.geteuid() == 0:
            self.demotion = (
                "setpriv",
                f"--reuid={NOBODY}",
                f"--regid={NOBODY}",
                "--clear-groups",
            )

    def command(self, *argv: str) -> Command:
        words = (*self.demotion, *argv)

        def run() -> None:
            assert subprocess.run(words, check=False, cwd="/").returncode == 0

        return run

    def demotion_usec(self, compare: Compare) -> float:
        if not self.demotion:
            return 0.0
        row = compare(
            "setpriv true / true", self.command("true"), Who("root").command("true"), ROUNDS // 2
        )
        return row.ours_usec - row.peer_usec


@pytest.fixture(params=["root", "user"])
def who(request: pytest.FixtureRequest) -> Who:
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    return Who(request.param)


def overhead(compare: Compare, name: str, ours: Command, peer: Command, plain: Command) -> float:
    """Ours over the peer's, each less what `true` alone takes in the same run."""
    row = compare(name, ours, peer, ROUNDS)
    floor = compare(f"{name}: true / true", plain, plain, ROUNDS // 2).ours_usec
    return (row.ours_usec - floor) / (row.peer_usec - floor)


def test_full_fence_against_bubblewrap(compare: Compare, who: Who, fence_start: str) -> None:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap is not installed: `apt-get install bubblewrap`")
    same = (
        "--bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--unshare-pid",
        "--new-session",
    )
    peer = who.command(bubblewrap, *same, "--die-with-parent", "--cap-drop", "ALL", "true")
    ours = who.command(fence_start, "private_dev", "true")
    name = f"full fence / bwrap, {who.name}"
    ratio = overhead(compare, name, ours, peer, who.command("true"))
    print(f"{name}: overhead x{ratio:.2f}")
    assert ratio <= MOST_OF_BUBBLEWRAP


def test_landlock_and_seccomp_against_setsid(compare: Compare, who: Who, fence_start: str) -> None:
    ours = who.command(fence_start, "session", "true")
    name = f"landlock + seccomp / setsid -w, {who.name}"
    row = compare(name, ours, who.command("setsid", "-w", "true"), ROUNDS)
    demotion = who.demotion_usec(compare)
    ratio = (row.ours_usec - demotion) / (row.peer_usec - demotion)
    print(f"{name}: x{ratio:.2f}")
    assert ratio <= MOST_OF_SETSID


def test_the_other_rung(compare: Compare, who: Who, fence_start: str) -> None:
    ours = who.command(fence_start, "landlock", "true")
    private = who.command(fence_start, "private_dev", "true")
    compare(f"namespaces with landlock / with private_dev, {who.name}", ours, private, ROUNDS // 2)
