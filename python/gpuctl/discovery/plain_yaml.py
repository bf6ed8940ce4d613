"""The part of YAML that CDI specs are written in: block mappings and lists of plain scalars.

Not YAML at large: no anchors, tags, flow collections or block scalars; such a line is kept as text.
Scalars stay text. Depth and line count are bounded. A line that fits nowhere is counted in
`odd_lines` and skipped.

Example:
    load_yaml("devices:\\n- name: all\\n").value == {"devices": [{"name": "all"}]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

__all__ = ["Yaml", "load_yaml"]

_MAX_LINES = 200_000
_MAX_DEPTH = 40
_KEY = re.compile(r"(\"[^\"]{1,200}\"|'[^']{1,200}'|[A-Za-z0-9_./-]{1,200}):(?:\s+(.*))?$")


@dataclass
class Yaml:
    value: Any
    odd_lines: int


def load_yaml(text: str) -> Yaml:
    lines = _lines(text)[:_MAX_LINES]
    reader = _Reader(lines)
    value = reader.block(lines[0][0], 0) if lines else None
    return Yaml(value, reader.odd + len(lines) - reader.at)


def _lines(text: str) -> list[tuple[int, str]]:
    found = []
    for line in text.split("\n"):
        words = line.rstrip()
        if words.strip() and not words.lstrip().startswith(("#", "---", "...")):
            found.append((len(words) - len(words.lstrip(" ")), words.strip()))
    return found


class _Reader:
    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self.lines = lines
        self.at = 0
        self.odd = 0

    def block(self, indent: int, depth: int) -> Any:
        """The mapping or list that starts here, as long as lines stand at `indent`."""
        if depth > _MAX_DEPTH:
            self.at = len(self.lines)
            return None
        first = self.lines[self.at][1]
        return self._list(indent, depth) if _is_item(first) else self._mapping(indent, depth)

    def _list(self, indent: int, depth: int) -> list[Any]:
        items: list[Any] = []
        while self._here(indent) and _is_item(self.lines[self.at][1]):
            rest = self.lines[self.at][1][1:]
            inner = indent + 1 + len(rest) - len(rest.lstrip())
            rest = rest.strip()
            if not rest:
                self.at += 1
                items.append(self._deeper(indent, depth))
            elif _KEY.match(rest):
                self.lines[self.at] = (inner, rest)
                items.append(self._mapping(inner, depth + 1))
            else:
                self.at += 1
                items.append(_scalar(rest))
        return items

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        if depth > _MAX_DEPTH:
            self.at = len(self.lines)
        while self._here(indent) and not _is_item(self.lines[self.at][1]):
            found = _KEY.match(self.lines[self.at][1])
            self.at += 1
            if not found:
                self.odd += 1
                continue
            key, rest = str(_scalar(found.group(1))), found.group(2)
            members[key] = _scalar(rest) if rest else self._value(indent, depth)
        return members

    def _value(self, indent: int, depth: int) -> Any:
        """A list may stand at its key's own indentation."""
        if self.at < len(self.lines):
            at, words = self.lines[self.at]
            if at == indent and _is_item(words):
                return self.block(indent, depth + 1)
        return self._deeper(indent, depth)

    def _deeper(self, indent: int, depth: int) -> Any:
        if self.at < len(self.lines) and self.lines[self.at][0] > indent:
            return self.block(self.lines[self.at][0], depth + 1)
        return None

    def _here(self, indent: int) -> bool:
        """Whether the next line is at `indent`; deeper ones that fit nowhere are skipped."""
        while self.at < len(self.lines) and self.lines[self.at][0] > indent:
            self.at += 1
            self.odd += 1
        return self.at < len(self.lines) and self.lines[self.at][0] == indent


def _is_item(words: str) -> bool:
    return words == "-" or words.startswith("- ")


def _scalar(words: str) -> str | None:
    if len(words) >= 2 and words[0] == words[-1] and words[0] in "\"'":
        return words[1:-1]
    return None if words in ("null", "~") else words
