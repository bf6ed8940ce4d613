"""The tree of a job of 100 processes, on a node with 1,000 and with 5,000 other processes, against
psutil's children(recursive=True).

psutil reads the parent of every process of the node; gpuctl goes down from the job by what the
kernel tells of each process's children, so that its cost is the job's. It also reads names, users,
times, memory and open device nodes of each, which psutil's list has not read yet.

Not shown: jobs of threads (each thread has a list of children of its own), and a node with GPUs,
where the descriptors of each process are listed too: that doubles the cost.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gpuctl import processes
from standins import standins

JOB = 100
MOST_OF_PSUTIL = 1 / 20  # beside 5,000 others
SAME_COST = 1.25  # beside 5,000 others to beside 1,000: independent of them, within the noise


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with standins(tmp_path_factory.mktemp("job"), JOB, "tree") as first:
        yield first


def children_of(pid: int) -> int:
    return len(psutil.Process(pid).children(recursive=True))


@pytest.mark.parametrize("count", [1000, 5000])
def test_against_psutil(compare, job: int, tmp_path: Path, count: int) -> None:
    def ours() -> None:
        assert len(processes.tree(job)) == JOB

    def peer() -> None:
        assert children_of(job) == JOB - 1

    with standins(tmp_path, count, "flat"):
        row = compare(f"tree of {JOB} / psutil children, {count} others", ours, peer, 15)
    if count == 5000:
        assert row.ratio <= MOST_OF_PSUTIL


def usec_of_trees(job: int, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        began = time.perf_counter_ns()
        assert len(processes.tree(job)) == JOB
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


def test_the_others_cost_nothing(job: int, tmp_path: Path) -> None:
    """The same tree, timed in turn before and while there are 4,000 more processes."""
    few: list[float] = []
    many: list[float] = []
    with standins(tmp_path, 1000, "flat"):
        for _ in range(3):
            few += usec_of_trees(job, 40)
            with standins(tmp_path, 4000, "flat"):
                many += usec_of_trees(job, 40)
    few_usec, many_usec = statistics.median(few), statistics.median(many)
    ratio = many_usec / few_usec
    print(f"tree of {JOB}: {few_usec:.0f} us beside 1000, {many_usec:.0f} beside 5000: {ratio:.2f}")
    assert ratio <= SAME_COST
