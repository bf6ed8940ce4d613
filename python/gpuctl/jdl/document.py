"""A JDL document in memory: an ordered mapping from tag to value, looked up ignoring case.

A value is one of
    str         what stood between quotes (the backslash of an escaped quote is kept, as in JAliEn)
    int, float  a number; JAliEn reads `-5` as floating, so an int is never negative
    list        of str, in order and without repetition: `{"a", "b"}`
    Expression  any other text, unquoted: `other.TTL > 3600`, `true`, `50GB`

Not thread-safe. Assigning replaces a value in its place and takes the new spelling of the tag.

Example:
    doc = Jdl()
    doc["Executable"] = "/bin/true"
    doc["gpucount"] = 2
    assert doc["GPUCount"] == 2 and list(doc) == ["Executable", "gpucount"]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, MutableMapping
from decimal import Decimal
from typing import NamedTuple, Union

from gpuctl.errors import UsageError

LONG_MAX = 2**63 - 1  # Java's Long: a longer integer is read as a double


class Expression(str):
    """Text that stood without quotes and is not a number. Equal to a str of the same text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Expression({str.__repr__(self)})"


Value = Union[str, int, float, list[str], Expression]
Assignable = Union[Value, bool, tuple[str, ...]]

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


class Position(NamedTuple):
    """Where something stands; both count from 1, columns in characters."""

    line: int
    column: int


class JdlWarning(NamedTuple):
    """Something that parses but is hardly what was meant. `line` is 0 where there is no place."""

    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text}" if self.line else self.text


class _Entry(NamedTuple):
    key: str
    value: Value
    position: Position | None


class Jdl(MutableMapping[str, Value]):
    """The document. `name` is where it came from; `warnings` are in the order of the text."""

    def __init__(self, values: Mapping[str, Assignable] | None = None, name: str = "<jdl>") -> None:
        self.name = name
        self.warnings: list[JdlWarning] = []
        self._entries: dict[str, _Entry] = {}
        for key, value in (values or {}).items():
            self.assign(key, value)

    def __getitem__(self, key: str) -> Value:
        return self._entries[key.lower()].value

    def __setitem__(self, key: str, value: Assignable) -> None:
        self.assign(key, value)

    def __delitem__(self, key: str) -> None:
        del self._entries[key.lower()]

    def __iter__(self) -> Iterator[str]:
        return (entry.key for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._entries

    def __eq__(self, other: object) -> bool:
        """Same tags as written, in the same order, with the same values of the same type."""
        return self._contents() == other._contents() if isinstance(other, Jdl) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Jdl({dict(self)!r}, name={self.name!r})"

    def assign(self, key: str, value: Assignable, position: Position | None = None) -> None:
        """Set `key`, remembering where its value stands in the text."""
        self._entries[checked_key(key).lower()] = _Entry(key, normalised(key, value), position)

    def position(self, key: str) -> Position | None:
        """Where the value of `key` begins; None where it was not read from text."""
        entry = self._entries.get(key.lower())
        return entry.position if entry else None

    def get_text(self, key: str) -> str | None:
        """The value as one text, of a list its first element; None when absent or `{}`."""
        value = self.get(key)
        if isinstance(value, list):
            return value[0] if value else None
        return None if value is None else number_or_text(value)

    def get_list(self, key: str) -> tuple[str, ...]:
        """A list as it is, any other value as its one element, nothing when absent."""
        value = self.get(key)
        if value is None:
            return ()
        return tuple(value) if isinstance(value, list) else (number_or_text(value),)

    def get_bool(self, key: str, default: bool) -> bool:
        """`true`, `yes`, `1` or `false`, `no`, `0`, quoted or not; `default` when absent."""
        text = self.get_text(key)
        if text is None:
            return default
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise UsageError(f"`{key}` is `{text}`, which is neither `true` nor `false`")

    def _contents(self) -> list[tuple[str, str, Value]]:
        return [(e.key, type(e.value).__name__, e.value) for e in self._entries.values()]


def is_key_character(character: str) -> bool:
    """Java's Character.isLetterOrDigit, or `_`: what JAliEn allows in a tag."""
    return character.isalpha() or character.isdecimal() or character == "_"


def checked_key(key: str) -> str:
    if key.isascii() and key.replace("_", "a").isalnum():
        return key
    if not key or not all(map(is_key_character, key)):
        raise UsageError(f"`{key}` is no JDL tag, use letters, digits and `_`")
    return key


def normalised(key: str, value: Assignable) -> Value:
    """`value` as parsing its printed form would give it."""
    if isinstance(value, bool):
        return Expression("true" if value else "false")
    if isinstance(value, int):
        return value if 0 <= value <= LONG_MAX else float(value)
    if isinstance(value, float):
        return _finite(key, value)
    if isinstance(value, (list, tuple)):
        if not all(isinstance(element, str) for element in value):
            raise UsageError(f"the list `{key}` holds something that is no text")
        return list(dict.fromkeys(str(element) for element in value))
    if isinstance(value, str):
        return value
    raise UsageError(
        f"`{key}` cannot be a {type(value).__name__}, use text, a number or a list of texts"
    )


def _finite(key: str, value: float) -> float:
    if math.isfinite(value):
        return value
    raise UsageError(f"`{key}` is `{value}`, and JDL has no such number")


def number_or_text(value: str | int | float) -> str:
    """The value as Java's toString gives it, which is what JAliEn prints and exports."""
    return java_double(value) if isinstance(value, float) else str(value)


def java_double(value: float) -> str:
    """Double.toString: plain from 1e-3 to below 1e7, else one digit, a point and `E`: `1.0E7`."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)  # repr's own exponent form starts outside this range
    exact = Decimal(repr(value))
    digits = "".join(map(str, exact.as_tuple().digits)).rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exact.adjusted()}"
