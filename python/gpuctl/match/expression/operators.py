"""What operators make of two values, in three-valued logic. Pure functions.

ERROR wins over UNDEFINED, which wins over any value; only `&&`, `||`, `?` and `=?=` look closer.
Numbers compare by value, booleans among them as 0 and 1, texts ignoring the case of ASCII letters.
"""

from __future__ import annotations

import math
import operator
from typing import Callable

from gpuctl.match.expression.values import ERROR, UNDEFINED, Value, as_boolean, folded, wrapped

__all__ = [
    "ARITHMETIC",
    "COMPARISON",
    "PLAIN",
    "equal",
    "identical",
    "negation",
    "opposite",
    "selected",
    "special",
    "subscripted",
    "unchanged",
]

Binary = Callable[[Value, Value], Value]


def special(*values: Value) -> Value:
    """ERROR or UNDEFINED where any of the values is that, else None."""
    found = None
    for value in values:
        if value is ERROR:
            return ERROR
        if value is UNDEFINED:
            found = UNDEFINED
    return found


def _comparison(compare: Callable[[Value, Value], bool]) -> Binary:
    def run(left: Value, right: Value) -> Value:
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return compare(left, right)
        if isinstance(left, str) and isinstance(right, str):
            return compare(folded(left), folded(right))
        bad = special(left, right)
        return ERROR if bad is None else bad

    return run


def identical(left: Value, right: Value) -> Value:
    """Same kind and same value, case included; of lists and records nobody can say."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, dict)):
        return ERROR
    return left is right if left is UNDEFINED or left is ERROR else bool(left == right)


def _different(left: Value, right: Value) -> Value:
    result = identical(left, right)
    return ERROR if result is ERROR else not result


# of two numbers, or of two folded texts
PLAIN: dict[str, Binary] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

equal = _comparison(operator.eq)

COMPARISON: dict[str, Binary] = {
    **{sign: _comparison(compare) for sign, compare in PLAIN.items()},
    "=?=": identical,
    "=!=": _different,
    "is": identical,
    "isnt": _different,
}


def _arithmetic(compute: Callable[[Value, Value], Value]) -> Binary:
    def run(left: Value, right: Value) -> Value:
        if not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
            bad = special(left, right)
            return ERROR if bad is None else bad
        result = compute(left, right)
        if type(result) is int:
            return wrapped(result)
        return result if result is ERROR or math.isfinite(result) else ERROR

    return run


def _quotient(left: Value, right: Value) -> Value:
    """Of integers towards zero, as in C."""
    if right == 0:
        return ERROR
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    return _saturated(abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1))


def _saturated(number: int) -> int:
    """The one quotient that 64 bits do not hold: -2^63 / -1."""
    return min(number, (1 << 63) - 1)


def _remainder(left: Value, right: Value) -> Value:
    if right == 0 or isinstance(left, float) or isinstance(right, float):
        return ERROR
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


ARITHMETIC: dict[str, Binary] = {
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(_quotient),
    "%": _arithmetic(_remainder),
}


def negation(value: Value) -> Value:
    """`!`"""
    truth = as_boolean(value)
    return not truth if isinstance(truth, bool) else truth


def opposite(value: Value) -> Value:
    """`-`, of a number that is no boolean."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return UNDEFINED if value is UNDEFINED else ERROR
    return wrapped(-value) if isinstance(value, int) else -value


def unchanged(value: Value) -> Value:
    """`+`"""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return UNDEFINED if value is UNDEFINED else ERROR
    return value


def selected(record: Value, name: str) -> Value:
    """`record.name`, or the name in each record of a list."""
    if isinstance(record, dict):
        return record.get(name, UNDEFINED)
    if isinstance(record, list):
        return [selected(each, name) for each in record]
    return UNDEFINED if record is UNDEFINED else ERROR


def subscripted(container: Value, index: Value) -> Value:
    bad = special(container, index)
    if bad is not None:
        return bad
    if isinstance(container, list) and type(index) is int:
        return container[index] if 0 <= index < len(container) else ERROR
    if isinstance(container, dict) and isinstance(index, str):
        return container.get(index.lower(), UNDEFINED)
    return ERROR
