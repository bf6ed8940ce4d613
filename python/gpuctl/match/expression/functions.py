"""The functions of an expression, as ClassAds have them.

A row of `FUNCTIONS` is what a call may look like and what it does with its values. Those that
decide themselves which arguments to look at (`ifThenElse`, `countMatches`) are in `compiler`.
`member` also takes the list first, as JDLs write it: `member(other.GridPartitions, "prod")`.
"""

from __future__ import annotations

import math
from typing import Callable, NamedTuple

from gpuctl.match.expression.errors import ExpressionError
from gpuctl.match.expression.list_functions import (
    comparing,
    extreme,
    identical_member,
    member,
    regexp_member,
    total,
)
from gpuctl.match.expression.number_functions import half_even, rounded, to_bool, to_int, to_real
from gpuctl.match.expression.text_functions import (
    cased,
    compared,
    regexp,
    size,
    strcat,
    string_list_member,
    string_list_size,
    substr,
    to_string,
)
from gpuctl.match.expression.values import Value, folded, kind_of

__all__ = ["FUNCTIONS", "LAZY", "check_call"]

Body = Callable[..., Value]  # (budget, *values)


class Function(NamedTuple):
    """`least` to `most` arguments."""

    least: int
    most: int
    body: Body


LAZY = {"ifthenelse": (3, 3), "countmatches": (2, 2)}


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


def _is(kind: str) -> Body:
    return lambda budget, value: kind_of(value) == kind


FUNCTIONS: dict[str, Function] = {
    "member": Function(2, 2, member),
    "identicalmember": Function(2, 2, identical_member),
    "regexp": Function(2, 3, regexp),
    "regexpmember": Function(2, 3, regexp_member),
    "stringlistmember": Function(2, 3, string_list_member(str)),
    "stringlistimember": Function(2, 3, string_list_member(folded)),
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
    "strcmp": Function(2, 2, compared(str)),
    "stricmp": Function(2, 2, compared(folded)),
    "tolower": Function(1, 1, cased(str.lower)),
    "toupper": Function(1, 1, cased(str.upper)),
    "floor": Function(1, 1, rounded(math.floor)),
    "ceiling": Function(1, 1, rounded(math.ceil)),
    "round": Function(1, 1, rounded(half_even)),
    "int": Function(1, 1, to_int),
    "real": Function(1, 1, to_real),
    "string": Function(1, 1, to_string),
    "bool": Function(1, 1, to_bool),
    "min": Function(1, 1, extreme(min)),
    "max": Function(1, 1, extreme(max)),
    "sum": Function(1, 1, total),
    "anycompare": Function(3, 3, comparing(False)),
    "allcompare": Function(3, 3, comparing(True)),
}
