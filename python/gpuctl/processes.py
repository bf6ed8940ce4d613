"""The processes of this node: a table of all of them, one process's identity, and trees.

    from gpuctl import processes

    table = processes.snapshot()                       # one pass over /proc
    table.array["rss_bytes"].sum()                     # a numpy structured array, not copied
    with processes.Sampler(pss=True) as sampler:       # again and again, at half the cost
        busy = sampler.sample()
    job = processes.tree(pid=1234)                     # costs what the job costs, not the node
    print(len(job), job.cpu_usage_usec, job.rss_bytes)

numpy is imported at the first use of `array`, never before; without it, a Snapshot can be iterated.
Errors are leaves of `gpuctl.errors`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from gpuctl import _core
from gpuctl.errors import UnavailableError, UsageError
from gpuctl.process_tree import Tree, TreeProcess, tree
from gpuctl.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = [
    "Identity",
    "Process",
    "Sampler",
    "Snapshot",
    "Tree",
    "TreeProcess",
    "identify",
    "snapshot",
    "tree",
]

# column of Snapshot.array -> bit of `known`; the fields that come with it
_OPTIONAL = {
    "cgroup": (1, ("cgroup",)),
    "marker": (2, ("marker",)),
    "pss": (4, ("pss_bytes",)),
    "io": (8, ("read_bytes", "write_bytes")),
}


class Process(NamedTuple):
    """One row. `name` and `state` are bytes as the kernel has them; times are CPU time used."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    uid: int
    threads: int
    flags: int
    state: bytes
    name: bytes
    start_ticks: int
    utime_usec: int
    stime_usec: int
    rss_bytes: int


class Snapshot:
    """The table at one moment. Made by `snapshot()` and `Sampler.sample()`."""

    def __init__(self, core: _core.Snapshot, optional: frozenset[str]) -> None:
        self._core = core
        self._optional = optional

    def __len__(self) -> int:
        return len(self._core)

    def __iter__(self) -> Iterator[Process]:
        at = Process._fields.index("name")
        for values in _row_struct().iter_unpack(memoryview(self._core)):
            yield Process._make((*values[:at], values[at].rstrip(b"\0"), *values[at + 1 :]))

    @property
    def array(self) -> Array:
        """Read-only, by pid; it shares the snapshot's memory and keeps it alive.

        Fields are those of Process, and of the optional columns those that were asked for. What
        could not be read is 0 there: see `known`.
        """
        numpy = _numpy()
        found: Array = numpy.frombuffer(self._core, dtype=_dtype(self._optional))
        return found

    def known(self, column: str) -> Array:
        """Where `cgroup`, `marker`, `pss` or `io` could be read: one bool for each row.

        Other users' PSS, io and environment cannot be; kernel threads and zombies have none.
        """
        if column not in self._optional:
            raise UsageError(f"`{column}` was not asked for; ask with `snapshot({column}=…)`")
        bits: Array = (self.array["known"] & _OPTIONAL[column][0]) != 0
        return bits

    @property
    def cgroups(self) -> list[str]:
        """What `array["cgroup"]` counts: paths of the v2 hierarchy; -1 is none."""
        return self._core.cgroups

    @property
    def markers(self) -> list[str]:
        """What `array["marker"]` counts: values of the variable; -1 is none."""
        return self._core.markers

    @property
    def taken_at_usec(self) -> int:
        """When it began, on CLOCK_MONOTONIC."""
        return self._core.taken_at_usec

    @property
    def unreadable(self) -> int:
        """How many processes are listed and may not be read (a /proc with hidepid=1)."""
        return self._core.unreadable


def snapshot(
    *,
    cgroup: bool = False,
    pss: bool = False,
    io: bool = False,
    marker: str | None = None,
    uid: int | None = None,
    root: str | os.PathLike[str] | None = None,
) -> Snapshot:
    """All processes, in one pass; `uid`: only those of this effective user.

    `marker` names a variable of the initial environment, `pss` (from smaps_rollup) costs more
    than all the rest. `root` stands in for this machine, as with `gpuctl.Host`.
    """
    taken = _core.take_snapshot(_root(root), cgroup, pss, io, _variable(marker), uid)
    return Snapshot(taken, _asked(cgroup, pss, io, marker))


