"""The conditions of `Requirements` that JAliEn knows by their form, told from the others.

Each field is what a broker can put into a table; what is recognised is no condition any more. Where
a form may stand only once (a partition, one choice of CEs) the second one stays a condition.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Callable

from gpuctl.match.expression.nodes import Attribute, Binary, Call, Disjunction, Literal, Node, Unary

__all__ = ["Recognised", "recognise"]


@dataclass
class Recognised:
    """`rest` are the conditions of no known form."""

    partition: str | None = None
    ces: tuple[str, ...] = ()
    excluded_ces: tuple[str, ...] = ()
    close_ses: tuple[str, ...] = ()
    excluded_close_ses: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    cvmfs_revision: int | None = None
    price: float | None = None
    ttl_seconds: int | None = None
    rest: list[Node] = field(default_factory=list)


def recognise(conditions: Iterable[Node]) -> Recognised:
    found = Recognised()
    for condition in conditions:
        if not any(form(condition, found) for form in _FORMS):
            found.rest.append(condition)
    return found


def _partition(node: Node, found: Recognised) -> bool:
    """`member(other.GridPartitions, "p")`"""
    name = _member_of(node, "gridpartitions")
    if name is None or found.partition is not None:
        return False
    found.partition = name
    return True


def _ces(node: Node, found: Recognised) -> bool:
    """`other.CE == "a"`, or several of them joined by `||`."""
    names = _any_of(node, lambda term: _compared(term, "ce", "=="))
    if not names or found.ces:
        return False
    found.ces = names
    return True


def _excluded_ce(node: Node, found: Recognised) -> bool:
    """`other.CE != "a"`, `!(other.CE == "a")`, and JAliEn's `!other.CE == "a"`."""
    name = _compared(node, "ce", "!=") or _compared(_negated(node), "ce", "==")
    if name is None:
        return False
    found.excluded_ces += (name,)
    return True


def _close_ses(node: Node, found: Recognised) -> bool:
    """`member(other.CloseSE, "se")`, or several of them joined by `||`."""
    names = _any_of(node, lambda term: _member_of(term, "closese"))
    if not names or found.close_ses:
        return False
    found.close_ses = names
    return True


def _excluded_close_se(node: Node, found: Recognised) -> bool:
    name = _member_of(_negated(node), "closese")
    if name is None:
        return False
    found.excluded_close_ses += (name,)
    return True


def _package(node: Node, found: Recognised) -> bool:
    name = _member_of(node, "packages")
    if name is None:
        return False
    found.packages += (name,)
    return True


def _cvmfs_revision(node: Node, found: Recognised) -> bool:
    """`other.CVMFS_Revision >= N`; of several the highest."""
    number = _number(node, "cvmfs_revision", ">=")
    if type(number) is not int:
        return False
    found.cvmfs_revision = max(number, found.cvmfs_revision or 0)
    return True


def _price(node: Node, found: Recognised) -> bool:
    """`other.Price <= N` is what the job pays; no node has a price."""
    number = _number(node, "price", "<=")
    if number is None:
        return False
    found.price = float(number)
    return True


def _disk(node: Node, found: Recognised) -> bool:
    """`other.LocalDiskSpace > N`: JobRequest has it, with JAliEn's bounds."""
    return any(_number(node, "localdiskspace", sign) is not None for sign in (">", ">="))


def _ttl(node: Node, found: Recognised) -> bool:
    """`other.TTL > N` is the TTL of a job without that tag; it stays a condition all the same."""
    number = _number(node, "ttl", ">")
    if type(number) is int:
        found.ttl_seconds = max(number, found.ttl_seconds or 0)
    return False


_FORMS: tuple[Callable[[Node, Recognised], bool], ...] = (
    _partition,
    _ces,
    _excluded_ce,
    _close_ses,
    _excluded_close_se,
    _package,
    _cvmfs_revision,
    _price,
    _disk,
    _ttl,
)


def _negated(node: Node) -> Node:
    """What stands behind a `!`; a node of no form where there is none."""
    return node.operand if isinstance(node, Unary) and node.operator == "!" else Literal()


def _any_of(node: Node, name_of: Callable[[Node], str | None]) -> tuple[str, ...]:
    terms = node.terms if isinstance(node, Disjunction) else (node,)
    names = [name_of(term) for term in terms]
    return tuple(name for name in names if name) if all(names) else ()


def _member_of(node: Node, key: str) -> str | None:
    """The text in `member(other.KEY, "text")`, whichever comes first."""
    if not isinstance(node, Call) or node.name != "member":
        return None
    one, two = node.arguments
    text = two if _is_other(one, key) else one if _is_other(two, key) else None
    return text.value if isinstance(text, Literal) and isinstance(text.value, str) else None


def _compared(node: Node, key: str, sign: str) -> str | None:
    """The text in `other.KEY SIGN "text"`."""
    value = _right_of(node, key, sign)
    return value.value if value is not None and isinstance(value.value, str) else None


def _number(node: Node, key: str, sign: str) -> int | float | None:
    value = _right_of(node, key, sign)
    if value is None or isinstance(value.value, bool):
        return None
    return value.value if isinstance(value.value, (int, float)) else None


def _right_of(node: Node, key: str, sign: str) -> Literal | None:
    if not isinstance(node, Binary) or node.operator != sign or not _is_other(node.left, key):
        return None
    return node.right if isinstance(node.right, Literal) else None


def _is_other(node: Node, key: str) -> bool:
    return isinstance(node, Attribute) and node.scope == "other" and node.key == key
