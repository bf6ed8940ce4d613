"""Telemetry again and again: `gpuctl probe --watch 1s`, and samples as numpy arrays.

One sample is one record a GPU, for all vendors, null where a vendor cannot tell. A tool that hangs
costs its answer until its child is gone; the others go on. udev's hotplug events are told where
pyudev is installed; a change of the list of GPUs is told in any case.

Example:
    for sample in watch(every="1s", count=10):
        print(sample.array["power_mw"].sum())
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gpuctl import _core
from gpuctl.discovery.history import History
from gpuctl.discovery.hotplug import Hotplug
from gpuctl.discovery.hung import probe_and_tell
from gpuctl.discovery.prober import DEFAULT_DEADLINE, Prober
from gpuctl.discovery.telemetry import FIELDS
from gpuctl.durations import Duration, flag_text
from gpuctl.errors import UnavailableError, UsageError
from gpuctl.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

__all__ = ["SCHEMA", "Sample", "watch", "watch_text"]

SCHEMA = "gpuctl.telemetry/1"
_KEYS = ("id", "pci_address", "uuid", "vendor", "kind", "memory_total_bytes", "health", "usable")


class Sample:
    """One moment: `to_json()` is a line of `--watch --json` (docs/schema/telemetry.json)."""

    def __init__(self, answer: dict[str, Any], events: list[dict[str, Any]]) -> None:
        self.taken_at = _core.rfc3339(time.time_ns() // 1000)
        self.gpus = [
            {**{key: gpu[key] for key in _KEYS}, **gpu["telemetry"]} for gpu in answer["gpus"]
        ]
        self.events = events
        self.problems = answer["problems"]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "taken_at": self.taken_at,
            "gpus": self.gpus,
            "events": self.events,
            "problems": self.problems,
        }

    @property
    def array(self) -> Array:
        """A structured array, one row a GPU; what is unknown is NaN."""
        numpy = _numpy()
        kinds = [("id", "U48"), ("usable", "?"), ("memory_total_bytes", "f8")]
        table: Array = numpy.empty(
            len(self.gpus), dtype=[*kinds, *((name, "f8") for name in FIELDS)]
        )
        for at, gpu in enumerate(self.gpus):
            numbers = [gpu["memory_total_bytes"], *(gpu[name] for name in FIELDS)]
            table[at] = (gpu["id"], gpu["usable"], *(_float(each) for each in numbers))
        return table


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        raise UnavailableError(
            "numpy is not installed: `pip install jalien-gpuctl[arrays]`"
        ) from None
    return numpy


def watch(
    *,
    every: Duration = "1s",
    count: int | None = None,
    deadline: Duration = DEFAULT_DEADLINE,
    sources: Sequence[str] | None = None,
    settings: Settings | None = None,
    probe: Callable[[Prober], dict[str, Any]] = Prober.answer,
) -> Iterator[Sample]:
    """`count` samples, or without end. A sample that takes longer than `every` delays the next."""
    in_force = settings or Settings.load({})
    period = _core.parse_duration_usec(flag_text(every, "watch") or "1s", "`watch`") / 1e6
    prober = Prober(deadline, sources, None, in_force, for_watch=True)
    history = History()
    with Hotplug() as hotplug:
        before: set[str] | None = None
        taken = 0
        while count is None or taken < count:
            started = time.monotonic()
            answer = history.judge(probe(prober))
            now = {gpu["id"] for gpu in answer["gpus"]}
            yield Sample(answer, [*hotplug.events(), *_changes(before, now)])
            before, taken = now, taken + 1
            if count is None or taken < count:
                time.sleep(max(0.0, started + period - time.monotonic()))


def _changes(before: set[str] | None, now: set[str]) -> list[dict[str, Any]]:
    if before is None:
        return []
    gone = [{"action": "gone", "id": each} for each in sorted(before - now)]
    return [*gone, *({"action": "new", "id": each} for each in sorted(now - before))]


def watch_text(
    settings: Settings,
    *,
    every: str,
    count: str | None,
    deadline: str | None,
    sources: Sequence[str] | None,
    as_json: bool,
) -> int:
    """What the command does. 0, or 1 when the last sample had no GPU."""
    if count is not None and not (count.isdecimal() and 0 < int(count) < 10**9):
        raise UsageError(f"`--count` is `{count}`, give a number above 0")
    found = 0
    for sample in watch(
        every=every,
        count=None if count is None else int(count),
        deadline=deadline or DEFAULT_DEADLINE,
        sources=sources,
        settings=settings,
        probe=probe_and_tell,
    ):
        found = len(sample.gpus)
        words = json.dumps(sample.to_json(), ensure_ascii=False) if as_json else _lines(sample)
        try:
            sys.stdout.write(words + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            sys.stderr.close()  # the reader went away: nothing more to say
            return 0
    return 0 if found else 1


def _lines(sample: Sample) -> str:
    rows = [f"{sample.taken_at}  {gpu['id']}  {_words(gpu)}" for gpu in sample.gpus]
    rows += [f"{sample.taken_at}  {each['action']} {each['id']}" for each in sample.events]
    return "\n".join(rows or [f"{sample.taken_at}  no GPU"])


def _words(gpu: dict[str, Any]) -> str:
    shown = {"gpu_busy_percent": "busy %", "memory_used_bytes": "used B", "power_mw": "mW"}
    shown["temperature_celsius"] = "C"
    told = [f"{gpu[key]:.0f} {unit}" for key, unit in shown.items() if gpu[key] is not None]
    return "  ".join([gpu["health"]["state"], *told])
