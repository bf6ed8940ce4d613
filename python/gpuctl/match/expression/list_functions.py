"""What functions of expressions do with lists."""

from __future__ import annotations

from functools import reduce
from typing import Callable

from gpuctl.match.expression import operators
from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.text_functions import regexp
from gpuctl.match.expression.values import ERROR, UNDEFINED, Value, folded, is_number

__all__ = [
    "comparing",
    "extreme",
    "has_text",
    "identical_member",
    "member",
    "regexp_member",
    "total",
]

Body = Callable[..., Value]  # (budget, *values)

_COMPARE_BY = {
    name: compare for name, compare in operators.COMPARISON.items() if name not in ("=?=", "=!=")
}


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


def extreme(choose: Callable[[list[Value]], Value]) -> Body:
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


def comparing(usual: bool) -> Body:
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
