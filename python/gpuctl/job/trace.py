"""The story of a job as it happens, in the form of JAliEn's job traces:

    Aug 19 22:06:13 [trace]: 8 GPUs on this node

Each line goes to stderr now, to the events, and into the report. Quiet lets only errors through on
stderr. Texts may quote what others wrote: control characters are escaped on stderr.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from gpuctl import _core
from gpuctl.job.events import EventSink
from gpuctl.report_text import escaped

__all__ = ["Trace"]


class Trace:
    """`lines` and `timeline` are what the report gets."""

    def __init__(self, quiet: bool, events: EventSink) -> None:
        self.lines: list[dict[str, Any]] = []
        self.timeline: list[dict[str, Any]] = []
        self._quiet = quiet
        self._events = events

    def say(self, text: str) -> None:
        self._line("trace", text)

    def warn(self, text: str) -> None:
        self._line("warning", text)

    def error(self, text: str) -> None:
        self._line("error", text)

    def mark(self, event: str) -> None:
        """A step of the timeline."""
        self.timeline.append({"at": _core.rfc3339(now_usec()), "event": event})

    def event(self, name: str, **members: Any) -> None:
        self._events.write({"event": name, "at": _core.rfc3339(now_usec()), **members})

    def _line(self, level: str, text: str) -> None:
        now = now_usec()
        if level == "error" or not self._quiet:
            to_stderr(f"{_core.trace_stamp(now)} [{level}]: {escaped(text)}\n")
        self.lines.append({"at": _core.rfc3339(now), "level": level, "text": text})
        self.event("trace", level=level, text=text)


def now_usec() -> int:
    return time.time_ns() // 1000


def to_stderr(text: str) -> None:
    """Nobody is there to be told when stderr does not take it, and the job goes on."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()
