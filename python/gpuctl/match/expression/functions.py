"""The functions of an expression, as ClassAds have them.

A row of `FUNCTIONS` is what a call may look like and what it does with its values. Those that
decide themselves which arguments to look at (`ifThenElse`, `countMatches`) are in `compiler`.
`member` also takes the list first, as JDLs write it: `member(other.GridPartitions, "prod")`.
"""

from __future__ import annotations

import math
import re
from functools import reduce
from typing import Callable, NamedTuple

from gpuctl.match.expression import operators
from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.errors import ExpressionError
from gpuctl.match.expression.pattern import PatternError
from gpuctl.match.expression.values import (
    ERROR,
    UNDEFINED,
    Value,
    folded,
    is_number,
    kind_of,
    wrapped,
    written,
)

__all__ = ["FUNCTIONS", "LAZY", "check_call", "has_text"]

Body = Callable[..., Value]  # (budget, *values)

_NUMBER = re.compile(
    r"\s*[+-]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,4})?"
)
_MAX_RESULT = 1 << 16
_MAX_ELEMENTS = 1000
_INT64_MIN = -(1 << 63)


class Function(NamedTuple):
    """`least` to `most` arguments."""

    least: int
    most: int
    body: Body


LAZY = {"ifthenelse": (3, 3), "countmatches": (2, 2)}


def check_call(name: str, given: int, column: int) -> None:
    """A name that is none, and a call with too few or many arguments, can never be meant."""
    row = FUNCTIONS.get(name.lower())
    bounds = LAZY.get(name.lower()) or (row and (row.least, row.most))
    if bounds is None:
        raise ExpressionError(f"column {column}: there is no function `{name}`", column)
    least, most = bounds
    if not least <= given <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        text = f"column {column}: `{name}` takes {wanted} arguments, and {given} are given"
        raise ExpressionError(text, column)


def member(budget: Budget, one: Value, two: Value) -> Value:
    """Whether a value equals one of a list, as `==` has it; what is not comparable does not."""
    wanted, items = (
        (two, one) if isinstance(one, list) and not isinstance(two, list) else (one, two)
    )
    bad = operators.special(wanted, items)
    if bad is not None:
        return bad
    if not isinstance(items, list) or isinstance(wanted, (list, dict)):
        return ERROR
    if not budget.spend(len(items)):
        return ERROR
    if isinstance(wanted, str):
        return has_text(items, wanted, folded(wanted))
    return any(operators.equal(wanted, each) is True for each in items)


def has_text(items: list[Value], wanted: str, key: str) -> bool:
    """Whether a text is in the list, ignoring case; `key` is it folded."""
    if wanted in items:
        return True
    return any(type(each) is str and folded(each) == key for each in items)


def identical_member(budget: Budget, wanted: Value, items: Value) -> Value:
    if items is UNDEFINED:
        return UNDEFINED
    if not isinstance(items, list) or isinstance(wanted, (list, dict)):
        return ERROR
    if not budget.spend(len(items)):
        return ERROR
    return any(operators.identical(wanted, each) is True for each in items)


def regexp(budget: Budget, pattern: Value, text: Value, options: Value = "") -> Value:
    """Whether the pattern is found anywhere in the text; option `i`: whatever the case."""
    bad = operators.special(pattern, text, options)
    if bad is not None:
        return bad
    if not all(isinstance(each, str) for each in (pattern, text, options)):
        return ERROR
    try:
        return budget.pattern(pattern, "i" in options).search(text, budget)
    except PatternError:
        return ERROR


def regexp_member(budget: Budget, pattern: Value, items: Value, options: Value = "") -> Value:
    bad = operators.special(pattern, items, options)
    if bad is not None:
        return bad
    if not isinstance(pattern, str) or not isinstance(items, list):
        return ERROR
    result: Value = False
    for each in items:
        found = regexp(budget, pattern, each, options)
        if found is True or found is ERROR:
            return found
        result = UNDEFINED if found is UNDEFINED else result
    return result


