"""Ending bombs: from the KILL to the proof, and who survived, against the recipe that psutil's
documentation gives; and what one verified signal costs.

Two bombs: 16 chains of processes that fork and exit, each in a session of its own, so that no list
is ever right; and hundreds that do nothing but fork. Whether somebody survived tells a counter in
shared memory, not a scan. Each round is in an arena of its own; the payload is a plain user's.

The recipe does not see what its list missed and calls it done; time it saves there is no merit.
Not shown: a kernel without namespaces, more processors, the cost of a TERM that is obeyed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from adversarial.arena import Arena, arena_refusal, make_arena

HERE = Path(__file__).resolve().parent
PAYLOADS = HERE.parent / "tests" / "adversarial" / "payloads"
BOMBS = {"16 fork-exit chains": ("comets", 16, 50), "800 forkers": ("wide", 800, 5)}
OF_BARE_CALLS = 1.15


@pytest.fixture(scope="module")
def tools(gpuctl_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    reason = arena_refusal()
    if reason is not None:
        pytest.skip(reason)
    folder = Path("/dev/shm") / f"gpuctl-bench-{os.getpid()}"
    folder.mkdir()
    shutil.copy(gpuctl_binary, folder / "gpuctl")
    for name in ("villain", "pilot"):
        source = PAYLOADS / f"{name}.c"
        words = ["cc", "-O2", "-pthread", str(source), "-o", str(folder / name)]
        subprocess.run(words, check=True)
    yield folder
    shutil.rmtree(folder)


@dataclass
class Side:
    """Microseconds of each kill, and in how many something beat on."""

    usec: list[int] = field(default_factory=list)
    survived: int = 0

    def add(self, usec: int, arena: Arena) -> None:
        self.usec.append(usec)
        before = arena.beats()
        time.sleep(0.05)
        self.survived += arena.beats() != before

    def __str__(self) -> str:
        return (
            f"{statistics.median(self.usec) / 1000:8.1f} ms, "
            f"survivors in {self.survived} of {len(self.usec)}"
        )


def start_bomb(arena: Arena, bomb: str, number: int) -> list[object]:
    return [arena.tools / "villain", bomb, arena.folder / "beats", number]


def await_bomb(arena: Arena, bomb: str, number: int) -> None:
    arena.wait_for_beats()
    if bomb == "wide":  # as many as it gets under the load there is
        end = time.monotonic() + 5
        while time.monotonic() < end and len(arena.processes()) < number * 0.8:
            time.sleep(0.02)
    else:
        time.sleep(0.05)


def ours(tools: Path, bomb: str, number: int, fence: str, side: Side) -> None:
    with make_arena(tools, None, "user") as arena:
        job = arena.run(["--job", "b", "--process-fence", fence], start_bomb(arena, bomb, number))
        await_bomb(arena, bomb, number)
        code, out, errors = arena.gpuctl("--json", "kill", "--job", "b", "--grace", 0)
        assert code == 0, errors
        side.add(json.loads(out)["kill"]["elapsed_usec"], arena)
        arena.assert_bystanders_live(job)


def theirs(tools: Path, bomb: str, number: int, side: Side) -> None:
    with make_arena(tools, None, "user") as arena:
        pid = arena.spawn(start_bomb(arena, bomb, number))
        await_bomb(arena, bomb, number)
        out = arena.folder / "recipe"
        words = [sys.executable, HERE / "psutil_recipe.py", pid]
        recipe = arena.spawn(words, uid=0 if os.geteuid() == 0 else None, stdout=out)
        assert arena.wait(recipe, 60) == 0
        side.add(int(out.read_text()), arena)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name: str, tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bomb, number, rounds = BOMBS[name]
    sides = {"gpuctl, pid namespace": Side(), "gpuctl, session": Side(), "psutil's recipe": Side()}
    for _ in range(rounds):
        ours(tools, bomb, number, "pid_namespace", sides["gpuctl, pid namespace"])
        ours(tools, bomb, number, "session", sides["gpuctl, session"])
        theirs(tools, bomb, number, sides["psutil's recipe"])
    with capsys.disabled():
        print(f"\n{name}: from the KILL to the proof (median), load {os.getloadavg()[0]:.1f}")
        for who, side in sides.items():
            print(f"  {who:<22} {side}")
    assert sides["gpuctl, pid namespace"].survived == 0
    assert sides["gpuctl, session"].survived == 0


def test_one_verified_signal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rooms = HERE.parent / "build" / "dev" / "cpp"
    libraries = [rooms / f"libgpuctl_{room}.a" for room in ("kill", "proc", "cgroup", "base")]
    if not all(each.exists() for each in libraries):
        pytest.skip("no build folder with the rooms' libraries")
    program = tmp_path / "signal_floor"
    words = ["g++", "-std=c++20", "-O2", "-D_FILE_OFFSET_BITS=64"]
    words += [f"-I{HERE.parent / 'cpp' / 'include'}", str(HERE / "signal_floor.cpp")]
    subprocess.run([*words, *map(str, libraries), "-o", str(program)], check=True)
    with subprocess.Popen(["sleep", "120"]) as target:
        done = subprocess.run(
            [program, str(target.pid), "1000"], capture_output=True, text=True, check=True
        )
        target.kill()
    verified, bare, plain = map(int, done.stdout.split())
    with capsys.disabled():
        print(
            f"\none verified signal: {verified} ns; its own bare system calls: {bare} ns "
            f"(ratio {verified / bare:.2f}); kill(2): {plain} ns (ratio {verified / plain:.0f})"
        )
    assert verified <= OF_BARE_CALLS * bare
