"""Ratios against peers: `compare` measures both in turn, the table at the end shows them all.

    def test_discover(compare, gpuctl_binary):
        compare("discover / lspci -Dnn", ours, peer, rounds=40)  # two functions without arguments

Both sides run alternately, so that whatever else the machine does meets both alike; medians are
compared. Nothing absolute is asserted: a bench asserts the answers it times, and may assert a
ratio. The table is also written to build/bench.json.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from installed import installed_binary

RESULTS_FILE = Path(__file__).resolve().parent.parent / "build" / "bench.json"
WARM_UP_ROUNDS = 2


@dataclass(frozen=True)
class Comparison:
    """Medians of wall time over the same number of rounds; `ratio` is ours over the peer's."""

    name: str
    ours_usec: float
    peer_usec: float
    ratio: float
    rounds: int


Compare = Callable[..., Comparison]
_comparisons = pytest.StashKey["list[Comparison]"]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_comparisons] = []


@pytest.fixture(scope="session")
def gpuctl_binary() -> Path:
    """The installed gpuctl, as the tests have it."""
    return installed_binary()


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Compare:
    """`compare(name, ours, peer, rounds=30)`: time both, remember the row, return it.

    `before` is called ahead of each call of either side and not timed.
    """

    def run(
        name: str,
        ours: Callable[[], object],
        peer: Callable[[], object],
        rounds: int = 30,
        before: Callable[[], object] = lambda: None,
    ) -> Comparison:
        ours_usec, peer_usec = interleaved_medians(ours, peer, rounds, before)
        row = Comparison(name, ours_usec, peer_usec, ours_usec / peer_usec, rounds)
        request.config.stash[_comparisons].append(row)
        return row

    return run


def interleaved_medians(
    ours: Callable[[], object],
    peer: Callable[[], object],
    rounds: int,
    before: Callable[[], object],
) -> tuple[float, float]:
    for _ in range(WARM_UP_ROUNDS):
        ours()
        peer()
    times: tuple[list[float], list[float]] = ([], [])
    for index in range(rounds):
        # who goes second finds warmer caches, so the order alternates too
        for side in (0, 1) if index % 2 == 0 else (1, 0):
            before()
            times[side].append(usec_of((ours, peer)[side]))
    return statistics.median(times[0]), statistics.median(times[1])


def usec_of(action: Callable[[], object]) -> float:
    began = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - began) / 1000


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = terminalreporter.config.stash[_comparisons]
    if not rows:
        return
    write_results(rows)
    terminalreporter.section("ratios against peers (medians of wall time)")
    width = max(len(row.name) for row in rows)
    terminalreporter.write_line(f"{'name':<{width}}  {'ours':>10}  {'peer':>10}  ratio    n")
    for row in rows:
        terminalreporter.write_line(
            f"{row.name:<{width}}  {milliseconds(row.ours_usec)}  {milliseconds(row.peer_usec)}"
            f"  {row.ratio:5.2f}  {row.rounds:3}"
        )
    terminalreporter.write_line(f"on {machine()}")


def milliseconds(usec: float) -> str:
    return f"{usec / 1000:7.2f} ms"


def write_results(rows: list[Comparison]) -> None:
    RESULTS_FILE.parent.mkdir(exist_ok=True)
    results = {"machine": machine(), "comparisons": [asdict(row) for row in rows]}
    RESULTS_FILE.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def machine() -> str:
    return (
        f"{cpu_model()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
