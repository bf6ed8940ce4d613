"""`gpuctl job FILE.jdl`: the command line of the whole job.

The flags are the rows of the core's table, so that they, help, man page and completions are one.
Flags that stood before the verb, and were parsed by the binary, arrive as GPUCTL_* variables.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from gpuctl import _core
from gpuctl.binary import find_binary
from gpuctl.errors import EXIT_FAILED, GpuctlError, UsageError
from gpuctl.job.options import JobOptions
from gpuctl.job.trace import to_stderr
from gpuctl.job.whole import run_job
from gpuctl.report_text import escaped

__all__ = ["main"]

VERB = "job"
EXIT_INTERRUPTED = 130
_SWITCHES = ("json", "quiet", "verbose", "no_cgroups")
_VALUES = (
    *("job", "resubmission", "workdir", "output", "ttl", "forced_kill_timeout", "outer_grace"),
    *("memory", "fence", "leave_slot", "report", "events", "root", "state_dir"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    try:
        given = _parser().parse_args(arguments)
        if given.help:
            return _explain()
        if given.version:
            print(f"gpuctl {_core.version}")
            return 0
        return run_job(_options(given))
    except GpuctlError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:  # before or after the job; while it runs, the supervisor gets it
        return EXIT_INTERRUPTED
    except Exception as error:
        if os.environ.get("GPUCTL_VERBOSE"):
            raise
        _complain(f"internal error: {type(error).__name__}: {error}")
        return EXIT_FAILED


class _Parser(argparse.ArgumentParser):
    """Errors in gpuctl's own form; argparse would print a usage of its own and exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `gpuctl {VERB} --help`")


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


def _parser() -> _Parser:
    parser = _Parser(prog=f"gpuctl {VERB}", add_help=False)
    parser.add_argument("jdl", nargs="*")
    for flag in _core.flags(VERB):
        names = [f"--{flag['name']}", *([f"-{flag['letter']}"] if flag["letter"] else [])]
        if flag["metavar"] is None:
            parser.add_argument(*names, action="store_true")
        else:
            parser.add_argument(*names, action="append" if flag["repeatable"] else _Once)
    return parser


def _options(given: argparse.Namespace) -> JobOptions:
    if len(given.jdl) != 1 or not given.jdl[0]:
        what = "no JDL file" if not given.jdl else f"{len(given.jdl)} operands"
        raise UsageError(f"{what}, give one FILE.jdl; see `gpuctl {VERB} --help`")
    switches: dict[str, Any] = {n: getattr(given, n) or _switched_on(n) for n in _SWITCHES}
    values: dict[str, Any] = {n: getattr(given, n) for n in _VALUES}
    values = {name: value for name, value in values.items() if value is not None}
    return JobOptions(jdl=given.jdl[0], **switches, **values)


def _switched_on(name: str) -> bool:
    return os.environ.get(f"GPUCTL_{name.upper()}", "") not in ("", "0", "false")


def _explain() -> NoReturn:
    """The binary knows the help of all verbs."""
    binary = find_binary()
    os.execv(binary, [binary, "help", VERB])


def _complain(words: str) -> None:
    """Line breaks are meant (the excerpt of a JDL); other control characters are not ours."""
    to_stderr("gpuctl: " + "\n".join(escaped(line) for line in words.split("\n")) + "\n")


if __name__ == "__main__":
    sys.exit(main())
