"""Reserving one of eight GPUs and giving it back, against what one would write instead.

Ours: both locks, two phases each way, checksums, the audit log, with the ledger open and the node
known (`Ledger.freeze`). Peers, with the same record and log: SQLite (WAL, synchronous=OFF, two
transactions, one connection kept open), and the `filelock` package with a JSON file; also SQLite
with nothing but a holder's name. The floor: flock, pread, pwrite, unlock on one descriptor, for
each of the two steps, in the same Python.

All in /dev/shm. Not shown: discovering the node (bench_discover.py), proving that a job is gone (a
walk over /proc, the caller's word here), the start of a process.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import gpuctl
import pytest
from gpuctl import _core
from gpuctl.leases import make_request
from nodes.compose import compose

BATCH = 20
ROUNDS = 60
COMPETITORS = 16
MOST_OF_SQLITE = 0.5  # seen: 0.46 to 0.48
MOST_OF_FLOOR = 5.0  # seen: 4.1 to 4.3

Step = Callable[[], None]
Table = dict[str, Any]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gpuctl-bench-", dir="/dev/shm") as name:
        yield Path(name)


def open_ledger(folder: Path) -> _core.Ledger:
    root = folder / "node"
    if not root.exists():
        compose("epn-mi50x8", root)
    ledger = gpuctl.Host(root=root, state_dir=folder / "state").ledger()
    ledger.freeze()
    return ledger


def ours(folder: Path) -> Step:
    ledger = open_ledger(folder)
    request = make_request(1)

    def step() -> None:
        for _ in range(BATCH):
            ledger.hold(request, None, None).give_back(True)

    return step


RECORD = {
    "pci": "0000:03:00.0",
    "job": "",
    "boot_id": "52d60e5c-d40b-4d7e-89e7-b464ec20aaaa",
    "pid_namespace": 4026531836,
    "start_ticks": 1234567,
    "pidfs_inode": 4711,
    "command": "python3",
}
UNITS = [f"0000:{number:02x}:00.0" for number in range(8)]


def sqlite(folder: Path) -> Step:
    """The same record of a lease and the same two lines of the log as ours, without checksums."""
    base = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=OFF")
    columns = ", ".join(RECORD)
    base.execute(f"CREATE TABLE lease (nonce PRIMARY KEY, unit UNIQUE, pid, since, {columns})")
    base.execute("CREATE TABLE audit (at, event, lease, pid, unit, reason)")
    record = tuple(RECORD.values())
    marks = ", ".join("?" * (4 + len(record)))

    def step() -> None:
        pid = os.getpid()
        for _ in range(BATCH):
            nonce = os.urandom(16).hex()
            base.execute("BEGIN IMMEDIATE")
            taken = {unit for (unit,) in base.execute("SELECT unit FROM lease")}
            unit = next(each for each in UNITS if each not in taken)
            now = time.time()
            lease = (nonce, unit, pid, now, *record)
            base.execute(f"INSERT INTO lease VALUES ({marks})", lease)
            line = (now, "granted", nonce, pid, unit, "free")
            base.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", line)
            base.execute("COMMIT")
            base.execute("BEGIN IMMEDIATE")
            line = (time.time(), "released", nonce, pid, unit, "proof: the caller's word")
            base.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", line)
            base.execute("DELETE FROM lease WHERE nonce=?", (nonce,))
            base.execute("COMMIT")

    return step


def bare_sqlite(folder: Path) -> Step:
    """A holder's name beside each GPU, and no more."""
    base = sqlite3.connect(folder / "bare.db", isolation_level=None)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=OFF")
    base.execute("CREATE TABLE gpu (id TEXT PRIMARY KEY, holder TEXT, since REAL)")
    base.executemany("INSERT INTO gpu VALUES (?, NULL, NULL)", [(unit,) for unit in UNITS])

    def step() -> None:
        for _ in range(BATCH):
            base.execute("BEGIN IMMEDIATE")
            (gpu,) = base.execute("SELECT id FROM gpu WHERE holder IS NULL LIMIT 1").fetchone()
            base.execute("UPDATE gpu SET holder=?, since=? WHERE id=?", ("job", 1.0, gpu))
            base.execute("COMMIT")
            base.execute("BEGIN IMMEDIATE")
            base.execute("UPDATE gpu SET holder=NULL WHERE id=?", (gpu,))
            base.execute("COMMIT")

    return step


