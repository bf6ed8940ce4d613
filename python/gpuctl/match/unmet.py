"""A condition that is not met, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gpuctl.match.expression.values import folded

__all__ = ["Unmet", "gib", "is_in", "lacks", "unknown", "words"]

GIB = 1024**3


class Unmet(NamedTuple):
    """`state`: `unmet`, `unknown` (the node does not say) or `error` (it makes no sense).

    `wanted` and `found` are values of JSON; `found` is None where it is not known.
    """

    name: str
    wanted: Any
    found: Any
    state: str
    text: str


def lacks(name: str, wanted: Any, found: Any, text: str) -> Unmet:
    return Unmet(name, wanted, found, "unmet", text)


def unknown(name: str, wanted: Any, text: str) -> Unmet:
    return Unmet(name, wanted, None, "unknown", text)


def is_in(name: str | None, names: tuple[str, ...]) -> bool:
    """Ignoring case, as the broker's database does."""
    return name is not None and folded(name) in map(folded, names)


def words(names: Sequence[str]) -> str:
    few = ", ".join(f"`{name[:80]}`" for name in names[:5])
    return f"{few} and {len(names) - 5} more" if len(names) > 5 else few or "nothing"


def gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
