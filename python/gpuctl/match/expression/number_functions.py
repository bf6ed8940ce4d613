"""How a value becomes a number, and what is done with one."""

from __future__ import annotations

import math
import re
from typing import Callable

from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.values import ERROR, UNDEFINED, Value, is_number, wrapped

__all__ = ["half_even", "rounded", "to_bool", "to_int", "to_real"]

Body = Callable[..., Value]  # (budget, *values)

_NUMBER = re.compile(
    r"\s*[+-]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,4})?"
)
_INT64_MIN = -(1 << 63)


def _numeric(value: Value) -> Value:
    """A number, or the number that a text begins with; None where there is none."""
    if is_number(value):
        return value
    match = _NUMBER.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    text = match.group()
    return float(text) if any(c in text for c in ".eE") else wrapped(int(text))


def _whole(value: float) -> Value:
    """ERROR where 64 bits do not hold it."""
    if not math.isfinite(value) or not _INT64_MIN <= value < 2.0**63:
        return ERROR
    return int(value)


def rounded(how: Callable[[float], float]) -> Body:
    def run(budget: Budget, value: Value) -> Value:
        number = _numeric(value)
        if number is None:
            return ERROR
        return int(number) if isinstance(number, int) else _whole(how(number))

    return run


def half_even(value: float) -> float:
    return float(round(value)) if abs(value) < 2.0**52 else value


def to_int(budget: Budget, value: Value) -> Value:
    if value is UNDEFINED or value is ERROR:
        return value
    number = _numeric(value)
    if number is None:
        return ERROR
    return (
        int(number)
        if isinstance(number, int)
        else _whole(math.trunc(number) if math.isfinite(number) else number)
    )


def to_real(budget: Budget, value: Value) -> Value:
    if value is UNDEFINED or value is ERROR:
        return value
    number = _numeric(value)
    return ERROR if number is None else float(number)


def to_bool(budget: Budget, value: Value) -> Value:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), UNDEFINED)
    if is_number(value):
        return value != 0
    return UNDEFINED if value is UNDEFINED else ERROR
