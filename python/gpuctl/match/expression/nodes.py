"""What an expression consists of, and its text again.

Nodes are frozen and made from the leaves up; `depth` is known without walking, so that a text
cannot ask for more nesting than can be evaluated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Callable

from gpuctl.match.expression.values import UNDEFINED, Value, written

__all__ = [
    "Attribute",
    "Binary",
    "Call",
    "Conjunction",
    "Disjunction",
    "Fallback",
    "Items",
    "Literal",
    "Node",
    "Select",
    "Subscript",
    "Ternary",
    "Unary",
    "conjuncts",
    "text_of",
    "walk",
]


@dataclass(frozen=True)
class Node:
    """`depth` is 1 for a leaf."""

    depth: int = field(default=1, init=False, compare=False, repr=False)

    def parts(self) -> tuple[Node, ...]:
        return ()

    def __post_init__(self) -> None:
        deepest = max((part.depth for part in self.parts()), default=0)
        object.__setattr__(self, "depth", deepest + 1)


@dataclass(frozen=True)
class Literal(Node):
    value: Value = UNDEFINED


@dataclass(frozen=True)
class Attribute(Node):
    """`scope` is `other`, `self`, or empty for a bare name; `name` as written."""

    scope: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        return sys.intern(self.name.lower())


@dataclass(frozen=True)
class Unary(Node):
    operator: str = "!"
    operand: Node = field(default_factory=Literal)

    def parts(self) -> tuple[Node, ...]:
        return (self.operand,)


@dataclass(frozen=True)
class Binary(Node):
    operator: str = "=="
    left: Node = field(default_factory=Literal)
    right: Node = field(default_factory=Literal)

    def parts(self) -> tuple[Node, ...]:
        return (self.left, self.right)


@dataclass(frozen=True)
class Conjunction(Node):
    """`a && b && c`, flat."""

    terms: tuple[Node, ...] = ()

    def parts(self) -> tuple[Node, ...]:
        return self.terms


@dataclass(frozen=True)
class Disjunction(Node):
    terms: tuple[Node, ...] = ()

    def parts(self) -> tuple[Node, ...]:
        return self.terms


@dataclass(frozen=True)
class Ternary(Node):
    condition: Node = field(default_factory=Literal)
    then: Node = field(default_factory=Literal)
    otherwise: Node = field(default_factory=Literal)

    def parts(self) -> tuple[Node, ...]:
        return (self.condition, self.then, self.otherwise)


@dataclass(frozen=True)
class Fallback(Node):
    """`a ?: b`: b where a is undefined."""

    value: Node = field(default_factory=Literal)
    otherwise: Node = field(default_factory=Literal)

    def parts(self) -> tuple[Node, ...]:
        return (self.value, self.otherwise)


@dataclass(frozen=True)
class Select(Node):
    """`record.name`; of a list, the name in each."""

    record: Node = field(default_factory=Literal)
    name: str = ""

    def parts(self) -> tuple[Node, ...]:
        return (self.record,)


@dataclass(frozen=True)
class Subscript(Node):
    container: Node = field(default_factory=Literal)
    index: Node = field(default_factory=Literal)

    def parts(self) -> tuple[Node, ...]:
        return (self.container, self.index)


@dataclass(frozen=True)
class Call(Node):
    """`name` in lower case; `spelled` as it was written."""

    name: str = ""
    arguments: tuple[Node, ...] = ()
    spelled: str = field(default="", compare=False)

    def parts(self) -> tuple[Node, ...]:
        return self.arguments


@dataclass(frozen=True)
class Items(Node):
    """`{a, b}`"""

    elements: tuple[Node, ...] = ()

    def parts(self) -> tuple[Node, ...]:
        return self.elements


def conjuncts(node: Node) -> tuple[Node, ...]:
    """The conditions that must all hold for `node` to hold."""
    if not isinstance(node, Conjunction):
        return (node,)
    return tuple(each for term in node.terms for each in conjuncts(term))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, without recursion."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(reversed(each.parts()))


def text_of(node: Node) -> str:
    """The expression written again, with the parentheses it needs and few others."""
    return _WRITERS[type(node)](node)


def _joined(node: Conjunction | Disjunction) -> str:
    sign = " && " if isinstance(node, Conjunction) else " || "
    return sign.join(_inner(term, (Binary, Unary)) for term in node.terms)


def _enclosed(node: Call | Items) -> str:
    inside = ", ".join(text_of(part) for part in node.parts())
    return (
        f"{node.spelled or node.name}({inside})" if isinstance(node, Call) else "{" + inside + "}"
    )


def _inner(node: Node, more: tuple[type[Node], ...] = ()) -> str:
    simple = (Literal, Attribute, Call, Items, Select, Subscript, *more)
    return text_of(node) if isinstance(node, simple) else f"({text_of(node)})"


def _ternary(node: Ternary) -> str:
    return f"{_inner(node.condition)} ? {_inner(node.then)} : {_inner(node.otherwise)}"


_WRITERS: dict[type[Node], Callable[[Any], str]] = {
    Literal: lambda node: written(node.value),
    Attribute: lambda node: f"{node.scope}.{node.name}" if node.scope else node.name,
    Unary: lambda node: f"{node.operator}{_inner(node.operand)}",
    Binary: lambda node: f"{_inner(node.left)} {node.operator} {_inner(node.right)}",
    Conjunction: _joined,
    Disjunction: _joined,
    Ternary: _ternary,
    Fallback: lambda node: f"{_inner(node.value)} ?: {_inner(node.otherwise)}",
    Select: lambda node: f"{_inner(node.record)}.{node.name}",
    Subscript: lambda node: f"{_inner(node.container)}[{text_of(node.index)}]",
    Call: _enclosed,
    Items: _enclosed,
}
