"""Closures for what nearly every JDL says, with the literal prepared when it is compiled.

They give the values of the long way, which they take themselves for any value of an unusual kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from gpuctl.match.expression import operators
from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.functions import FUNCTIONS
from gpuctl.match.expression.list_functions import has_text
from gpuctl.match.expression.nodes import Attribute, Binary, Call, Literal
from gpuctl.match.expression.pattern import Pattern, PatternError
from gpuctl.match.expression.values import ERROR, UNDEFINED, Value, folded

__all__ = ["Names", "Run", "compared_with_literal", "short_call"]

Names = Mapping[str, Value]
Run = Callable[[Names, Names, Names], Value]  # (node, job, record)


def compared_with_literal(node: Binary, left: Run, operate: operators.Binary) -> Run:
    """`x OPERATOR literal`; where x is an attribute it is fetched in the same closure."""
    value: Value = node.right.value if isinstance(node.right, Literal) else UNDEFINED
    plain = operators.PLAIN.get(node.operator)
    is_text, is_number = type(value) is str, type(value) in (int, float)
    scope = node.left.scope if isinstance(node.left, Attribute) else None
    key = node.left.key if isinstance(node.left, Attribute) else ""
    if is_number and plain is not None and scope == "other":
        return _node_number(key, operate, plain, value)
    if is_number and plain is not None and scope == "":
        return _bare_number(key, operate, plain, value)
    if is_text and node.operator in ("==", "!=") and scope == "other":
        return _node_text(key, operate, value, node.operator == "==")
    if is_text and node.operator in ("==", "!=") and scope == "":
        return _bare_text(key, operate, value, node.operator == "==")
    return lambda n, j, r: operate(left(n, j, r), value)


def _node_number(
    key: str, operate: operators.Binary, plain: operators.Binary, value: int | float
) -> Run:
    def run(n: Names, j: Names, r: Names) -> Value:
        found = n.get(key, UNDEFINED)
        return plain(found, value) if type(found) is int else operate(found, value)

    return run


def _bare_number(
    key: str, operate: operators.Binary, plain: operators.Binary, value: int | float
) -> Run:
    def run(n: Names, j: Names, r: Names) -> Value:
        found = r[key] if key in r else j.get(key, UNDEFINED)
        return plain(found, value) if type(found) is int else operate(found, value)

    return run


def _node_text(key: str, operate: operators.Binary, value: str, equal: bool) -> Run:
    """To fold a text keeps its length, so that most differ at a glance."""
    wanted, size = folded(value), len(value)

    def run(n: Names, j: Names, r: Names) -> Value:
        found = n.get(key, UNDEFINED)
        if type(found) is not str:
            return operate(found, value)
        same = found == value or (len(found) == size and folded(found) == wanted)
        return same is equal

    return run


def _bare_text(key: str, operate: operators.Binary, value: str, equal: bool) -> Run:
    wanted, size = folded(value), len(value)

    def run(n: Names, j: Names, r: Names) -> Value:
        found = r[key] if key in r else j.get(key, UNDEFINED)
        if type(found) is not str:
            return operate(found, value)
        same = found == value or (len(found) == size and folded(found) == wanted)
        return same is equal

    return run


def short_call(node: Call, arguments: list[Run], budget: Budget) -> Run | None:
    """`member(other.X, "text")` and `regexp("pattern", other.X)`; None for any other call."""
    if len(arguments) != 2 or node.name not in ("member", "regexp"):
        return None
    one, two = (_text_of(each) for each in node.arguments)
    if (one is None) == (two is None):
        return None
    if node.name == "regexp":
        return None if one is None else _matching(one, arguments[1], budget)
    if one is not None:
        return _member(arguments[1], one, True, budget)
    return _member(arguments[0], two or "", False, budget)


def _text_of(node: object) -> str | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, str) else None


def _member(items: Run, wanted: str, is_first: bool, budget: Budget) -> Run:
    body, key = FUNCTIONS["member"].body, folded(wanted)

    def run(n: Names, j: Names, r: Names) -> Value:
        found = items(n, j, r)
        if type(found) is list:
            budget.left -= len(found) + 1
            return ERROR if budget.left < 0 else has_text(found, wanted, key)
        return body(budget, *((wanted, found) if is_first else (found, wanted)))

    return run


def _matching(text: str, subject: Run, budget: Budget) -> Run:
    body = FUNCTIONS["regexp"].body
    try:
        pattern = Pattern(text)
    except PatternError:
        pattern = None

    def run(n: Names, j: Names, r: Names) -> Value:
        found = subject(n, j, r)
        if pattern is not None and type(found) is str:
            return pattern.search(found, budget)
        return body(budget, text, found)

    return run
