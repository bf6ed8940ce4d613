"""Nodes to closures: each is a function of (node, job, record) that calls those of its parts.

Closures need no source text and no recursion limit of Python's own compiler, and cost one call for
each part. `record` is the element of a list that `countMatches` looks at, else an empty dict.
"""

from __future__ import annotations

from typing import Any, Callable

from gpuctl.match.expression import operators
from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.functions import FUNCTIONS
from gpuctl.match.expression.joined import joined
from gpuctl.match.expression.nodes import (
    Attribute,
    Binary,
    Call,
    Conjunction,
    Disjunction,
    Fallback,
    Items,
    Literal,
    Node,
    Select,
    Subscript,
    Ternary,
    Unary,
    text_of,
    walk,
)
from gpuctl.match.expression.shortcuts import Names, Run, compared_with_literal, short_call
from gpuctl.match.expression.values import ERROR, UNDEFINED, Value, as_boolean

__all__ = ["Compiled", "compile_node", "compile_text"]

_NOTHING: dict[str, Value] = {}
_UNARY = {"!": operators.negation, "-": operators.opposite, "+": operators.unchanged}


class Compiled:
    """One expression, ready to be asked again and again.

    `evaluate(node, job)` never raises, whatever the values are; keys are in lower case.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        budget = Budget()
        self.evaluate: Callable[[Names, Names], Value] = _renewing(
            _Compiler(budget).closure(node), budget
        )

    @property
    def text(self) -> str:
        return text_of(self.node)

    @property
    def looks_at(self) -> tuple[str, ...]:
        """The names of the node's attributes that it reads, in order, each once."""
        named = (n.name for n in walk(self.node) if isinstance(n, Attribute) and n.scope == "other")
        return tuple(dict.fromkeys(named))


def _renewing(run: Run, budget: Budget) -> Callable[[Names, Names], Value]:
    """Each evaluation has the whole budget."""
    steps = budget.steps

    def evaluate(node: Names, job: Names) -> Value:
        budget.left = steps
        return run(node, job, _NOTHING)

    return evaluate


def compile_text(text: str) -> Compiled:
    """Raises ExpressionError."""
    from gpuctl.match.expression.grammar import parse  # lark: only where an expression is parsed

    return Compiled(parse(text))


def compile_node(node: Node) -> Compiled:
    return Compiled(node)


class _Compiler:
    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._makers: dict[type[Node], Callable[[Any], Run]] = {
            Literal: _literal,
            Attribute: _attribute,
            Unary: self._unary,
            Binary: self._binary,
            Conjunction: self._conjunction,
            Disjunction: self._disjunction,
            Ternary: self._ternary,
            Fallback: self._fallback,
            Select: self._select,
            Subscript: self._subscript,
            Call: self._call,
            Items: self._items,
        }

    def closure(self, node: Node) -> Run:
        return self._makers[type(node)](node)

    def _unary(self, node: Unary) -> Run:
        operate, operand = _UNARY[node.operator], self.closure(node.operand)
        return lambda n, j, r: operate(operand(n, j, r))

    def _binary(self, node: Binary) -> Run:
        operate = operators.COMPARISON.get(node.operator) or operators.ARITHMETIC[node.operator]
        left, right = self.closure(node.left), self.closure(node.right)
        if isinstance(node.right, Literal):
            return compared_with_literal(node, left, operate)
        return lambda n, j, r: operate(left(n, j, r), right(n, j, r))

    def _conjunction(self, node: Conjunction) -> Run:
        terms = [self.closure(term) for term in node.terms]
        return joined(False, node.terms, terms) or _until(False, terms)

    def _disjunction(self, node: Disjunction) -> Run:
        terms = [self.closure(term) for term in node.terms]
        return joined(True, node.terms, terms) or _until(True, terms)

    def _ternary(self, node: Ternary) -> Run:
        condition, then, otherwise = map(self.closure, node.parts())

        def run(n: Names, j: Names, r: Names) -> Value:
            truth = as_boolean(condition(n, j, r))
            if truth is True:
                return then(n, j, r)
            return otherwise(n, j, r) if truth is False else truth

        return run

    def _fallback(self, node: Fallback) -> Run:
        value, otherwise = map(self.closure, node.parts())

        def run(n: Names, j: Names, r: Names) -> Value:
            found = value(n, j, r)
            return otherwise(n, j, r) if found is UNDEFINED else found

        return run

    def _select(self, node: Select) -> Run:
        record, name, budget = self.closure(node.record), node.name, self._budget

        def run(n: Names, j: Names, r: Names) -> Value:
            value = record(n, j, r)
            if isinstance(value, list) and not budget.spend(len(value)):
                return ERROR
            return operators.selected(value, name)

        return run

    def _subscript(self, node: Subscript) -> Run:
        container, index = map(self.closure, node.parts())
        return lambda n, j, r: operators.subscripted(container(n, j, r), index(n, j, r))

    def _items(self, node: Items) -> Run:
        if all(isinstance(element, Literal) for element in node.elements):
            values = [element.value for element in node.elements if isinstance(element, Literal)]
            return lambda n, j, r: values
        elements = [self.closure(element) for element in node.elements]
        return lambda n, j, r: [element(n, j, r) for element in elements]

    def _call(self, node: Call) -> Run:
        arguments = [self.closure(argument) for argument in node.arguments]
        if node.name == "ifthenelse":
            return self._ternary(Ternary(*node.arguments))
        if node.name == "countmatches":
            return self._count_matches(*arguments)
        short = short_call(node, arguments, self._budget)
        if short is not None:
            return short
        body, budget = FUNCTIONS[node.name].body, self._budget
        if len(arguments) == 2:
            one, two = arguments
            return lambda n, j, r: body(budget, one(n, j, r), two(n, j, r))
        return lambda n, j, r: body(budget, *[argument(n, j, r) for argument in arguments])

    def _count_matches(self, condition: Run, items: Run) -> Run:
        """How many records of the list fulfil the condition; bare names are the record's first."""
        budget = self._budget

        def run(n: Names, j: Names, r: Names) -> Value:
            records = items(n, j, r)
            if not isinstance(records, list):
                return UNDEFINED if records is UNDEFINED else ERROR
            count = 0
            for record in records:
                budget.left -= 1
                if budget.left < 0:
                    return ERROR
                if isinstance(record, dict):
                    value = condition(n, j, record)
                    if value is True or as_boolean(value) is True:
                        count += 1
            return count

        return run


def _literal(node: Literal) -> Run:
    value = node.value
    return lambda n, j, r: value


def _attribute(node: Attribute) -> Run:
    key = node.key
    if node.scope == "other":
        return lambda n, j, r: n.get(key, UNDEFINED)
    if node.scope == "self":
        return lambda n, j, r: j.get(key, UNDEFINED)

    def bare(n: Names, j: Names, r: Names) -> Value:
        return r[key] if key in r else j.get(key, UNDEFINED)

    return bare


def _until(stop: bool, terms: list[Run]) -> Run:
    """`&&` stops at False, `||` at True; both at ERROR; UNDEFINED is only where nothing stopped."""

    usual = not stop

    def run(n: Names, j: Names, r: Names) -> Value:
        result: Value = usual
        for term in terms:
            value = term(n, j, r)
            if value is usual:
                continue
            if value is not stop:
                value = as_boolean(value)
            if value is stop or value is ERROR:
                return value
            if value is UNDEFINED:
                result = UNDEFINED
        return result

    return run
