"""Where processes are among the cgroups, what they may use, what they use.

    from gpuctl import cgroups

    cgroups.home().path                               # our own: "/system.slice/…/job_7/…"
    cgroups.limits().memory_bytes                     # Limit(value=…, source="cgroup", by="/…")
    cgroups.usage(pid=1234)["memory_peak_bytes"]      # None: this kernel does not tell

    with cgroups.Sampler("/job-1", "/job-2") as sampler:   # again and again, files kept open
        now = sampler.sample()
        now.array["cpu_usage_usec"]                   # a numpy structured array
    series = cgroups.watch("/job-1", interval=1.0, count=60)
    series.rates("cpu_usage_usec") / 1e6              # CPUs in use; NaN where unknown

A cgroup is named by its path in the hierarchy or in the file system, by the pid of a process in
it, or by None: our own. cgroup v2, v1 and both beside each other give the same fields. numpy is
imported at the first use of `array` or `rates`. Errors are leaves of `gpuctl.errors`.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from gpuctl import _core
from gpuctl.errors import GpuctlError, UnavailableError, UsageError
from gpuctl.settings import Settings

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

Which = Union[int, str, "os.PathLike[str]", None]

__all__ = [
    "Cpuset",
    "Home",
    "IoDevice",
    "Limit",
    "Limits",
    "Sample",
    "Sampler",
    "Series",
    "Slot",
    "Usage",
    "home",
    "limits",
    "usage",
    "watch",
]


class Slot(NamedTuple):
    """What kind of place it is: `slurm`, `htcondor`, `container`, `scope`, `service`, …"""

    kind: str
    path: str
    name: str


@dataclass(frozen=True)
class Home:
    """`directory` is None where it cannot be found; `how` is a stable code, `detail` says it."""

    path: str
    version: str
    directory: str | None
    how: str
    detail: str
    slot: Slot
    pid: int | None


class Limit(NamedTuple):
    """`by` is the path of the cgroup, or the name of the ulimit, attribute or variable.

    `enforced`: by the kernel. The others are what a batch system may end a job for.
    """

    resource: str
    value: int | float
    source: str
    by: str
    enforced: bool


@dataclass(frozen=True)
class Cpuset:
    cpus: str
    count: int
    by: str


@dataclass(frozen=True)
class Limits:
    """The least of what the kernel enforces, each with who imposes it; None: no limit known."""

    memory_bytes: Limit | None
    memory_high_bytes: Limit | None
    swap_bytes: Limit | None
    memory_and_swap_bytes: Limit | None
    cpus: Limit | None
    pids: Limit | None
    cpuset: Cpuset | None
    all: tuple[Limit, ...]
    ancestors_hidden: bool
    trace: str | None
    problems: tuple[str, ...]

    def least(self, resource: str, source: str) -> Limit | None:
        """Of one source: `cgroup`, `ulimit`, `condor_machine_ad`, `condor_job_ad`, `slurm`, …"""
        found = [each for each in self.all if (each.resource, each.source) == (resource, source)]
        return min(found, key=lambda each: each.value, default=None)


class IoDevice(NamedTuple):
    device: str
    read_bytes: int
    write_bytes: int
    reads: int
    writes: int


class Usage(Mapping[str, "int | float | None"]):
    """One row by the columns of `Sample.array`; None is unknown, which is never 0."""

    def __init__(self, values: tuple[Any, ...], devices: Sequence[IoDevice], source: str) -> None:
        known = values[_names().index("known")]
        self._values = {
            column.name: value if column.bit < 0 or known >> column.bit & 1 else None
            for column, value in zip(_columns(), values)
            if column.name != "known"
        }
        self.devices = tuple(devices)
        self.source = source

    def __getitem__(self, column: str) -> int | float | None:
        return self._values[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Usage({ {name: value for name, value in self.items() if value is not None} })"


class Sample:
    """All cgroups of a Sampler at one moment, in the order in which they were added."""

    __slots__ = ("_devices", "_errors", "_rows", "_sources")

    def __init__(self, taken: _core.CgroupSample, sources: Sequence[str]) -> None:
        self._rows, self._devices, self._errors = taken
        self._sources = sources

    def __len__(self) -> int:
        return len(self._rows) // _core.usage_row_bytes

    def __getitem__(self, index: int) -> Usage:
        """Raises what went wrong with this one: VanishedError when the cgroup was removed."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        error = self.errors[index] if self._errors else None
        if error is not None:
            raise error
        values = _row_struct().unpack_from(self._rows, index * _core.usage_row_bytes)
        devices = [IoDevice(*each[1:]) for each in self._devices or () if each[0] == index]
        return Usage(values, devices, self._sources[index])

    def __iter__(self) -> Iterator[Usage]:
        return (self[index] for index in range(len(self)))

    @property
    def errors(self) -> list[GpuctlError | None]:
        found: list[GpuctlError | None] = [None] * len(self)
        for row, error in self._errors or ():
            found[row] = error
        return found

    @property
    def array(self) -> Array:
        """Read-only, a row for each cgroup, sharing the sample's memory. See `known`."""
        found: Array = _numpy().frombuffer(self._rows, dtype=_dtype())
        return found

    def known(self, column: str) -> Array:
        """For each cgroup whether `array[column]` means anything."""
        return _known(self.array, column)


