"""Durations as callers of the Python API give them: a number of seconds, or text such as `90s`."""

from __future__ import annotations

from typing import Union

from gpuctl import _core
from gpuctl.errors import GpuctlError, UsageError

__all__ = ["Duration", "flag_text"]

Duration = Union[int, float, str]

_FORM = "whole seconds, or text such as `90s`, `10m`, `1h`"


def flag_text(value: Duration | None, name: str) -> str | None:
    """What the command line takes for `value`; UsageError names the argument."""
    if value is None:
        return None
    text = value if isinstance(value, str) else _seconds(value, name)
    try:
        _core.parse_duration_usec(text, f"`{name}`")
    except GpuctlError as error:
        raise UsageError(str(error)) from None
    return text


def _seconds(value: int | float, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"`{name}` is a {type(value).__name__}, give {_FORM}")
    if value < 0 or value != value or value in (float("inf"),) or value != int(value):
        raise UsageError(f"`{name}` is {value}, give {_FORM}")
    return str(int(value))
