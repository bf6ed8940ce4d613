"""A `Jdl` to text, as JAliEn prints: ` Key = value;`, lists one element a line.

What is printed parses to the same document. A document that was read always prints; one that a
program filled may hold what JDL cannot say (an unescaped quote before a `;`, a line that begins
with `#`, a NUL), and then printing is refused, never done wrongly.
"""

from __future__ import annotations

from gpuctl.errors import MalformedError
from gpuctl.jdl.document import Expression, Jdl, Value, number_or_text
from gpuctl.jdl.parser import loads

__all__ = ["dumps"]

_EMPTY = "# no tags\n"  # an empty text is no JDL


def dumps(doc: Jdl) -> str:
    """Print `doc`. Raises MalformedError naming the first tag whose value JDL cannot hold."""
    statements = [f" {key} = {_printed(value)};\n" for key, value in doc.items()]
    text = "\n".join(statements) or _EMPTY
    _check(doc, text, statements)
    return text


def _printed(value: Value) -> str:
    if isinstance(value, list):
        return _printed_list(value)
    if isinstance(value, Expression):
        return value + " " if _escapes_what_follows(value) else value
    if isinstance(value, str):
        return f'"{value}"'
    return number_or_text(value)


def _printed_list(elements: list[str]) -> str:
    if len(elements) == 1 and _escapes_what_follows(elements[0]):
        return "{" + elements[0] + "}"  # it was read without quotes, and a quote would be escaped
    lines = ",".join(f'\n  "{element}"' for element in elements)
    return "{" + lines + "\n }"


def _escapes_what_follows(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _check(doc: Jdl, text: str, statements: list[str]) -> None:
    """Read back what was printed; on a difference find the tag, one statement at a time."""
    if _reads_as(text, doc):
        return
    for statement, (key, value) in zip(statements, doc.items()):
        if not _reads_as(statement, Jdl({key: value})):
            raise MalformedError(
                f"the value of `{key}` cannot be written as JDL, escape its quotes with `\\`"
            )
    raise MalformedError("the document cannot be written as JDL")


def _reads_as(text: str, doc: Jdl) -> bool:
    try:
        return loads(text) == doc
    except ValueError:
        return False
