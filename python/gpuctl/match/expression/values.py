"""The values of an expression: Python's bool, int, float, str, list and dict, and two more.

UNDEFINED is "nobody said", ERROR is "makes no sense"; both pass through most operators. A dict is a
record with lower-case keys. Integers have 64 bits and wrap, as in ClassAds.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Final

__all__ = [
    "ERROR",
    "MAX_TEXT",
    "UNDEFINED",
    "Value",
    "as_boolean",
    "folded",
    "is_number",
    "kind_of",
    "shown",
    "visible",
    "wrapped",
    "written",
]

Value = Any  # bool | int | float | str | list | dict | Special

MAX_TEXT = 1 << 16  # characters of one text; a longer one is not looked at
_MAX_DEPTH = 20
_SHOWN = 120
_FEW = 100
_ESCAPES = {ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"}


class Special:
    """The type of UNDEFINED and ERROR, of which there is one each."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __bool__(self) -> bool:
        raise TypeError(f"`{self._name}` is neither true nor false")


UNDEFINED: Final = Special("undefined")
ERROR: Final = Special("error")

_KIND_OF: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "real",
    str: "string",
    list: "list",
    dict: "record",
}


def kind_of(value: Value) -> str:
    """`boolean`, `integer`, `real`, `string`, `list`, `record`, `undefined` or `error`."""
    return _KIND_OF.get(type(value)) or repr(value)


def is_number(value: Value) -> bool:
    """Booleans count as 0 and 1."""
    return isinstance(value, (int, float))


def as_boolean(value: Value) -> Value:
    """What `&&`, `||`, `!` and `?` make of a value: True, False, UNDEFINED or ERROR."""
    if isinstance(value, (int, float)):
        return value != 0
    return UNDEFINED if value is UNDEFINED else ERROR


def folded(text: str) -> str:
    """For comparing without case: ASCII letters only, as strcasecmp does it."""
    return text.lower() if text.isascii() else "".join(map(_ascii_lower, text))


def _ascii_lower(character: str) -> str:
    return character.lower() if character.isascii() else character


def wrapped(number: int) -> int:
    """To 64 bits, two's complement."""
    if -(1 << 63) <= number < 1 << 63:
        return number
    return ((number + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


def visible(value: Any, depth: int = 0) -> Value:
    """A value of JSON or of a JDL as expressions see it: no null, no NaN, nothing without end."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNDEFINED
    if isinstance(value, str):
        return str(value) if len(value) <= MAX_TEXT else UNDEFINED
    if isinstance(value, (list, tuple, dict)):
        return UNDEFINED if depth >= _MAX_DEPTH else _visible_parts(value, depth + 1)
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(1 << 63) <= value < 1 << 63 else UNDEFINED
    return value if isinstance(value, (bool, float)) else UNDEFINED


def _visible_parts(value: Any, depth: int) -> Value:
    if isinstance(value, dict):
        return {sys.intern(str(key).lower()): visible(each, depth) for key, each in value.items()}
    return [visible(each, depth) for each in value]


def written(value: Value) -> str:
    """As one writes it in an expression."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + escaped.translate(_ESCAPES) + '"'
    if isinstance(value, list):
        return "{" + ", ".join(map(written, value)) + "}"
    return f"a record of {len(value)} keys" if isinstance(value, dict) else repr(value)


def shown(value: Value) -> str:
    """The same for a message: cut when long."""
    few = value[:_FEW] if isinstance(value, (list, str)) and len(value) > _FEW else value
    text = written(few)
    if len(text) > _SHOWN or few is not value:
        return text[:_SHOWN].rstrip('"}') + "..."
    return text
