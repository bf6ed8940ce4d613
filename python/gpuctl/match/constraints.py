"""Site Sonar constraints: what a probe told of the node against what a tag of the job says.

A wanted value is compared as a whole, ignoring case, or is a pattern of SQL when it has a `%`, as
the broker's `? LIKE column` has it: `%` is any text, `_` any one character.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.pattern import Pattern, PatternError
from gpuctl.match.expression.values import MAX_TEXT, folded

__all__ = ["constraint_fits"]


def constraint_fits(wanted: str, found: Any) -> bool:
    """`found` is a value of JSON; of a list any element will do."""
    if isinstance(found, list):
        return any(constraint_fits(wanted, each) for each in found if not isinstance(each, list))
    text = _text(found)
    if text is None or len(text) > MAX_TEXT or len(wanted) > MAX_TEXT:
        return False
    if "%" not in wanted:
        return folded(wanted.strip()) == folded(text.strip())
    try:
        return _pattern(wanted).search(text, Budget()) is True
    except PatternError:
        return False


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


@lru_cache(maxsize=64)
def _pattern(like: str) -> Pattern:
    pieces = {"%": r"[\s\S]*", "_": r"[\s\S]"}
    body = "".join(pieces.get(c) or ("\\" + c if not c.isalnum() else c) for c in like)
    return Pattern(rf"\A{body}\z", ignoring_case=True)