class Sampler:
    """Snapshots of one node again and again: the files of known processes stay open.

    It keeps at most `max_descriptors` of them, half of RLIMIT_NOFILE if not said; what is beyond is
    opened each time. The user of a kept process is asked again when its name changes and every
    16th time. Not for several threads at once. Arguments else as those of `snapshot`.
    """

    def __init__(
        self,
        *,
        cgroup: bool = False,
        pss: bool = False,
        io: bool = False,
        marker: str | None = None,
        uid: int | None = None,
        max_descriptors: int | None = None,
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        if max_descriptors is not None and max_descriptors < 0:
            raise UsageError(f"`max_descriptors` must not be negative, got {max_descriptors}")
        self._optional = _asked(cgroup, pss, io, marker)
        self._core: _core.Sampler | None = _core.open_sampler(
            _root(root), cgroup, pss, io, _variable(marker), uid, max_descriptors
        )

    def sample(self) -> Snapshot:
        return Snapshot(self._open().sample(), self._optional)

    @property
    def descriptors(self) -> int:
        """How many files it keeps open now."""
        return 0 if self._core is None else self._core.descriptors

    def close(self) -> None:
        self._core = None

    def _open(self) -> _core.Sampler:
        if self._core is None:
            raise UsageError("this Sampler was closed")
        return self._core

    def __enter__(self) -> Sampler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Identity(NamedTuple):
    """Which process it is, whoever gets its number later. Plain data: keep it, compare it."""

    boot_id: str
    pid_namespace: int
    pid: int
    start_ticks: int
    pidfs_inode: int | None

    @property
    def liveness(self) -> str:
        """`alive`, `dead`, or `unknown`: what its number means cannot be told from here."""
        return _core.judge("/", *self)


def identify(pid: int) -> Identity:
    """The process that has this number now. NotFoundError or VanishedError when there is none."""
    found = _core.identify("/", _pid(pid))
    return Identity(**found)


def _root(root: str | os.PathLike[str] | None) -> str:
    return Settings.load({"root": None if root is None else os.fspath(root)}).root


def _pid(pid: int) -> int:
    if not 0 < pid <= 0x7FFFFFFF:
        raise UsageError(f"`{pid}` is not the number of a process")
    return pid


def _variable(name: str | None) -> str:
    if name is None:
        return ""
    if not name or "=" in name or "\0" in name:
        raise UsageError(f"`{name}` is not the name of a variable")
    return name


def _asked(cgroup: bool, pss: bool, io: bool, marker: str | None) -> frozenset[str]:
    asked = {"cgroup": cgroup, "pss": pss, "io": io, "marker": marker is not None}
    return frozenset(column for column, wanted in asked.items() if wanted)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as error:
        raise UnavailableError(
            "`array` needs numpy: `pip install numpy`, or iterate over the snapshot"
        ) from error
    return numpy


@cache
def _dtype(optional: frozenset[str]) -> Any:
    """The fields as the core lays them out; those that were not asked for are left out."""
    left_out = {n for c, (_, names) in _OPTIONAL.items() if c not in optional for n in names}
    if not optional:
        left_out.add("known")
    rows = [row for row in _core.snapshot_columns() if row[0] not in left_out]
    names, formats, offsets = zip(*rows)
    layout = {
        "names": names,
        "formats": formats,
        "offsets": offsets,
        "itemsize": _core.snapshot_row_bytes,
    }
    return _numpy().dtype(layout)


@cache
def _row_struct() -> struct.Struct:
    """What a row's bytes are for `struct`, made from the same layout: the fields of Process."""
    codes = {"<i4": "i", "<u4": "I", "<u8": "Q", "S1": "c", "S64": "64s"}
    at, text = 0, "<"
    places = {name: (kind, offset) for name, kind, offset in _core.snapshot_columns()}
    for name in Process._fields:
        kind, offset = places[name]
        text += f"{offset - at}x" if offset > at else ""
        text += codes[kind]
        at = offset + struct.calcsize("<" + codes[kind])
    return struct.Struct(f"{text}{_core.snapshot_row_bytes - at}x")