def file_lock(folder: Path) -> Step:
    """The same record and log."""
    path = folder / "ledger.json"
    log = folder / "audit.jsonl"
    path.write_text(json.dumps(dict.fromkeys(UNITS)), "utf-8")

    def change(action: Callable[[Table], dict[str, Any]]) -> None:
        with filelock.FileLock(f"{path}.lock"):
            table = json.loads(path.read_text("utf-8"))
            line = {"at": time.time(), "pid": os.getpid(), **action(table)}
            with log.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(line) + "\n")
            new = path.with_suffix(".new")
            new.write_text(json.dumps(table), "utf-8")
            new.replace(path)

    def take(table: Table) -> dict[str, Any]:
        unit = next((each for each, holder in table.items() if holder is None), UNITS[0])
        nonce = os.urandom(16).hex()
        table[unit] = {"nonce": nonce, "pid": os.getpid(), "since": time.time(), **RECORD}
        return {"event": "granted", "lease": nonce, "units": [unit], "reason": "free"}

    def give(table: Table) -> dict[str, Any]:
        unit = next((each for each, holder in table.items() if holder), UNITS[0])
        nonce = table[unit]["nonce"] if table[unit] else ""
        table[unit] = None
        return {"event": "released", "lease": nonce, "units": [unit], "reason": "proof"}

    def step() -> None:
        for _ in range(BATCH):
            change(take)
            change(give)

    return step


def floor(folder: Path) -> Step:
    fd = os.open(folder / "floor", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(fd, bytes(4096), 0)

    def step() -> None:
        for _ in range(2 * BATCH):
            fcntl.flock(fd, fcntl.LOCK_EX)
            data = os.pread(fd, 4096, 0)
            os.pwrite(fd, data[:512], 0)
            fcntl.flock(fd, fcntl.LOCK_UN)

    return step


def test_against_sqlite(compare: Callable[..., Any], folder: Path) -> None:
    row = compare("reserve+release / SQLite", ours(folder), sqlite(folder), rounds=ROUNDS)
    assert row.ratio < MOST_OF_SQLITE


def test_against_bare_sqlite(compare: Callable[..., Any], folder: Path) -> None:
    compare("reserve+release / bare SQLite", ours(folder), bare_sqlite(folder), rounds=ROUNDS)


def test_against_filelock_and_json(compare: Callable[..., Any], folder: Path) -> None:
    """To be reached: a thirtieth of it, which is less than the floor takes."""
    row = compare("reserve+release / filelock+JSON", ours(folder), file_lock(folder), rounds=ROUNDS)
    assert row.ratio < 0.2


def test_against_the_floor(compare: Callable[..., Any], folder: Path) -> None:
    row = compare(
        "reserve+release / flock+pread+pwrite", ours(folder), floor(folder), rounds=ROUNDS
    )
    assert row.ratio < MOST_OF_FLOOR


def test_with_seven_others(compare: Callable[..., Any], folder: Path) -> None:
    holder = open_ledger(folder)
    held = [holder.hold(make_request(1), None, None) for _ in range(7)]
    with_others = ours(folder)
    alone = folder / "alone"
    alone.mkdir()
    compare("reserve+release with 7 / with 0 holders", with_others, ours(alone), rounds=ROUNDS)
    for each in held:
        each.give_back(True)


def test_history_costs_nothing(compare: Callable[..., Any], folder: Path) -> None:
    """After thousands of leases the next one costs what the first one did."""
    used, new = folder / "used", folder / "new"
    for each in (used, new):
        each.mkdir()
    step = ours(used)
    for _ in range(150):
        step()
    row = compare("reserve+release after 3000 / after none", step, ours(new), rounds=ROUNDS)
    assert row.ratio < 1.5


COMPETE = """
import sys, time
sys.path[:0] = sys.argv[4:]
import bench_lease
from pathlib import Path
step = getattr(bench_lease, sys.argv[1])(Path(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[3])):
    step()
"""


def competing(kind: str, folder: Path, rounds: int) -> float:
    """Seconds until sixteen processes have done `rounds` batches each."""
    here = Path(__file__).resolve().parent
    words = [sys.executable, "-c", COMPETE, kind, str(folder), str(rounds), str(here)]
    processes = [
        subprocess.Popen(
            [*words, str(here.parent / "tests")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(COMPETITORS)
    ]
    for process in processes:
        assert process.stdout and process.stdout.readline() == b"ready\n"
    begun = time.perf_counter()
    for process in processes:
        assert process.stdin
        process.stdin.close()
    for process in processes:
        assert process.wait() == 0
    seconds = time.perf_counter() - begun
    for process in processes:
        assert process.stdout
        process.stdout.close()
    return seconds


def patient(folder: Path) -> Step:
    """As `ours`, waiting for its turn where all eight are taken."""
    ledger = open_ledger(folder)
    request = make_request(1)

    def step() -> None:
        for _ in range(BATCH):
            ledger.hold(request, 60_000_000, None).give_back(True)

    return step


def test_sixteen_competitors(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_ledger(folder)
    mine = statistics.median(competing("patient", folder, 2) for _ in range(3))
    theirs = statistics.median(competing("file_lock", folder, 2) for _ in range(3))
    with capsys.disabled():
        print(
            f"\n16 processes, {2 * BATCH} leases each: {mine:.2f} s, filelock+JSON {theirs:.2f} s, "
            f"ratio {mine / theirs:.2f}"
        )
    assert mine < theirs