def _string_list(fold: Callable[[str], str]) -> Body:
    def run(budget: Budget, wanted: Value, text: Value, separators: Value = " ,") -> Value:
        if ERROR in (kind for kind in (wanted, text, separators) if kind is ERROR):
            return ERROR
        if wanted is UNDEFINED or text is UNDEFINED or separators is UNDEFINED:
            return UNDEFINED
        if not all(isinstance(each, str) for each in (wanted, text, separators)):
            return ERROR
        if not budget.spend(len(text) // 64):
            return ERROR
        return fold(wanted) in {fold(each) for each in _split(text, separators)}

    return run


def _split(text: str, separators: str) -> list[str]:
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    parts = text.split(separators[0]) if separators else [text]
    return [part.strip() for part in parts if part.strip()]


def string_list_size(budget: Budget, text: Value, separators: Value = " ,") -> Value:
    if not isinstance(text, str) or not isinstance(separators, str):
        return ERROR
    return len(_split(text, separators))


def _is(kind: str) -> Body:
    return lambda budget, value: kind_of(value) == kind


def size(budget: Budget, value: Value) -> Value:
    """Of a text the bytes, of a list or record the elements."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, (list, dict)):
        return len(value)
    return UNDEFINED if value is UNDEFINED else ERROR


def strcat(budget: Budget, *values: Value) -> Value:
    for value in values:
        if value is UNDEFINED:
            return UNDEFINED
        if value is ERROR:
            return ERROR
    texts = [_text(value) for value in values]
    if None in texts or sum(len(text or "") for text in texts) > _MAX_RESULT:
        return ERROR
    result = "".join(text or "" for text in texts)
    return result if budget.spend(len(result) // 64) else ERROR


def _text(value: Value) -> str | None:
    """As ClassAds write a value: reals with 15 digits behind the point, lists with their braces.

    None for a record, and for a list that is not worth it.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(value) if value == 0 else f"{value:.15E}"
    if isinstance(value, list):
        return _list_text(value)
    return str(value) if isinstance(value, (str, int)) else None


def _list_text(values: list[Value]) -> str | None:
    texts = [_element_text(value) for value in values[:_MAX_ELEMENTS]]
    if None in texts or len(values) > _MAX_ELEMENTS:
        return None
    return "{ " + ",".join(text or "" for text in texts) + " }"


def _element_text(value: Value) -> str | None:
    if isinstance(value, str):
        return written(value)
    return repr(value) if value is UNDEFINED or value is ERROR else _text(value)


def _cased(change: Callable[[str], str]) -> Body:
    def run(budget: Budget, value: Value) -> Value:
        if value is UNDEFINED or value is ERROR:
            return value
        text = _text(value)
        if text is None or not budget.spend(len(text) // 64):
            return ERROR
        return change(text) if text.isascii() else "".join(_ascii(change, c) for c in text)

    return run


def _ascii(change: Callable[[str], str], character: str) -> str:
    return change(character) if character.isascii() else character


def substr(budget: Budget, text: Value, offset: Value, length: Value = None) -> Value:
    """Python's slices: a negative offset counts from the end, a negative length leaves out."""
    bad = operators.special(text, offset, length)
    if bad is not None:
        return bad
    whole = [each for each in (offset, length) if each is not None]
    if not isinstance(text, str) or not all(type(each) is int for each in whole):
        return ERROR
    start = max(0, len(text) + offset) if offset < 0 else offset
    if length is None:
        return text[start:]
    return text[start : max(start, len(text) + length)] if length < 0 else text[start:][:length]


def _compared(fold: Callable[[str], str]) -> Body:
    def run(budget: Budget, left: Value, right: Value) -> Value:
        for value in (left, right):
            if value is UNDEFINED or value is ERROR:
                return value
        one, two = _text(left), _text(right)
        if one is None or two is None:
            return ERROR
        one, two = fold(one), fold(two)
        return (one > two) - (one < two)

    return run


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


def _rounded(how: Callable[[float], float]) -> Body:
    def run(budget: Budget, value: Value) -> Value:
        number = _numeric(value)
        if number is None:
            return ERROR
        return int(number) if isinstance(number, int) else _whole(how(number))

    return run


def _half_even(value: float) -> float:
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


def to_string(budget: Budget, value: Value) -> Value:
    if value is UNDEFINED or value is ERROR:
        return value
    text = _text(value)
    return ERROR if text is None else text


def to_bool(budget: Budget, value: Value) -> Value:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), UNDEFINED)
    if is_number(value):
        return value != 0
    return UNDEFINED if value is UNDEFINED else ERROR


