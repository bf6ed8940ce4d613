"""The text of a regular expression to its pieces."""

from __future__ import annotations

import re
from typing import NamedTuple, Union

__all__ = [
    "Alternatives",
    "Assertion",
    "Characters",
    "PatternError",
    "Piece",
    "Repeat",
    "Sequence",
    "parse_pattern",
]

_MAX_NESTING = 50
_MAX_COUNT = 1000

Ranges = tuple[tuple[str, str], ...]

_DIGIT: Ranges = (("0", "9"),)
_WORD: Ranges = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_BLANK: Ranges = (("\t", "\r"), (" ", " "))
_CLASSES: dict[str, tuple[Ranges, bool]] = {  # ranges, negated
    "d": (_DIGIT, False),
    "D": (_DIGIT, True),
    "w": (_WORD, False),
    "W": (_WORD, True),
    "s": (_BLANK, False),
    "S": (_BLANK, True),
}
_NAMED: dict[str, Ranges] = {
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "alpha": (("A", "Z"), ("a", "z")),
    "digit": _DIGIT,
    "lower": (("a", "z"),),
    "space": _BLANK,
    "upper": (("A", "Z"),),
    "word": _WORD,
    "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}
_ASSERTIONS = {"b": "boundary", "B": "inside", "A": "start", "z": "end", "Z": "last"}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "e": "\x1b"}
_COUNT = re.compile(r"\{([0-9]{1,5})(?:(,)([0-9]{0,5}))?\}")
_GROUP = re.compile(r"\?(?::|P?<[A-Za-z_]\w*>)")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")


class PatternError(ValueError):
    """The text is no pattern, or not one of those that take bounded time."""


class Characters(NamedTuple):
    """One character out of `ranges` (both ends included) or, negated, out of none of them."""

    ranges: Ranges
    negated: bool = False
    fold: bool = False

    def reads(self, character: str) -> bool:
        """Not the end of the text, which is empty."""
        return character != "" and self.has(character[0])

    def has(self, character: str) -> bool:
        found = self._in_ranges(character)
        if not found and self.fold and character.isascii():
            found = self._in_ranges(character.lower()) or self._in_ranges(character.upper())
        return found != self.negated

    def _in_ranges(self, character: str) -> bool:
        return any(first <= character <= last for first, last in self.ranges)

    def ignoring_case(self) -> Characters:
        return self._replace(fold=True)


class Assertion(NamedTuple):
    """`start`, `end`, `last` (the end, or a line feed before it), `boundary`, `inside`."""

    kind: str


class Sequence(NamedTuple):
    parts: tuple[Piece, ...]


class Alternatives(NamedTuple):
    parts: tuple[Piece, ...]


class Repeat(NamedTuple):
    """`most` is None where there is no bound."""

    part: Piece
    least: int
    most: int | None


Piece = Union[Characters, Assertion, Sequence, Alternatives, Repeat]

_ANY = Characters((("\n", "\n"),), negated=True)


