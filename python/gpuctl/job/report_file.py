"""The file of `--report FILE`, where two write: the supervisor, and after it `gpuctl job`.

A plain file first gets the supervisor's report (`gpuctl.run/1`), which does not need this process
to live, and is replaced in one step by that of the whole job (`gpuctl.job/1`). What cannot be
replaced (a pipe, a device, a file that is our stdout or stderr) gets the latter alone.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from gpuctl.job.events import utf8

__all__ = ["is_plain", "write_report"]

_STANDARD_DESCRIPTORS = (0, 1, 2)


def is_plain(path: str | None) -> bool:
    """Whether a file is there that can be replaced, or can be made."""
    if path is None:
        return False
    if not os.access(Path(path).resolve().parent, os.W_OK | os.X_OK):
        return False
    status = _status(path)
    return status is None or (stat.S_ISREG(status.st_mode) and _descriptor_of(status) is None)


def write_report(path: str, text: str) -> None:
    """Raises OSError. A file is there whole or not at all."""
    data = utf8(text)
    if is_plain(path):
        _replace(Path(path).resolve(), data)  # a link stays one
        return
    status = _status(path)
    descriptor = _descriptor_of(status) if status and stat.S_ISREG(status.st_mode) else None
    with Path(path).open("wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb") as f:
        f.write(data)


def _status(path: str) -> os.stat_result | None:
    """None: it is not there, or cannot be looked at, which the writing will tell."""
    try:
        return Path(path).stat()
    except (OSError, ValueError):
        return None


def _descriptor_of(status: os.stat_result) -> int | None:
    """To replace a file that is open there would take it from under whoever writes to it."""
    for descriptor in _STANDARD_DESCRIPTORS:
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), status):
                return descriptor
    return None


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            os.fchmod(stream.fileno(), 0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