def _extreme(choose: Callable[[list[Value]], Value]) -> Body:
    def run(budget: Budget, items: Value) -> Value:
        numbers = _numbers(budget, items)
        if not isinstance(numbers, list):
            return numbers
        if not numbers:
            return UNDEFINED
        if any(isinstance(number, float) for number in numbers):
            return float(choose([float(number) for number in numbers]))
        return numbers[0] if len(numbers) == 1 else int(choose(numbers))

    return run


def total(budget: Budget, items: Value) -> Value:
    numbers = _numbers(budget, items)
    if not isinstance(numbers, list):
        return numbers
    if len(numbers) == 1:
        return numbers[0]
    return reduce(operators.ARITHMETIC["+"], numbers, 0)


def _numbers(budget: Budget, items: Value) -> Value:
    """Of a list; undefined elements are left out."""
    if items is UNDEFINED:
        return UNDEFINED
    if not isinstance(items, list) or not budget.spend(len(items)):
        return ERROR
    numbers = [each for each in items if each is not UNDEFINED]
    return numbers if all(is_number(each) for each in numbers) else ERROR


def _each(usual: bool) -> Body:
    """anyCompare and allCompare: the first result that is not the usual one decides."""

    def run(budget: Budget, operator: Value, items: Value, value: Value) -> Value:
        bad = operators.special(operator, items)
        if bad is not None:
            return bad
        compare = _COMPARE_BY.get(operator) if isinstance(operator, str) else None
        if compare is None or not isinstance(items, list) or not budget.spend(len(items)):
            return ERROR
        for each in items:
            result = compare(each, value)
            if result is not usual:
                return False if result is UNDEFINED else result
        return usual

    return run


_COMPARE_BY = {
    name: compare for name, compare in operators.COMPARISON.items() if name not in ("=?=", "=!=")
}

FUNCTIONS: dict[str, Function] = {
    "member": Function(2, 2, member),
    "identicalmember": Function(2, 2, identical_member),
    "regexp": Function(2, 3, regexp),
    "regexpmember": Function(2, 3, regexp_member),
    "stringlistmember": Function(2, 3, _string_list(str)),
    "stringlistimember": Function(2, 3, _string_list(folded)),
    "stringlistsize": Function(1, 2, string_list_size),
    "isundefined": Function(1, 1, _is("undefined")),
    "iserror": Function(1, 1, _is("error")),
    "isstring": Function(1, 1, _is("string")),
    "isinteger": Function(1, 1, _is("integer")),
    "isreal": Function(1, 1, _is("real")),
    "isboolean": Function(1, 1, _is("boolean")),
    "islist": Function(1, 1, _is("list")),
    "isclassad": Function(1, 1, _is("record")),
    "size": Function(1, 1, size),
    "strcat": Function(0, 64, strcat),
    "substr": Function(2, 3, substr),
    "strcmp": Function(2, 2, _compared(str)),
    "stricmp": Function(2, 2, _compared(folded)),
    "tolower": Function(1, 1, _cased(str.lower)),
    "toupper": Function(1, 1, _cased(str.upper)),
    "floor": Function(1, 1, _rounded(math.floor)),
    "ceiling": Function(1, 1, _rounded(math.ceil)),
    "round": Function(1, 1, _rounded(_half_even)),
    "int": Function(1, 1, to_int),
    "real": Function(1, 1, to_real),
    "string": Function(1, 1, to_string),
    "bool": Function(1, 1, to_bool),
    "min": Function(1, 1, _extreme(min)),
    "max": Function(1, 1, _extreme(max)),
    "sum": Function(1, 1, total),
    "anycompare": Function(3, 3, _each(False)),
    "allcompare": Function(3, 3, _each(True)),
}