class Sampler:
    """The accounting of several cgroups, again and again: their files stay open.

    `processes` are pids whose trees are counted as one, after the cgroups. A cgroup that was
    removed is an error in its place; the others answer. Not for several threads at once.
    """

    def __init__(
        self,
        *groups: Which,
        processes: Sequence[int] = (),
        root: str | os.PathLike[str] | None = None,
    ) -> None:
        core = _core.CgroupSampler(_root(root))
        self.paths = [core.add(_wanted(each)) for each in groups]
        for pid in processes:
            core.add_processes(_pid(pid))
        self._sources = ["cgroup"] * len(groups) + ["processes"] * len(processes)
        self._core: _core.CgroupSampler | None = core

    def sample(self) -> Sample:
        core = self._core
        if core is None:
            raise UsageError("this Sampler was closed")
        return Sample(core.sample(), self._sources)

    @property
    def descriptors(self) -> int:
        """How many files it keeps open now."""
        return 0 if self._core is None else self._core.descriptors

    def close(self) -> None:
        self._core = None

    def __enter__(self) -> Sampler:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Series:
    """What `watch` saw: `array` has a row for each moment and a column for each cgroup."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = tuple(samples)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def array(self) -> Array:
        stacked: Array = _numpy().stack([each.array for each in self.samples])
        return stacked

    def known(self, column: str) -> Array:
        return _known(self.array, column)

    def rates(self, column: str) -> Array:
        """Growth per second between neighbouring moments, one row less than `array`.

        NaN where a side is unknown, or where the cgroup was removed and made again meanwhile.
        """
        if _column(column).kind != "counter":
            raise UsageError(f"`{column}` is no counter: it has no rate")
        numpy, array, known = _numpy(), self.array, self.known(column)
        grown = array[column][1:].astype("f8") - array[column][:-1].astype("f8")
        passed = (array["taken_at_usec"][1:] - array["taken_at_usec"][:-1]) / 1e6
        same = array["identity"][1:] == array["identity"][:-1]
        valid = known[1:] & known[:-1] & same & (grown >= 0) & (passed > 0)
        found: Array = numpy.where(valid, grown / numpy.where(passed > 0, passed, 1), numpy.nan)
        return found


def home(which: Which = None, *, root: str | os.PathLike[str] | None = None) -> Home:
    found = _describe(which, root)
    slot = found["slot"]
    return Home(
        path=found["path"],
        version=found["version"],
        directory=found["directory"],
        how=found["how"]["code"],
        detail=found["how"]["detail"],
        slot=Slot(slot["kind"], slot["path"], slot["name"]),
        pid=found["pid"],
    )


def limits(which: Which = None, *, root: str | os.PathLike[str] | None = None) -> Limits:
    found = _describe(which, root)
    rows = found["limits"]

    def least(resource: str) -> Limit | None:
        return None if rows[resource] is None else Limit(resource, **rows[resource])

    return Limits(
        memory_bytes=least("memory_bytes"),
        memory_high_bytes=least("memory_high_bytes"),
        swap_bytes=least("swap_bytes"),
        memory_and_swap_bytes=least("memory_and_swap_bytes"),
        cpus=least("cpus"),
        pids=least("pids"),
        cpuset=None if rows["cpuset"] is None else Cpuset(**rows["cpuset"]),
        all=tuple(Limit(**each) for each in rows["all"]),
        ancestors_hidden=rows["ancestors_hidden"],
        trace=rows["trace"],
        problems=tuple(each["detail"] for each in found["problems"]),
    )


def usage(
    which: Which = None,
    *,
    processes: bool = False,
    root: str | os.PathLike[str] | None = None,
) -> Usage:
    """One sample. `processes`: of the pid and its descendants, whatever cgroups they are in."""
    if not processes:
        with Sampler(which, root=root) as sampler:
            return sampler.sample()[0]
    if not isinstance(which, int):
        raise UsageError("`processes` needs a pid")
    with Sampler(processes=[which], root=root) as sampler:
        return sampler.sample()[0]


def watch(
    *groups: Which,
    interval: float = 1.0,
    count: int,
    processes: Sequence[int] = (),
    root: str | os.PathLike[str] | None = None,
) -> Series:
    """`count` samples, `interval` seconds apart; Ctrl-C raises KeyboardInterrupt as ever."""
    if count < 1 or not 0 <= interval < 1e7:
        raise UsageError("`count` must be at least 1, `interval` seconds and not negative")
    samples = []
    with Sampler(*groups, processes=processes, root=root) as sampler:
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number * interval - time.monotonic()))
            samples.append(sampler.sample())
    return Series(samples)


def _describe(which: Which, root: str | os.PathLike[str] | None) -> dict[str, Any]:
    place = _root(root)
    own = which is None and place == "/"
    entries = [f"{name}={value}" for name, value in os.environ.items()] if own else None
    found = json.loads(_core.cgroup_json(place, _wanted(which), entries, False))
    assert isinstance(found, dict)
    return found


def _root(root: str | os.PathLike[str] | None) -> str:
    return Settings.load({"root": None if root is None else os.fspath(root)}).root


def _pid(pid: int) -> int:
    if not 0 < pid <= 0x7FFFFFFF:
        raise UsageError(f"`{pid}` is not the number of a process")
    return pid


def _wanted(which: Which) -> int | str | None:
    if which is None:
        return None
    return _pid(which) if isinstance(which, int) else os.fspath(which)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError as error:
        raise UnavailableError("arrays need numpy: `pip install numpy`") from error
    return numpy


class _Column(NamedTuple):
    name: str
    type: str
    offset: int
    bit: int
    kind: str


@cache
def _columns() -> tuple[_Column, ...]:
    return tuple(_Column(*each) for each in _core.usage_columns())


@cache
def _names() -> tuple[str, ...]:
    return tuple(each.name for each in _columns())


def _column(name: str) -> _Column:
    if name not in _names():
        raise UsageError(f"there is no column `{name}`; there are {', '.join(_names())}")
    return _columns()[_names().index(name)]


def _known(array: Array, column: str) -> Array:
    bit = _column(column).bit
    if bit < 0:
        raise UsageError(f"`{column}` is always known")
    found: Array = (array["known"] >> _numpy().uint64(bit) & _numpy().uint64(1)).astype(bool)
    return found


@cache
def _dtype() -> Any:
    layout = {
        "names": _names(),
        "formats": [each.type for each in _columns()],
        "offsets": [each.offset for each in _columns()],
        "itemsize": _core.usage_row_bytes,
    }
    return _numpy().dtype(layout)


@cache
def _row_struct() -> struct.Struct:
    codes = {"<i8": "q", "<u8": "Q", "<f8": "d"}
    return struct.Struct("<" + "".join(codes[each.type] for each in _columns()))
