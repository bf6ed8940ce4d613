"""Where the report of a job goes: `--report FILE`, stdout (`--json`), or as text to stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from gpuctl.errors import IoError
from gpuctl.job.events import utf8
from gpuctl.job.options import JobOptions
from gpuctl.job.report_file import write_report
from gpuctl.job.trace import Trace, to_stderr
from gpuctl.report import Report

__all__ = ["deliver"]


def deliver(report: Report, options: JobOptions, trace: Trace) -> int:
    """The exit code of the job. Raises IoError when stdout does not take the answer."""
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n"
    if options.report is not None:
        try:
            write_report(options.report, text)
        except OSError as error:
            trace.error(f"the report was not written: `{options.report}`: {error.strerror}")
    if options.json:
        _print(text)
    elif not options.quiet:
        to_stderr(report.render())
    return report.exit_code


def _print(text: str) -> None:
    if sys.stdout is None:  # the caller closed it
        raise IoError("the report could not be printed: stdout is closed")
    try:
        sys.stdout.buffer.write(utf8(text))
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        _forget_stdout()
        raise IoError(f"the report could not be printed on stdout: {error}") from None


def _forget_stdout() -> None:
    """What it did not take stays in its buffer: Python would try again at exit, and answer 120."""
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
