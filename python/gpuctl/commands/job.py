"""`gpuctl job FILE.jdl`: the command line of the whole job."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from gpuctl import _core
from gpuctl.commands.shared import explain, guarded, parser_of, switched_on
from gpuctl.errors import UsageError
from gpuctl.job.options import JobOptions
from gpuctl.job.whole import run_job

__all__ = ["main"]

VERB = "job"
_SWITCHES = ("json", "quiet", "verbose", "no_cgroups")
_VALUES = (
    *("job", "resubmission", "workdir", "output", "ttl", "forced_kill_timeout", "outer_grace"),
    *("memory", "fence", "leave_slot", "match", "container", "image", "sanity", "wait"),
    *("ledger_scope", "report", "events", "root", "state_dir"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = parser_of(VERB, "jdl").parse_args(arguments)
    if given.help:
        return explain(VERB)
    if given.version:
        print(f"gpuctl {_core.version}")
        return 0
    return run_job(_options(given))


def _options(given: argparse.Namespace) -> JobOptions:
    if len(given.jdl) != 1 or not given.jdl[0]:
        what = "no JDL file" if not given.jdl else f"{len(given.jdl)} operands"
        raise UsageError(f"{what}, give one FILE.jdl; see `gpuctl {VERB} --help`")
    switches: dict[str, Any] = {name: switched_on(given, name) for name in _SWITCHES}
    values: dict[str, Any] = {n: getattr(given, n) for n in _VALUES}
    values = {name: value for name, value in values.items() if value is not None}
    return JobOptions(jdl=given.jdl[0], **switches, **values)


if __name__ == "__main__":
    sys.exit(main())
