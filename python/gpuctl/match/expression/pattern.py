"""Regular expressions whose time grows with the text alone: for patterns that strangers write.

Python's own engine goes back and forth, and `(a|a)*b` costs it the age of the universe. Here a
pattern becomes a small program, and all its states go through the text together (Thompson, 1968),
with the transitions remembered; each character costs at most one step for each state, and the steps
are spent from the evaluation's budget.

What a JDL needs of PCRE is there: `.` `[a-z]` `[[:alpha:]]` `\\d \\w \\s \\b` `^ $ \\A \\z`,
groups, `|`, `* + ? {2,3}` (lazy or not: only whether it matches counts), `(?i)`. Back references,
look-around and possessive repeats are a PatternError, since no such engine can have them.

Example:
    assert Pattern("el[89]-(x86_64|aarch64)").search("el9-x86_64", Budget())
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol, Union

from gpuctl.match.expression.pattern_text import (
    Alternatives,
    Assertion,
    Characters,
    PatternError,
    Piece,
    Repeat,
    Sequence,
    parse_pattern,
)
from gpuctl.match.expression.values import ERROR, Value, folded

__all__ = ["Pattern", "PatternError"]

_MAX_PROGRAM = 2000
_MAX_REMEMBERED = 4000
_SPECIAL = frozenset(".[]()|*+?{}^$\\")
_LAST_NEWLINE = "\n\n"  # stands for a line feed with nothing behind it, before which `$` holds


class Split(NamedTuple):
    """Go on at both."""

    one: int
    two: int


class Accept(NamedTuple):
    """The pattern is found."""


Instruction = Union[Characters, Assertion, Split, Accept]
Places = frozenset[int]


class Spender(Protocol):
    def spend(self, steps: int) -> bool: ...


class State:
    """Where the pattern is between two characters; `moves` are remembered as they are made."""

    __slots__ = ("before", "moves", "places")

    def __init__(self, places: Places, before: str) -> None:
        self.places = places
        self.before = before  # of the last character: "w" a word's, "-" another, "" none
        self.moves: dict[str, State | None] = {}


class Pattern:
    """Raises PatternError for a text that is no pattern, or one that is too large."""

    def __init__(self, text: str, ignoring_case: bool = False) -> None:
        self._plain: str | None = None
        self._fold = ignoring_case
        if not _SPECIAL & set(text):
            self._plain = folded(text) if ignoring_case else text
            return
        piece, ignoring = parse_pattern(text, ignoring_case)
        self._program = _Program(ignoring).build(piece)
        self._anchored = _is_anchored(piece)
        self._forget()

    def search(self, text: str, budget: Spender) -> Value:
        """True or False; ERROR when the budget does not reach."""
        if not budget.spend(len(text) // 8):
            return ERROR
        if self._plain is not None:
            return self._plain in (folded(text) if self._fold else text)
        state = self._start
        for character in self._characters(text):
            try:
                move = state.moves[character]
            except KeyError:
                if not budget.spend(len(self._program)):
                    return ERROR
                move = self._move(state, character)
            if move is None:
                return True
            if not move.places:
                return False
            state = move
        return False

    @staticmethod
    def _characters(text: str) -> Iterable[str]:
        """With an empty one for the end."""
        if text.endswith("\n"):
            return (*text[:-1], _LAST_NEWLINE, "")
        return (*text, "")

    def _move(self, state: State, character: str) -> State | None:
        """None: the pattern was found before `character`."""
        following = set() if self._anchored else {0}
        found = False
        for at in self._reached(state.places, state.before, character):
            instruction = self._program[at]
            if isinstance(instruction, Accept):
                found = True
            elif isinstance(instruction, Characters) and instruction.reads(character):
                following.add(at + 1)
        move = None if found else self._state(frozenset(following), _class_of(character))
        state.moves[character] = move
        self._remembered += 1
        return move

    def _state(self, places: Places, before: str) -> State:
        if self._remembered >= _MAX_REMEMBERED:
            self._forget()
        return self._states.setdefault((places, before), State(places, before))

    def _forget(self) -> None:
        self._remembered = 0
        self._start = State(frozenset((0,)), "")
        self._states: dict[tuple[Places, str], State] = {}

    def _reached(self, places: Places, before: str, character: str) -> set[int]:
        """All that can be reached without reading anything."""
        waiting, seen = list(places), set(places)
        while waiting:
            at = waiting.pop()
            instruction = self._program[at]
            following: tuple[int, ...] = ()
            if isinstance(instruction, Split):
                following = (instruction.one, instruction.two)
            elif isinstance(instruction, Assertion) and _holds(instruction, before, character):
                following = (at + 1,)
            fresh = [each for each in following if each not in seen]
            seen.update(fresh)
            waiting += fresh
        return seen


def _is_anchored(piece: Piece) -> bool:
    """It can only be found at the beginning."""
    first = piece.parts[0] if isinstance(piece, Sequence) and piece.parts else piece
    return isinstance(first, Assertion) and first.kind == "start"


def _class_of(character: str) -> str:
    """What the next step has to know of a character: a word, or something else."""
    return "w" if _is_word(character) else "-"


def _is_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


def _holds(assertion: Assertion, before: str, character: str) -> bool:
    if assertion.kind == "start":
        return before == ""
    if assertion.kind == "end":
        return character == ""
    if assertion.kind == "last":
        return character in ("", _LAST_NEWLINE)
    boundary = (before == "w") != (character != "" and _is_word(character))
    return boundary == (assertion.kind == "boundary")


class _Program:
    """Pieces to instructions; a repeat is written out as often as it says."""

    def __init__(self, ignoring_case: bool) -> None:
        self._ignoring_case = ignoring_case
        self._code: list[Instruction] = []
        self._visits = 0

    def build(self, piece: Piece) -> list[Instruction]:
        self._emit(piece)
        self._code.append(Accept())
        return self._code

    def _emit(self, piece: Piece) -> None:
        self._visits += 1
        if max(len(self._code), self._visits) > _MAX_PROGRAM:
            raise PatternError("the pattern is too large")
        if isinstance(piece, Characters):
            self._code.append(piece.ignoring_case() if self._ignoring_case else piece)
        elif isinstance(piece, Assertion):
            self._code.append(piece)
        elif isinstance(piece, Sequence):
            for part in piece.parts:
                self._emit(part)
        elif isinstance(piece, Alternatives):
            self._alternatives(piece)
        else:
            self._repeat(piece)

    def _alternatives(self, piece: Alternatives) -> None:
        ends = []
        for part in piece.parts[:-1]:
            split = self._reserve()
            self._emit(part)
            ends.append(self._reserve())
            self._code[split] = Split(split + 1, len(self._code))
        self._emit(piece.parts[-1])
        for end in ends:
            self._jump(end, len(self._code))

    def _repeat(self, piece: Repeat) -> None:
        for _ in range(piece.least):
            self._emit(piece.part)
        if piece.most is None:
            split = self._reserve()
            self._emit(piece.part)
            self._jump(self._reserve(), split)
            self._code[split] = Split(split + 1, len(self._code))
            return
        splits = []
        for _ in range(piece.most - piece.least):
            splits.append(self._reserve())
            self._emit(piece.part)
        for split in splits:
            self._code[split] = Split(split + 1, len(self._code))

    def _reserve(self) -> int:
        self._code.append(Accept())
        return len(self._code) - 1

    def _jump(self, at: int, to: int) -> None:
        self._code[at] = Split(to, to)
