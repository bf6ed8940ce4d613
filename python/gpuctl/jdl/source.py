"""The text of a JDL without its comment lines, and the way back from an offset to line and column.

JAliEn takes out every line whose first non-blank character is `#` before it parses, also inside a
list, an expression or a string. Only whole lines go, so columns stay; a table of the cuts gives the
line numbers. Line ends may be LF, CRLF or CR; a byte order mark at the start is dropped. Offsets
are into `Source.text`.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right

from gpuctl.jdl.document import Position
from gpuctl.jdl.errors import JdlSyntaxError, excerpt, shown

# Java's String.trim() takes away every character up to the blank; JAliEn trims with it throughout.
BLANK = "".join(map(chr, range(0x21)))
_COMMENT_LINES = re.compile(r"(?m)^[\x00-\x09\x0b-\x20]*#[^\n]*(?:\n|\Z)")


class Source:
    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._original = _unix_line_ends(text[1:] if text.startswith("\ufeff") else text)
        self._cut_offsets = array("L")  # where in `text` comment lines were taken out, ascending
        self._cut_lines = array("L", [0])  # how many lines went before the first, second, ... cut
        self.text = self._without_comment_lines()
        self._last_offset = self._last_newlines = self._last_line_start = 0  # of the last question

    def position(self, offset: int) -> Position:
        """The place of `offset`; one past the end is allowed and is where the text stops.

        Counted from the offset asked last: a parser asks in nearly ascending order, so that all its
        questions together cost one pass over the text, and no table of lines is kept.
        """
        low, high = sorted((offset, self._last_offset))
        between = self.text.count("\n", low, high)
        self._last_newlines += between if offset >= self._last_offset else -between
        if between:
            self._last_line_start = self.text.rfind("\n", 0, offset) + 1
        self._last_offset = offset
        cut = self._cut_lines[bisect_right(self._cut_offsets, offset)]
        return Position(self._last_newlines + cut + 1, offset - self._last_line_start + 1)

    def comment_lines_inside(self, start: int, end: int) -> list[int]:
        """The numbers of the comment lines taken out between two offsets."""
        first = bisect_left(self._cut_offsets, start + 1)
        last = bisect_left(self._cut_offsets, end + 1)
        return [self._line_of_cut(cut) for cut in range(first, last)]

    def _line_of_cut(self, cut: int) -> int:
        behind = bisect_right(self._cut_offsets, self._cut_offsets[cut])
        line = self.position(self._cut_offsets[cut]).line
        return line - self._cut_lines[behind] + self._cut_lines[cut]

    def error(self, offset: int, found: str, expected: str) -> JdlSyntaxError:
        """An error at `offset`. `found` says what is there."""
        line, column = self.position(offset)
        text = self._original.split("\n")[line - 1]
        where = f"{self.name}:{line}:{column}"
        return JdlSyntaxError(
            f"{where}: found {found}, expected {expected}\n{excerpt(text, column)}",
            name=self.name,
            line=line,
            column=column,
            found=found,
            expected=expected,
            source_line=text,
        )

    def found_at(self, offset: int) -> str:
        """What stands at `offset`, for a message."""
        if offset >= len(self.text):
            return "the end of the text"
        return "the end of the line" if self.text[offset] == "\n" else shown(self.text[offset])

    def _without_comment_lines(self) -> str:
        if "#" not in self._original:
            return self._original
        parts: list[str] = []
        kept = end = 0
        for match in _COMMENT_LINES.finditer(self._original):
            parts.append(self._original[end : match.start()])
            kept += len(parts[-1])
            end = match.end()
            self._cut_offsets.append(kept)
            self._cut_lines.append(self._cut_lines[-1] + match.group().count("\n"))
        return "".join([*parts, self._original[end:]])


def _unix_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
