"""JDL text to a `Jdl`.

The text is a run of `Key = value;`. A value reaches to the first `;` outside quotes that no
backslash escapes; braces do not nest and are only looked at afterwards, so there is no recursion,
and every character is looked at a bounded number of times.

Example:
    doc = loads('Executable = "run.sh"; GPUCount = 2;')
    assert doc["gpucount"] == 2
"""

from __future__ import annotations

import re

from gpuctl.jdl.document import Jdl, JdlWarning, Value, is_key_character
from gpuctl.jdl.source import BLANK, Source
from gpuctl.jdl.values import closing_quote, read_value

__all__ = ["loads"]

_MAX_WARNINGS = 100  # a hostile text could ask for one every few characters
_MAX_LABEL = 60  # characters of a tag in a message
_BLANKS = re.compile(r"[\x00-\x20]*")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]*")  # nearly all of them; other letters one by one
_PLAIN = re.compile(
    r"([A-Za-z0-9_]+)[ \t]*=[ \t]*"
    r'(?:"([^"\\\n]*)"|([0-9]{1,18})|(\{\s*"[^"\\\n]*"(?:\s*,\s*"[^"\\\n]*")*\s*\}))[ \t]*;'
)
_ELEMENT = re.compile(r'"([^"]*)"')
_SPECIAL = re.compile(r'["\\;]')


def loads(text: str, name: str = "<text>") -> Jdl:
    """Parse `text`; `name` stands for the file in messages. Raises JdlSyntaxError."""
    return _Parser(Source(text, name), empty=text in ("", "\ufeff")).parse()


class _Parser:
    def __init__(self, source: Source, empty: bool) -> None:
        self._source = source
        self._text = source.text
        self._doc = Jdl(name=source.name)
        self._empty = empty

    def parse(self) -> Jdl:
        if self._empty:
            raise self._source.error(0, "an empty text", "`Key = value;`")
        nul = self._text.find("\0")
        if nul >= 0:
            raise self._source.error(nul, "a NUL character", "text")
        offset: int | None = 0
        while offset is not None:
            offset = self._statement(self._next_key(offset))
        return self._doc

    def _next_key(self, offset: int) -> int:
        """Past blanks, and past comments that begin behind a `;` on the same line."""
        while True:
            offset = self._past_blanks(offset)
            if not self._text.startswith("#", offset):
                return offset
            newline = self._text.find("\n", offset)
            offset = len(self._text) if newline < 0 else newline

    def _past_blanks(self, offset: int) -> int:
        match = _BLANKS.match(self._text, offset)
        return match.end() if match else offset

    def _statement(self, start: int) -> int | None:
        """One `Key = value;` from `start`; the offset behind it, None at the end of the text."""
        plain = _PLAIN.match(self._text, start)
        if plain is not None and self._take_plain(plain):
            return plain.end()
        key = self._key(start)
        equals = self._past_blanks(start + len(key))
        if not key or not self._text.startswith("=", equals):
            self._no_assignment(start, key, equals)
            return None
        label = key if len(key) <= _MAX_LABEL else key[:_MAX_LABEL] + "..."
        end = self._value_end(equals + 1, label)
        if key in self._doc:
            self._warn(start, f"`{label}` is assigned twice, the last value counts")
        first, last = self._trimmed(equals + 1, end)
        value = read_value(self._source, first, last, label, self._warn)
        self._doc.assign(key, value, self._source.position(first))
        return end + 1 if end < len(self._text) else None

    def _take_plain(self, match: re.Match[str]) -> bool:
        """What nearly every statement is: a text, whole number or list without anything odd in it.
        False: it is to be read step by step.
        """
        key, text, number, listed = match.groups()
        value: Value = text if text is not None else 0
        if number is not None:
            value = int(number)
        elif listed is not None:
            value = _ELEMENT.findall(listed)
            if len(set(value)) < len(value) or any(each.endswith("'") for each in value):
                return False
        if key in self._doc or len(key) > _MAX_LABEL:
            return False
        start = match.start(3) if number is not None else match.start(match.lastindex or 0)
        start -= text is not None
        self._doc.assign(key, value, self._source.position(start))
        return True

    def _key(self, start: int) -> str:
        match = _PLAIN_KEY.match(self._text, start)
        end = match.end() if match else start
        while end < len(self._text) and is_key_character(self._text[end]):
            end += 1
        return self._text[start:end]

    def _no_assignment(self, start: int, key: str, after: int) -> None:
        """JAliEn looks for the next `=`; without one it ignores the rest, else the tag is wrong."""
        if start == len(self._text):
            return
        if self._text.find("=", start) < 0:
            self._warn(start, "there is no `=` from here to the end, so this text is ignored")
            return
        found = self._source.found_at(after)
        if not key:
            raise self._source.error(after, found, "a tag of letters, digits and `_`")
        if after == start + len(key):
            raise self._source.error(
                after, f"{found} in the tag `{key[:_MAX_LABEL]}`", "letters, digits, `_` or `=`"
            )
        raise self._source.error(after, f"{found} after the tag `{key[:_MAX_LABEL]}`", "`=`")

    def _value_end(self, start: int, key: str) -> int:
        """The offset of the `;` that ends the value, or of the end of the text."""
        text, offset = self._text, start
        while True:
            match = _SPECIAL.search(text, offset)
            if match is None:
                return len(text)
            offset = match.end()
            if match.group() == ";":
                return match.start()
            if match.group() == "\\":
                offset = self._past_escape(offset, key)
            else:
                offset = self._past_string(offset, key)

    def _past_escape(self, offset: int, key: str) -> int:
        if offset >= len(self._text):
            raise self._source.error(
                offset, "the end of the text", f"a character after the `\\` in `{key}`"
            )
        return offset + 1

    def _past_string(self, offset: int, key: str) -> int:
        close = closing_quote(self._text, offset, len(self._text))
        if close < 0:
            line, column = self._source.position(offset - 1)
            expected = f'`"` to close the string of `{key}` opened at line {line}, column {column}'
            raise self._source.error(len(self._text), "the end of the text", expected)
        for number in self._source.comment_lines_inside(offset, close):
            text = f"a line that begins with `#` inside the string of `{key}` is dropped"
            self._add(JdlWarning(number, 1, text))
        return close + 1

    def _trimmed(self, start: int, end: int) -> tuple[int, int]:
        start = min(self._past_blanks(start), end)
        return start, start + len(self._text[start:end].rstrip(BLANK))

    def _warn(self, offset: int, text: str) -> None:
        self._add(JdlWarning(*self._source.position(offset), text))

    def _add(self, warning: JdlWarning) -> None:
        warnings = self._doc.warnings
        if len(warnings) < _MAX_WARNINGS:
            warnings.append(warning)
        elif len(warnings) == _MAX_WARNINGS:
            warnings.append(
                JdlWarning(warning.line, warning.column, "there are more warnings, not listed")
            )
