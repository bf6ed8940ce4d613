"""The text is no expression: where, what was found, what was expected."""

from __future__ import annotations

from gpuctl.errors import EXIT_USAGE, MalformedError

__all__ = ["ExpressionError"]


class ExpressionError(MalformedError):
    """`column` counts from 1 in the text of the expression; 0 where there is no one place."""

    default_exit_code = EXIT_USAGE

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.column = column
