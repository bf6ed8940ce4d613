"""Where `--events` go: a file that is appended to, or an open descriptor `fd:N`.

The supervisor writes to the same place itself, so that the events go on should this process die.
Like there, a reader that is gone or too slow is dropped, and the job is not held up.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any

from gpuctl import host_paths
from gpuctl.errors import UsageError

__all__ = ["EventSink", "utf8"]


class EventSink:
    """`where` is the value of the flag; None takes everything and keeps nothing."""

    def __init__(self, where: str | None) -> None:
        self.inherited: tuple[int, ...] = ()  # what the supervisor needs to inherit
        self._descriptor = -1
        if where is not None and where.startswith("fd:"):
            self.inherited = (_open_descriptor(where),)
            self._descriptor = _without_waiting(self.inherited[0])
        elif where is not None:
            self._descriptor = _open_file(where)

    def write(self, event: Mapping[str, Any]) -> None:
        if self._descriptor < 0:
            return
        line = utf8(json.dumps(event, ensure_ascii=False) + "\n")
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            self.close()

    def close(self) -> None:
        if self._descriptor >= 0 and self._descriptor not in self.inherited:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = -1


def utf8(text: str) -> bytes:
    """For JSON: bytes of a file name that are no UTF-8 become U+FFFD, as in the core."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode("utf-8")


def _open_descriptor(where: str) -> int:
    number = where[len("fd:") :]
    if number.isascii() and number.isdecimal() and 2 < int(number) < 1 << 20:
        with contextlib.suppress(OSError):
            os.fstat(int(number))
            return int(number)
    raise UsageError(f"`--events {where[:40]}`: not an open descriptor above 2")


def _without_waiting(descriptor: int) -> int:
    """A descriptor of our own that never blocks: the flag belongs to the open file, which the
    caller shares. A socket cannot be opened again; of a plain file all writers share the offset.
    """
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"{host_paths.LIVE_SELF_FD}/{descriptor}", flags)
    except OSError:
        with contextlib.suppress(OSError):
            os.set_blocking(descriptor, False)
        return descriptor


def _open_file(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"`--events {path}`: {reason}, give a file that can be written") from None
