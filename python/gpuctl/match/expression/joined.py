"""`a && b && c` as one Python function, with comparisons of attributes and literals in its body.

A call of a closure costs more than the comparison in it, and nearly every condition of a JDL is
such a comparison. The source is made of the fixed lines below; names, texts and numbers of the
expression are never part of it, they are reached as variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpuctl.match.expression import operators
from gpuctl.match.expression.nodes import Attribute, Binary, Literal, Node
from gpuctl.match.expression.shortcuts import Run
from gpuctl.match.expression.values import ERROR, UNDEFINED, as_boolean, folded

__all__ = ["joined"]

_MOST = 32  # terms; a longer one would take its time to compile

_BEGIN = "def run(n, j, r):\n    result = usual\n"
_FETCH = {
    "other": "    v = n.get(k{i}, UNDEFINED)\n",
    "": "    v = r[k{i}] if k{i} in r else j.get(k{i}, UNDEFINED)\n",
}
_NUMBER = "    if type(v) is int:\n        if (v {sign} l{i}) is stop: return stop\n"
_TEXT = (
    "    if type(v) is str:\n"
    "        same = v == l{i} or (len(v) == s{i} and fold(v) == w{i})\n"
    "        if (same is {equal}) is stop: return stop\n"
)
_OTHERWISE = "    else:\n        v = o{i}(v, l{i})\n"
_CALL = "    v = t{i}(n, j, r)\n"
_JUDGE = (
    "{pad}if v is not usual:\n"
    "{pad}    v = truth(v)\n"
    "{pad}    if v is stop or v is ERROR: return v\n"
    "{pad}    if v is UNDEFINED: result = v\n"
)


def joined(stop: bool, nodes: Sequence[Node], terms: Sequence[Run]) -> Run | None:
    """`&&` stops at False, `||` at True, both at ERROR. None: there are too many terms."""
    if len(terms) > _MOST:
        return None
    names: dict[str, Any] = {"usual": not stop, "stop": stop, "truth": as_boolean, "fold": folded}
    names.update(UNDEFINED=UNDEFINED, ERROR=ERROR)
    lines = [_BEGIN]
    for i, (node, term) in enumerate(zip(nodes, terms)):
        lines += _compared(i, node, names) or _called(i, term, names)
    exec(compile("".join([*lines, "    return result\n"]), "<expression>", "exec"), names)
    run: Run = names["run"]
    return run


def _called(i: int, term: Run, names: dict[str, Any]) -> list[str]:
    names[f"t{i}"] = term
    return [_CALL.format(i=i), _JUDGE.format(pad=" " * 4)]


def _compared(i: int, node: Node, names: dict[str, Any]) -> list[str]:
    """Nothing where the term is no such comparison."""
    if not isinstance(node, Binary) or node.operator not in operators.PLAIN:
        return []
    if not isinstance(node.left, Attribute) or not isinstance(node.right, Literal):
        return []
    value, fetch = node.right.value, _FETCH.get(node.left.scope)
    if fetch is None or type(value) not in (int, float, str):
        return []
    test = _NUMBER
    if isinstance(value, str):
        if node.operator not in ("==", "!="):
            return []
        test = _TEXT
        names.update({f"w{i}": folded(value), f"s{i}": len(value)})
    names.update({f"k{i}": node.left.key, f"l{i}": value})
    names[f"o{i}"] = operators.COMPARISON[node.operator]
    words = {"i": i, "sign": node.operator, "equal": node.operator == "=="}
    lines = (fetch, test, _OTHERWISE, _JUDGE)
    return [line.format(**words, pad=" " * 8) for line in lines]
