"""What the command lines of the Python verbs share: the core's flag table, words, exit codes.

Flags that stood before the verb, and were parsed by the binary, arrive as GPUCTL_* variables.

Example:
    given = parser_of("probe").parse_args(arguments)
    sys.exit(guarded(lambda: run(given)))
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gpuctl import _core
from gpuctl.binary import find_binary
from gpuctl.errors import EXIT_FAILED, GpuctlError, UsageError
from gpuctl.job.trace import to_stderr
from gpuctl.report_text import escaped

__all__ = ["complain", "explain", "flags_alone", "guarded", "parser_of", "switched_on"]

EXIT_INTERRUPTED = 130


def guarded(body: Callable[[], int]) -> int:
    """The exit code of `body`, or of the error that ended it, with its words on stderr."""
    try:
        return body()
    except GpuctlError as error:
        complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get("GPUCTL_VERBOSE"):
            raise
        complain(f"internal error: {type(error).__name__}: {error}")
        return EXIT_FAILED


def parser_of(verb: str, operands: str | None = None) -> argparse.ArgumentParser:
    """The flags are the rows of the core's table; `operands` names a list of them."""
    parser = _Parser(prog=f"gpuctl {verb}", add_help=False, allow_abbrev=False)
    if operands is not None:
        parser.add_argument(operands, nargs="*")
    for flag in _core.flags(verb):
        names = [f"--{flag['name']}", *([f"-{flag['letter']}"] if flag["letter"] else [])]
        # a flag's name may be a word of Python: `--from`
        target = f"{flag['name'].replace('-', '_')}"
        if flag["metavar"] is None:
            parser.add_argument(*names, dest=target, action="store_true")
        else:
            action: Any = "append" if flag["repeatable"] else _Once
            parser.add_argument(*names, dest=target, action=action)
    return parser


class _Parser(argparse.ArgumentParser):
    """Errors in gpuctl's own form; argparse would print a usage of its own and exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


class _Once(argparse.Action):
    """A value that is given twice, and differently, is a mistake."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        if before is not None and before != values:
            parser.error(f"`{option_string}` was given twice, as `{before}` and as `{values}`")
        setattr(namespace, self.dest, values)


def switched_on(given: argparse.Namespace, name: str) -> bool:
    """Here, or before the verb."""
    return bool(getattr(given, name)) or os.environ.get(f"GPUCTL_{name.upper()}", "") not in (
        *("", "0", "false"),
    )


def flags_alone(
    verb: str, arguments: Sequence[str] | None, hint: str = ""
) -> argparse.Namespace | None:
    """The flags of a verb that takes no operands; None where the version was all that was asked.

    `hint` is what to write instead of an operand.
    """
    given = parser_of(verb, "operands").parse_args(arguments)
    if given.help:
        explain(verb)
    if given.version:
        print(f"gpuctl {_core.version}")
        return None
    if given.operands:
        words = hint or f"see `gpuctl {verb} --help`"
        raise UsageError(f"`{given.operands[0]}` is no option; {words}")
    return given


def explain(verb: str) -> NoReturn:
    """The binary knows the help of all verbs."""
    binary = find_binary()
    os.execv(binary, [binary, "help", verb])


def complain(words: str) -> None:
    """Line breaks are meant (the excerpt of a JDL); other control characters are not ours."""
    to_stderr("gpuctl: " + "\n".join(escaped(line) for line in words.split("\n")) + "\n")
