"""JSON, XML and simple YAML from outside: bounded, without entities, and not all or nothing.

A document may be cut off or have garbage in the middle; what can still be told is told, and the
caller hears what is wrong. Sizes and depths are bounded, so no document takes the memory or the
stack; no entity is ever expanded and nothing is fetched.

Example:
    found = load_json(text, lambda node: "PCI Bus" in node)
    found.value          # the document, or None
    found.pieces         # objects that could be saved from a broken one
    found.trouble        # what was wrong, or None
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MAX_CHARACTERS", "Json", "decode", "load_json", "load_xml", "xml_elements"]

MAX_CHARACTERS = 32 << 20
_MAX_DEPTH = 200
_MAX_FAILURES = 500
_MAX_PIECES = 4096


def decode(data: bytes) -> str:
    """Tools print UTF-8, or UTF-16 on Windows; what is neither is replaced, never refused."""
    data = data[:MAX_CHARACTERS]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace").replace("\r\n", "\n")


@dataclass
class Json:
    """`value` of a whole document; `pieces` of a broken one, or of what follows the document.

    Each piece comes with the member name that it stood under.
    """

    value: Any = None
    pieces: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    trouble: str | None = None


def load_json(text: str, is_piece: Callable[[dict[str, Any]], bool]) -> Json:
    """Words before the first bracket (warnings) are skipped. `is_piece` knows a device."""
    if len(text) > MAX_CHARACTERS:
        return Json(trouble=f"more than {MAX_CHARACTERS} characters")
    decoder = json.JSONDecoder()
    start = _START.search(text)
    if start is None:
        return Json(trouble="no JSON document in it")
    try:
        value, end = decoder.raw_decode(text, start.start(1))
    except RecursionError:
        return Json(trouble="nested too deeply")
    except ValueError as error:
        pieces = list(_pieces(text, decoder, is_piece))
        return Json(pieces=pieces, trouble=f"broken JSON: {error}")
    return _with_rest(value, text[end:], is_piece, decoder)


# The document opens a line, and does not look like the `[INFO]` or `[12:00]` of a log.
_START = re.compile(r"(?:^|\n)[ \t]*(\{(?=\s*[\"}])|\[(?=\s*[{\[\]\"]))")


def _with_rest(
    value: Any, rest: str, is_piece: Callable[[dict[str, Any]], bool], decoder: json.JSONDecoder
) -> Json:
    """What follows the document may be another one, or show that it ended too early."""
    if not re.search(r"[{\"]", rest):
        return Json(value)
    more = list(_pieces(rest, decoder, is_piece))
    return Json(value, more, "there is more after the end of the document")


_MEMBER = re.compile(r'(?:"((?:[^"\\]|\\.){1,80})"\s*:\s*)?(\{)')


def _pieces(
    text: str, decoder: json.JSONDecoder, is_piece: Callable[[dict[str, Any]], bool]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whole objects inside a broken document; an object that contains the break is entered."""
    at = failures = found = 0
    while failures < _MAX_FAILURES and found < _MAX_PIECES:
        member = _MEMBER.search(text, at)
        if member is None:
            return
        try:
            value, end = decoder.raw_decode(text, member.start(2))
        except (ValueError, RecursionError):
            failures += 1
            at = member.end()
            continue
        if is_piece(value):
            found += 1
            yield member.group(1) or "", value
            at = end
        else:
            at = member.end() if _holds_objects(value) else end


def _holds_objects(value: dict[str, Any]) -> bool:
    return any(isinstance(each, (dict, list)) for each in value.values())


_DOCTYPE = re.compile(r"<!DOCTYPE\s[^<>\[]*>")


def load_xml(text: str) -> ElementTree.Element | str:
    """The root, or what is wrong. A document with declarations of its own is refused."""
    if len(text) > MAX_CHARACTERS:
        return f"more than {MAX_CHARACTERS} characters"
    begin = text.find("<")
    plain = _DOCTYPE.sub("", text[max(begin, 0) :], count=1)
    if "<!DOCTYPE" in plain or "<!ENTITY" in plain:
        return "it declares entities, which no tool does"
    parser = ElementTree.XMLPullParser(("start", "end"))
    try:
        parser.feed(plain)
        root = _bounded(parser)
        parser.close()
    except ElementTree.ParseError as error:
        return f"broken XML: {error}"
    return root if root is not None else "no XML document in it"


def _bounded(parser: ElementTree.XMLPullParser) -> ElementTree.Element | None:
    depth = 0
    root: ElementTree.Element | None = None
    for event, node in parser.read_events():  # type: ignore[misc]
        depth += 1 if event == "start" else -1
        if root is None and isinstance(node, ElementTree.Element):
            root = node
        if depth > _MAX_DEPTH:
            raise ElementTree.ParseError("nested too deeply")
    return root


def xml_elements(text: str, tag: str) -> Iterator[tuple[str, ElementTree.Element | None]]:
    """Each `<tag …>` of a broken document: its opening tag, and the element where it is whole."""
    for opening in re.finditer(rf"<{tag}(?:\s[^<>]{{0,400}})?>", text):
        begin, end = opening.start(), text.find(f"</{tag}>", opening.end())
        following = text.find(f"<{tag} ", opening.end())
        whole = end >= 0 and (following < 0 or end < following)
        node = load_xml(text[begin : end + len(tag) + 3]) if whole else "cut off"
        yield opening.group(), None if isinstance(node, str) else node