def parse_pattern(text: str, ignoring_case: bool) -> tuple[Piece, bool]:
    """The pieces, and whether case is ignored: `(?i)` at the beginning says so too."""
    if text.startswith("(?i)"):
        return parse_pattern(text[4:], True)
    reader = _Reader(text)
    piece = reader.alternatives(0)
    if reader.at < len(text):
        raise PatternError("there is a `)` too many")
    return piece, ignoring_case


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        character = self.peek()
        if not character:
            raise PatternError("the pattern ends in the middle")
        self.at += 1
        return character

    def alternatives(self, nesting: int) -> Piece:
        if nesting > _MAX_NESTING:
            raise PatternError("the pattern is nested too deep")
        parts = [self.sequence(nesting)]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.sequence(nesting))
        return parts[0] if len(parts) == 1 else Alternatives(tuple(parts))

    def sequence(self, nesting: int) -> Piece:
        parts = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(self.atom(nesting)))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self, piece: Piece) -> Piece:
        count = self.count()
        if count is None:
            return piece
        if self.peek() == "?":  # lazy: another order of trying, the same answer
            self.at += 1
        if self.peek() in ("*", "+") or self.count() is not None:
            raise PatternError("a repeat is repeated, or possessive")
        return Repeat(piece, *count)

    def count(self) -> tuple[int, int | None] | None:
        """Of a repeat that begins here."""
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if self.peek() in simple:
            return simple[self.take()]
        match = _COUNT.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        least = int(match.group(1))
        most = least if match.group(2) is None else int(match.group(3)) if match.group(3) else None
        if max(least, most or 0) > _MAX_COUNT or (most is not None and most < least):
            raise PatternError("a repeat has bounds that cannot be")
        return least, most

    def atom(self, nesting: int) -> Piece:
        character = self.take()
        if character == "(":
            return self.group(nesting)
        if character == "[":
            return self.characters()
        if character == ".":
            return _ANY
        if character in "^$":
            return Assertion("start" if character == "^" else "last")
        if character == "\\":
            return self.escaped()
        if character in "*+?":
            raise PatternError("there is nothing to repeat")
        return _one(character)

    def group(self, nesting: int) -> Piece:
        if self.peek() == "?":
            match = _GROUP.match(self.text, self.at)
            if match is None:
                raise PatternError("look-around and options inside are not for this engine")
            self.at = match.end()
        piece = self.alternatives(nesting + 1)
        if self.peek() != ")":
            raise PatternError("there is a `)` too few")
        self.at += 1
        return piece

    def escaped(self) -> Piece:
        character = self.take()
        if character in _CLASSES:
            return Characters(*_CLASSES[character])
        if character in _ASSERTIONS:
            return Assertion(_ASSERTIONS[character])
        return _one(self.literal_of(character))

    def literal_of(self, character: str) -> str:
        """Of what stands behind a backslash."""
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character == "x":
            match = _HEX.match(self.text, self.at)
            if match is None:
                raise PatternError("`\\x` wants two hexadecimal digits")
            self.at = match.end()
            return chr(int(match.group(), 16))
        if character.isascii() and character.isalnum():
            raise PatternError(f"`\\{character}` is not for this engine")
        return character

    def characters(self) -> Piece:
        """`[...]`"""
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self.peek() != "]":
            first = False
            ranges += self.range()
        self.at += 1
        return Characters(tuple(ranges), negated)

    def range(self) -> Ranges:
        if self.text.startswith("[:", self.at):
            return self.named()
        low = self.end()
        if not isinstance(low, str):
            return low
        if self.peek() != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return ((low, low),)
        self.at += 1
        high = self.end()
        if not isinstance(high, str) or high < low:
            raise PatternError("a range of characters runs backwards")
        return ((low, high),)

    def end(self) -> str | Ranges:
        """One end of a range, or a class such as `\\d`."""
        character = self.take()
        if character != "\\":
            return character
        character = self.take()
        if character == "b":
            return "\b"
        if character in _CLASSES:
            ranges, negated = _CLASSES[character]
            return _complement(ranges) if negated else ranges
        return self.literal_of(character)

    def named(self) -> Ranges:
        end = self.text.find(":]", self.at)
        ranges = _NAMED.get(self.text[self.at + 2 : end]) if end > 0 else None
        if ranges is None:
            raise PatternError("there is no such class of characters")
        self.at = end + 2
        return ranges


def _one(character: str) -> Characters:
    return Characters(((character, character),))


def _complement(ranges: Ranges) -> Ranges:
    """`ranges` are sorted and apart."""
    edges = [(chr(ord(first) - 1), chr(ord(last) + 1)) for first, last in ranges]
    lows = ["\0", *(after for _, after in edges)]
    highs = [*(before for before, _ in edges), chr(0x10FFFF)]
    return tuple((low, high) for low, high in zip(lows, highs) if low <= high)
