"""`gpuctl sonar`: run Site Sonar probes; with `--serve`, be a collector.

Exit codes: 0, 2 nothing was done, 4 where a probe or the collector did not do as it should.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gpuctl import _core
from gpuctl.commands.shared import complain, flags_alone, guarded, switched_on
from gpuctl.durations import flag_text
from gpuctl.errors import UsageError
from gpuctl.report_text import escaped
from gpuctl.settings import Settings

__all__ = ["main"]

VERB = "sonar"
DONE, PARTIAL = 0, 4


def main(arguments: Sequence[str] | None = None) -> int:
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = flags_alone(VERB, arguments)
    if given is None:
        return DONE
    if given.serve is not None:
        return _serve(given)
    answer = _round(given)
    _print(answer, given)
    return PARTIAL if answer["problems"] else DONE


def _round(given: argparse.Namespace) -> dict[str, Any]:
    from gpuctl.sonar.client import Collector
    from gpuctl.sonar.probes import Probes
    from gpuctl.sonar.rounds import offline_round, online_round

    url = Settings.load({"collector": given.collector}).text("collector")
    probes = Probes(given.probes)
    deadline = _deadline_seconds(given.deadline)
    if given.offline:
        if given.collector is not None:
            raise UsageError("`--offline` asks nobody; leave out `--collector`")
        return offline_round(given.probe, probes, deadline)
    if not url:
        raise UsageError("there is no collector: give `--collector URL`, or `--offline`")
    return online_round(Collector(url), url, given.probe, probes, deadline)


def _deadline_seconds(text: str | None) -> float:
    from gpuctl.sonar.rounds import DEFAULT_DEADLINE_SECONDS

    if text is None:
        return DEFAULT_DEADLINE_SECONDS
    flag_text(text, "--deadline")  # a UsageError for what is no duration
    seconds = _core.parse_duration_usec(text, "`--deadline`") / 1e6
    if seconds <= 0:
        raise UsageError("`--deadline` is 0; no probe answers in no time")
    return seconds


def _print(answer: Mapping[str, Any], given: argparse.Namespace) -> None:
    if switched_on(given, "json"):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    for row in answer["probes"]:
        result = row["problem"] or json.dumps(row["message"], ensure_ascii=False)
        sys.stdout.write(f"{row['name']}: {escaped(result)}\n")
    for name, value in (answer["constraints"] or {}).items():
        sys.stdout.write(f"constraint {name} = {escaped(json.dumps(value))}\n")
    if not switched_on(given, "quiet"):
        for problem in answer["problems"]:
            complain(problem)


def _serve(given: argparse.Namespace) -> int:
    from gpuctl.sonar.collector import make_server, parse_address
    from gpuctl.sonar.probes import Probes
    from gpuctl.sonar.store import Store

    host, port = parse_address(given.serve)
    if given.database is None:
        raise UsageError("`--serve` needs `--database FILE`")
    names = given.probe or Probes(given.probes).names()
    server = make_server(host, port, Store(given.database), names)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return DONE
    return DONE


if __name__ == "__main__":
    sys.exit(main())
