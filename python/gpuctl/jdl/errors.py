"""Errors of the JDL room: where in the text, what was found, what was expected.

`JdlSyntaxError` is raised by `load` and `loads`, `JdlValueError` by `JobRequest.from_jdl`. Both are
`MalformedError` (so also ValueError) and end a command with 2: nothing was done. `str(error)` of a
syntax error:

    job.jdl:3:18: found `y`, expected `;` after the string of `Executable`
      Executable = "x" y;
                       ^
"""

from __future__ import annotations

from gpuctl.errors import EXIT_USAGE, MalformedError

__all__ = ["JdlSyntaxError", "JdlValueError", "excerpt", "shown"]

_EXCERPT_CHARACTERS = 100
_SHOWN_CHARACTERS = 40


class JdlSyntaxError(MalformedError):
    """The text is no JDL. `name` is the file, `line` and `column` count from 1."""

    default_exit_code = EXIT_USAGE

    def __init__(
        self,
        message: str,
        *,
        name: str = "<text>",
        line: int = 1,
        column: int = 1,
        found: str = "",
        expected: str = "",
        source_line: str = "",
    ) -> None:
        super().__init__(message, path=name)
        self.name = name
        self.line = line
        self.column = column
        self.found = found
        self.expected = expected
        self.source_line = source_line


class JdlValueError(MalformedError):
    """A tag that gpuctl reads has a value that means nothing. `line` is None where unknown."""

    default_exit_code = EXIT_USAGE

    def __init__(
        self,
        message: str,
        *,
        key: str = "",
        value: str = "",
        expected: str = "",
        name: str = "<jdl>",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message, path=name)
        self.key = key
        self.value = value
        self.expected = expected
        self.name = name
        self.line = line
        self.column = column


def shown(text: str) -> str:
    """`text` for a one-line message: in backticks, control characters escaped, cut when long."""
    cut = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."
    plain = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut
    )
    return f"`{plain}`"


def excerpt(line: str, column: int) -> str:
    """The line, or the part of it around `column`, and a caret below; tabs stay so both align."""
    start = max(0, column - 1 - _EXCERPT_CHARACTERS // 2) if len(line) > _EXCERPT_CHARACTERS else 0
    part = line[start : start + _EXCERPT_CHARACTERS]
    part = "".join(c if c.isprintable() or c == "\t" else "?" for c in part)
    pad = "".join("\t" if c == "\t" else " " for c in part[: column - 1 - start])
    return f"  {part}\n  {pad}^"
