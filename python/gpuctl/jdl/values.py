"""The text of one value to the value: string, list, number, or expression text.

The rules are those of JAliEn's parser; what it takes by accident is taken the same way and reported
through `Warn`. All functions take the span [start, end) of `source.text`, already trimmed.
"""

from __future__ import annotations

import math
import re
from typing import Callable

from gpuctl.jdl.document import LONG_MAX, Expression, Value
from gpuctl.jdl.errors import shown
from gpuctl.jdl.source import BLANK, Source

Warn = Callable[[int, str], None]  # (offset, text)

_NUMBER = re.compile(r"[0-9.+\-Ee]+\Z")
_NUMBER_CHARACTERS = 400  # a double has at most 309 digits before its point
_QUOTE_OR_ESCAPE = re.compile(r'["\\]')
_ANOTHER_TAG = re.compile(r"(?<![\w.])\w+\s*=(?![=~?!])")  # not ==, =~, =?=, =!= of an expression
_INSIDE_QUOTES = re.compile(r'"[^"]*"')
_SEPARATORS = re.compile(r"[\x00-\x20,]*")


def read_value(source: Source, start: int, end: int, key: str, warn: Warn) -> Value:
    first = source.text[start : start + 1] if start < end else ""
    if first == '"':
        return _read_string(source, start, end, key, warn)
    if first == "{":
        return _read_list(source, start, end, key, warn)
    text = source.text[start:end]
    number = _read_number(text) if len(text) <= _NUMBER_CHARACTERS and _NUMBER.match(text) else None
    if number is not None:
        return number
    _check_expression(source, start, text, key, warn)
    return Expression(text)


def closing_quote(text: str, start: int, end: int) -> int:
    """The offset of the first unescaped quote in [start, end), else -1."""
    while True:
        match = _QUOTE_OR_ESCAPE.search(text, start, end)
        if match is None:
            return -1
        if match.group() == '"':
            return match.start()
        start = match.start() + 2


def _read_string(source: Source, start: int, end: int, key: str, warn: Warn) -> str:
    text = source.text
    close = closing_quote(text, start + 1, end)
    if close == end - 1:
        return text[start + 1 : close]
    after = close + 1
    while text[after] in BLANK:
        after += 1
    if text[end - 1] != '"':
        raise source.error(after, source.found_at(after), f"`;` after the string of `{key}`")
    warn(after, f"this is taken into the string of `{key}`, is a `;` missing before it")
    return text[start + 1 : end - 1]


def _read_list(source: Source, start: int, end: int, key: str, warn: Warn) -> Value:
    if source.text[end - 1] != "}" or end - start < 2:
        line, column = source.position(start)
        expected = f"`}}` to close the list of `{key}` opened at line {line}, column {column}"
        stop = len(source.text) - len(source.text[end:].lstrip(BLANK))  # the `;` or the end
        raise source.error(stop, source.found_at(stop), expected)
    elements = _quoted_elements(source, start + 1, end - 1, key, warn)
    if elements is None:
        return _unquoted_contents(source, start + 1, end - 1, key, warn)
    unique = list(dict.fromkeys(elements))
    if len(unique) < len(elements):
        warn(start, f"the list `{key}` names an element twice, the second one is dropped")
    return unique


def _quoted_elements(
    source: Source, start: int, end: int, key: str, warn: Warn
) -> list[str] | None:
    """The strings between `start` and `end`; None when there is no quote at all."""
    text = source.text
    elements: list[str] = []
    while True:
        opening = closing_quote(text, start, end)
        gap_end = end if opening < 0 else opening
        if opening < 0 and not elements:
            return None
        _check_gap(source, start, gap_end, key, warn)
        if opening < 0:
            return elements
        close = closing_quote(text, opening + 1, end)
        elements.append(text[opening + 1 : close])
        _check_element(elements[-1], opening, key, warn)
        start = close + 1


def _check_gap(source: Source, start: int, end: int, key: str, warn: Warn) -> None:
    """Between elements only commas, blanks and a comment up to the line's end mean nothing."""
    text = source.text
    start = _past_separators(text, start, end)
    while text.startswith("#", start, end) and text.find("\n", start, end) >= 0:
        start = _past_separators(text, text.find("\n", start, end), end)
    if start < end:
        rest = text[start:end].rstrip(BLANK + ",")
        warn(start, f"{shown(rest)} in the list `{key}` stands outside quotes and is ignored")


def _past_separators(text: str, start: int, end: int) -> int:
    match = _SEPARATORS.match(text, start, end)
    return match.end() if match else start


def _check_element(element: str, opening: int, key: str, warn: Warn) -> None:
    if element.endswith("'") or '\\"' in element:
        warn(
            opening,
            f"JAliEn cuts the list `{key}` otherwise: an element holds `\\\"` or ends with `'`",
        )


def _unquoted_contents(source: Source, start: int, end: int, key: str, warn: Warn) -> Value:
    contents = source.text[start:end]
    if not contents.strip(BLANK):
        return []
    warn(start, f"the contents of the list `{key}` are not quoted and count as one element")
    return [contents]


def _read_number(text: str) -> Value | None:
    """As Java reads it: digits are an Integer or a Long, longer ones and the rest a Double."""
    if text.isdigit():
        digits = text.lstrip("0") or "0"
        if len(digits) <= 19 and int(digits) <= LONG_MAX:
            return int(digits)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _check_expression(source: Source, start: int, text: str, key: str, warn: Warn) -> None:
    match = _ANOTHER_TAG.search(_INSIDE_QUOTES.sub(lambda m: " " * len(m.group()), text))
    if match:
        tag = match.group().rstrip("=").rstrip(BLANK)
        warn(
            start + match.start(),
            f"`{key}` takes in what looks like the tag `{tag}`, is a `;` missing before it",
        )
    elif "#" in text:
        warn(start + text.index("#"), f"`#` does not start a comment inside the value of `{key}`")
