"""The one tree of errors that gpuctl raises.

Every error is a `GpuctlError`; every leaf is also the builtin error that fits, so that `except
FileNotFoundError` works without knowing gpuctl. The code of a leaf is the code of the C++ core
(`not_found`, `permission`, `malformed`, `unsupported`, `unavailable`, `busy`, `timeout`,
`vanished`, `io`, `usage`); `error_for` turns such a code into its leaf and is what the bindings
call.

`exit_code` is what a command ends with when the error reaches its top: 2 for a wrong call or input
(nothing was done), 3 when gpuctl failed and the answer is unknown. `str(error)` is always the
message alone.

Example:
    try:
        gpuctl.jdl.load("job.jdl")
    except gpuctl.errors.GpuctlError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
"""

from __future__ import annotations

from typing import Any, Callable, ClassVar

__all__ = [
    "BusyError",
    "GpuctlError",
    "IoError",
    "MalformedError",
    "NotFoundError",
    "PermissionDeniedError",
    "TimedOutError",
    "UnavailableError",
    "UnsupportedError",
    "UsageError",
    "VanishedError",
    "error_for",
]

EXIT_USAGE = 2
EXIT_FAILED = 3


class GpuctlError(Exception):
    """Base of the tree. `path`, `errno` and `detail` are None where they do not apply."""

    code: str = "io"
    default_exit_code: ClassVar[int] = EXIT_FAILED
    errno: int | None

    # OSError parses its arguments in __new__ unless a subclass has an __init__ of its own and no
    # __new__ (Objects/exceptions.c, oserror_use_init); this signature is what keeps `errno=` from
    # being refused.
    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        errno: int | None = None,
        detail: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.errno = errno
        self.detail = detail
        self.exit_code = self.default_exit_code if exit_code is None else exit_code

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Callable[..., GpuctlError], tuple[Any, ...]]:
        state = dict(self.__dict__, errno=self.errno)
        return _rebuild, (type(self), self.message, state)


def _rebuild(kind: type[GpuctlError], message: str, state: dict[str, Any]) -> GpuctlError:
    """Undo `__reduce__`: OSError keeps errno outside `__dict__`, so it travels beside it."""
    error = kind.__new__(kind, message)
    GpuctlError.__init__(error, message)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class NotFoundError(GpuctlError, FileNotFoundError):
    """A file, job, GPU or lease that was named does not exist."""

    code = "not_found"


class PermissionDeniedError(GpuctlError, PermissionError):
    """The kernel or gpuctl's own trust rules refuse it to this user."""

    code = "permission"


class MalformedError(GpuctlError, ValueError):
    """Something was read and is not what its format allows."""

    code = "malformed"


class UnsupportedError(GpuctlError, NotImplementedError):
    """This kernel, build or device cannot do it; trying again does not help."""

    code = "unsupported"


class UnavailableError(GpuctlError, RuntimeError):
    """It could be done, but not here and now: no GPU fits, a tool is not installed."""

    code = "unavailable"


class BusyError(GpuctlError):
    """Someone else holds it; waiting may help."""

    code = "busy"


class TimedOutError(GpuctlError, TimeoutError):
    """The deadline passed before the answer came."""

    code = "timeout"


class VanishedError(GpuctlError, ProcessLookupError):
    """It was there and is gone: a process that ended, a device that was removed."""

    code = "vanished"


class IoError(GpuctlError, OSError):
    """Reading or writing failed for a reason that no other leaf names; see `errno`."""

    code = "io"


class UsageError(GpuctlError, ValueError):
    """The caller asked for something that makes no sense; nothing was done."""

    code = "usage"
    default_exit_code = EXIT_USAGE


_LEAVES: tuple[type[GpuctlError], ...] = (
    NotFoundError,
    PermissionDeniedError,
    MalformedError,
    UnsupportedError,
    UnavailableError,
    BusyError,
    TimedOutError,
    VanishedError,
    IoError,
    UsageError,
)
_LEAF_OF_CODE: dict[str, type[GpuctlError]] = {leaf.code: leaf for leaf in _LEAVES}


def error_for(
    code: str,
    message: str,
    *,
    path: str | None = None,
    errno: int | None = None,
    detail: str | None = None,
) -> GpuctlError:
    """The leaf for `code`. A code that this version does not know becomes a plain GpuctlError."""
    leaf = _LEAF_OF_CODE.get(code, GpuctlError)
    error = leaf(message, path=path, errno=errno, detail=detail)
    error.code = code
    return error
