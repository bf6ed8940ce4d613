"""A JDL from a file: a regular one, of at most 16 MiB, in UTF-8.

The largest JDLs of productions (input data lists) are a few MiB. The size is asked first and
reading stops one byte behind the limit, so neither a huge nor a growing file is read whole; a FIFO,
a device or a directory is refused before it is opened, since opening one can block or act.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gpuctl.errors import (
    EXIT_USAGE,
    GpuctlError,
    IoError,
    MalformedError,
    NotFoundError,
    PermissionDeniedError,
)
from gpuctl.jdl.document import Jdl
from gpuctl.jdl.parser import loads

__all__ = ["MAX_JDL_BYTES", "load", "read_file"]

MAX_JDL_BYTES = 16 * 1024 * 1024
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def load(path: str | os.PathLike[str]) -> Jdl:
    """Parse the file at `path`. Raises JdlSyntaxError, or what fits when it cannot be read."""
    name = os.fspath(path)
    return loads(read_file(name, MAX_JDL_BYTES, "a JDL"), name)


def read_file(name: str, limit: int, what: str) -> str:
    """The text of a regular file of at most `limit` bytes; `what` says in errors what it holds."""
    try:
        data = _read(name, limit, what)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise error if isinstance(error, GpuctlError) else _file_error(name, error) from None
    return _decode(name, data)


def _read(name: str, limit: int, what: str) -> bytes:
    _check(name, Path(name).stat(), limit, what)
    # O_NONBLOCK: between stat and open the file may have become a FIFO
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        _check(name, os.fstat(descriptor), limit, what)
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _too_large(name, "more than", limit, what)
    return data


def _check(name: str, status: os.stat_result, limit: int, what: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next(
            (words for is_kind, words in _KINDS if is_kind(status.st_mode)), "no regular file"
        )
        raise _refusal(name, f"`{name}` is {kind}, give a regular file")
    if status.st_size > limit:
        raise _too_large(name, f"{status.st_size} bytes, over", limit, what)


def _too_large(name: str, size: str, limit: int, what: str) -> MalformedError:
    return _refusal(name, f"`{name}` has {size} the {limit} bytes that {what} may have")


def _decode(name: str, data: bytes) -> str:
    nul = data.find(b"\0")
    if nul >= 0:
        raise _refusal(name, f"`{name}` is binary: a NUL at offset {nul}, expected text in UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        text = f"`{name}` is not UTF-8: byte 0x{byte:02x} at offset {error.start}, save it as UTF-8"
        raise _refusal(name, text) from None


def _refusal(name: str, message: str) -> MalformedError:
    return MalformedError(message, path=name, exit_code=EXIT_USAGE)


def _file_error(name: str, error: Exception) -> GpuctlError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOENT, errno.ENOTDIR):
        return NotFoundError(
            f"there is no file `{name}`", path=name, errno=number, exit_code=EXIT_USAGE
        )
    if number in (errno.EACCES, errno.EPERM):
        text = f"`{name}` may not be read, check its permissions"
        return PermissionDeniedError(text, path=name, errno=number, exit_code=EXIT_USAGE)
    reason = os.strerror(number) if number is not None else str(error)
    return IoError(
        f"`{name}` cannot be read: {reason}", path=name, errno=number, exit_code=EXIT_USAGE
    )
