"""The process table beside 1,000 sleeping processes, against psutil, ps and the floor.

The floor is a C++ loop of the system calls that a table cannot do without: getdents64, and for
each process openat, read, close and statx (bench/proc_floor.cpp), with no parsing, in the same
interpreter. All sides are called from Python. A sample reads through descriptors kept open, and
lists /proc again only when something was forked: one row has a fork before each sample.

Not shown: processes with many threads or much memory, and other kernels; the ratios to the floor
move by a tenth with the load of the machine.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gpuctl import processes
from standins import compiled, standins

OTHERS = 1000
MOST_OF_FLOOR = 1.15
SAMPLE_OF_FLOOR = 0.55
MOST_OF_PSUTIL = 1 / 4

PSUTIL_FIELDS = [
    "pid",
    "ppid",
    "uids",
    "num_threads",
    "status",
    "name",
    "create_time",
    "cpu_times",
    "memory_info",
]
PS_FIELDS = "pid,ppid,pgid,sid,euid,nlwp,flags,state,comm,lstart,time,rss"


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with standins(tmp_path_factory.mktemp("standins"), OTHERS, "flat") as first:
        yield first


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("floor") / "floor.so"
    return ctypes.CDLL(str(compiled("proc_floor.cpp", library, "-shared", "-fPIC")))


@pytest.fixture
def sampler() -> Iterator[processes.Sampler]:
    """With as many descriptors as it wants, and its first sample taken."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    with processes.Sampler() as kept:
        assert len(kept.sample()) <= kept.descriptors
        yield kept
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def take() -> None:
    assert len(processes.snapshot().array) > OTHERS


def test_snapshot_against_the_floor(compare, others: int, floor: ctypes.CDLL) -> None:
    def peer() -> None:
        assert floor.floor_snapshot() > OTHERS

    row = compare(f"snapshot / floor, {OTHERS} others", take, peer, 100)
    assert row.ratio <= MOST_OF_FLOOR


def test_snapshot_against_psutil(compare, others: int) -> None:
    def peer() -> None:
        table = [each.info for each in psutil.process_iter(PSUTIL_FIELDS)]
        assert len(table) > OTHERS

    row = compare(f"snapshot / psutil process_iter, {OTHERS} others", take, peer, 20)
    assert row.ratio <= MOST_OF_PSUTIL


def test_snapshot_against_psutil_that_remembers_nothing(compare, others: int) -> None:
    """process_iter keeps its Process objects; a program that runs once pays for them."""

    def peer() -> None:
        psutil.process_iter.cache_clear()
        assert sum(1 for each in psutil.process_iter(PSUTIL_FIELDS) if each.info) > OTHERS

    row = compare(f"snapshot / psutil, first call, {OTHERS} others", take, peer, 20)
    assert row.ratio <= MOST_OF_PSUTIL


def test_snapshot_against_ps(compare, others: int) -> None:
    def peer() -> None:
        done = subprocess.run(["ps", "-eo", PS_FIELDS], capture_output=True, check=True)
        assert done.stdout.count(b"\n") > OTHERS

    compare(f"snapshot / ps -eo, {OTHERS} others", take, peer, 20)


def test_samples_against_the_floor(
    compare, others: int, floor: ctypes.CDLL, sampler: processes.Sampler
) -> None:
    def ours() -> None:
        assert len(sampler.sample().array) > OTHERS

    row = compare(f"sample / floor, {OTHERS} others", ours, floor.floor_snapshot, 100)
    assert row.ratio <= SAMPLE_OF_FLOOR


def test_samples_of_a_node_that_forks(
    compare, others: int, floor: ctypes.CDLL, sampler: processes.Sampler
) -> None:
    """The fork is in neither side's time."""
    born: list[int] = []

    def fork() -> None:
        pid = os.posix_spawn("/bin/true", ["true"], {})
        os.waitpid(pid, 0)
        born.append(pid)

    def ours() -> None:
        assert len(sampler.sample().array) > OTHERS

    compare(
        f"sample / floor, {OTHERS} others, a fork before each",
        ours,
        floor.floor_snapshot,
        100,
        fork,
    )
    assert born


def test_the_answers_agree(others: int, sampler: processes.Sampler, tmp_path: Path) -> None:
    """What was timed above is right: the same processes, parents and users as psutil's."""
    theirs = {each.pid: each for each in psutil.process_iter(["ppid", "uids", "num_threads"])}
    for table in (processes.snapshot(), sampler.sample()):
        rows = {row.pid: row for row in table}
        both = rows.keys() & theirs.keys()
        assert len(both) > OTHERS
        for pid in both:
            if psutil.pid_exists(pid) and rows[pid].ppid != 0:
                info = theirs[pid].info
                assert (rows[pid].ppid, rows[pid].uid) == (info["ppid"], info["uids"].effective)
