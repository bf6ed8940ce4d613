"""The accounting of 1 and of 100 cgroups, against plain Python and against the floor.

The floor is a C++ loop of pread(2) on the same files, kept open (bench/cgroup_floor.cpp), with no
parsing. Plain Python opens, reads and splits each file (`Path.read_text`), as monitors do. All
sides read the same files and are called from Python in the same interpreter.

Which files there are depends on the machine: all controllers of cgroup v2 on a unified hierarchy;
where v1 holds them, v2 has cpu.stat and the pressure files alone, and the row says how many files a
cgroup has. Groups are made below one of the bench's own, which needs root. Of a single cgroup with
its four files, all in the caches, the floor alone is a tenth of plain Python: there the row shows
the ratio and the assertion is a looser one.

Not shown: cgroups with hundreds of busy CPUs, whose cpu.stat and memory.stat cost the kernel more.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpuctl import cgroups
from live_cgroup import LiveGroup, make_live_group
from standins import compiled

MOST_OF_FLOOR = 1.3
MOST_OF_PYTHON = 1 / 10
MOST_OF_PYTHON_ALONE = 1 / 5
MOST_OF_A_CORE = 0.5 / 100
FILES = [
    "cpu.stat",
    "memory.current",
    "memory.peak",
    "memory.stat",
    "memory.swap.current",
    "memory.swap.peak",
    "memory.events",
    "memory.events.local",
    "io.stat",
    "pids.current",
    "pids.peak",
    "pids.events",
    "cpu.pressure",
    "memory.pressure",
    "io.pressure",
]


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("floor") / "floor.so"
    return ctypes.CDLL(str(compiled("cgroup_floor.cpp", library, "-shared", "-fPIC", "-O2")))


class Crowd:
    """So many cgroups with a little used in each, and the files that they have."""

    def __init__(self, above: LiveGroup, count: int) -> None:
        self.above = above
        for controller in (above.path / "cgroup.controllers").read_text().split():
            (above.path / "cgroup.subtree_control").write_text(f"+{controller}")
        self.folders = [above.path / f"job-{number}" for number in range(count)]
        for folder in self.folders:
            folder.mkdir()
            self.use(folder)
        readable = [name for name in FILES if self.can_read(self.folders[0] / name)]
        self.files = [[folder / name for name in readable] for folder in self.folders]

    @staticmethod
    def can_read(path: Path) -> bool:
        try:
            return bool(path.read_text()) or True
        except OSError:
            return False

    @staticmethod
    def use(folder: Path) -> None:
        """A process that lives and dies in it leaves something to account for."""
        pid = os.fork()
        if pid == 0:
            try:
                (folder / "cgroup.procs").write_text("0")
                sum(range(100_000))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    @property
    def name(self) -> str:
        return f"{len(self.folders)} cgroups of {len(self.files[0])} files"

    def remove(self) -> None:
        for folder in self.folders:
            folder.rmdir()
        self.above.remove()


@pytest.fixture(params=[1, 100])
def crowd(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    made = Crowd(make_live_group("bench"), request.param)
    yield made
    made.remove()


@pytest.fixture
def sampler(crowd: Crowd) -> Iterator[cgroups.Sampler]:
    with cgroups.Sampler(*crowd.folders) as made:
        made.sample()
        yield made


def in_python(crowd: Crowd) -> list[dict[str, dict[str, str]]]:
    rows = []
    for files in crowd.files:
        row = {}
        for path in files:
            lines = path.read_text().splitlines()
            row[path.name] = {line.split()[0]: line.partition(" ")[2] for line in lines if line}
        rows.append(row)
    return rows


def open_all(floor: ctypes.CDLL, crowd: Crowd) -> None:
    for files in crowd.files:
        for path in files:
            assert floor.floor_open(os.fsencode(path))
    floor.floor_sample.restype = ctypes.c_long


def take(sampler: cgroups.Sampler, count: int) -> None:
    assert len(sampler.sample()) == count


def test_against_the_floor(
    compare, crowd: Crowd, sampler: cgroups.Sampler, floor: ctypes.CDLL
) -> None:
    open_all(floor, crowd)
    times = max(1, 100 // len(crowd.folders))  # a call from Python is not to be what is measured

    def ours() -> None:
        for _ in range(times):
            sampler.sample()

    def peer() -> None:
        for _ in range(times):
            assert floor.floor_sample() > 0

    row = compare(f"sample / floor, {crowd.name}", ours, peer, 200)
    floor.floor_close()
    assert row.ratio <= MOST_OF_FLOOR


def test_against_python(
    compare, crowd: Crowd, sampler: cgroups.Sampler, floor: ctypes.CDLL
) -> None:
    """A tenth of it, or what can be had: where the floor itself is no tenth, the floor's share."""
    count = len(crowd.folders)
    times = max(1, 20 // count)

    def ours() -> None:
        for _ in range(times):
            take(sampler, count)

    def peer() -> None:
        for _ in range(times):
            assert len(in_python(crowd)) == count

    def bare() -> None:
        for _ in range(times):
            assert floor.floor_sample() > 0

    open_all(floor, crowd)
    row = compare(f"sample / Path.read_text, {crowd.name}", ours, peer, 40)
    least = compare(f"floor / Path.read_text, {crowd.name}", bare, peer, 40)
    floor.floor_close()
    limit = max(MOST_OF_PYTHON, MOST_OF_FLOOR * least.ratio)
    assert row.ratio <= (limit if count > 1 else MOST_OF_PYTHON_ALONE)


def test_the_answers_agree(crowd: Crowd, sampler: cgroups.Sampler) -> None:
    """What is timed above is right."""
    theirs = in_python(crowd)
    for usage, row in zip(sampler.sample(), theirs):
        assert usage["cpu_usage_usec"] == int(row["cpu.stat"]["usage_usec"])
        assert usage["cpu_usage_usec"] != 0
        if "memory.stat" in row:
            assert usage["memory_peak_bytes"] != 0


@pytest.mark.parametrize("crowd", [100], indirect=True)
def test_a_monitor(
    crowd: Crowd, sampler: cgroups.Sampler, record_property, capsys: pytest.CaptureFixture[str]
) -> None:
    """CPU time, of user and kernel, for one sample a second of 100 jobs."""
    used = []
    for _ in range(100):
        before = time.process_time_ns()
        sampler.sample()
        used.append(time.process_time_ns() - before)
    share = statistics.median(used) / 1e9
    record_property("percent_of_a_core", 100 * share)
    with capsys.disabled():
        print(f"\na 1 Hz monitor of {crowd.name}: {100 * share:.3f} % of one core")
    assert share < MOST_OF_A_CORE
