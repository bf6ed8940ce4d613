"""What functions of expressions do with texts, and how a value becomes one."""

from __future__ import annotations

from typing import Callable

from gpuctl.match.expression import operators
from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.pattern import PatternError
from gpuctl.match.expression.values import ERROR, UNDEFINED, Value, written

__all__ = [
    "cased",
    "compared",
    "regexp",
    "size",
    "strcat",
    "string_list_member",
    "string_list_size",
    "substr",
    "to_string",
]

Body = Callable[..., Value]  # (budget, *values)

_MAX_RESULT = 1 << 16
_MAX_ELEMENTS = 1000


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


def string_list_member(fold: Callable[[str], str]) -> Body:
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


def cased(change: Callable[[str], str]) -> Body:
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


def compared(fold: Callable[[str], str]) -> Body:
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


def to_string(budget: Budget, value: Value) -> Value:
    if value is UNDEFINED or value is ERROR:
        return value
    text = _text(value)
    return ERROR if text is None else text
