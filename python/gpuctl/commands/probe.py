"""`gpuctl probe`: the inventory with what vendor tools know; recorded outputs; telemetry.

Exit codes: 0 there is a GPU, 1 there is none, 4 something could not be read or contradicts itself
(see `problems`), 3 nobody could tell anything.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from gpuctl.commands.shared import complain, flags_alone, guarded, switched_on
from gpuctl.errors import UsageError
from gpuctl.settings import Settings

__all__ = ["main"]

VERB = "probe"
FOUND, NONE, UNKNOWN, PARTIAL = 0, 1, 3, 4


def main(arguments: Sequence[str] | None = None) -> int:
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = flags_alone(VERB, arguments, "a recorded output is `--from KIND=FILE`")
    if given is None:
        return FOUND
    flags = {"root": given.root, "state-dir": given.state_dir, "pci-ids": given.pci_ids}
    settings = Settings.load(flags)
    if given.watch is not None or given.count is not None:
        return _watch(given, settings)
    answer = _answer(given, settings)
    _print(answer, given)
    return exit_code(answer)


def _answer(given: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    from gpuctl.discovery.hung import probe_and_tell
    from gpuctl.discovery.prober import DEFAULT_DEADLINE, Prober, replay_with

    if given.__dict__["from"]:
        if given.source or given.container or given.deadline:
            raise UsageError("`--from` reads recordings: it asks no tool, so leave out its options")
        return replay_with(settings, given.__dict__["from"])
    deadline = given.deadline or DEFAULT_DEADLINE
    return probe_and_tell(Prober(deadline, given.source, given.container, settings))


def _watch(given: argparse.Namespace, settings: Settings) -> int:
    from gpuctl.discovery.watching import watch_text

    if given.__dict__["from"]:
        raise UsageError("a recording does not change; leave out `--watch`")
    if given.watch is None:
        raise UsageError("`--count` goes with `--watch`")
    return watch_text(
        settings,
        every=given.watch,
        count=given.count,
        deadline=given.deadline,
        sources=given.source,
        as_json=switched_on(given, "json"),
    )


def _print(answer: dict[str, Any], given: argparse.Namespace) -> None:
    if switched_on(given, "json"):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
        return
    from gpuctl.discovery.text import table

    sys.stdout.write(table(answer, verbose=switched_on(given, "verbose")))
    if not switched_on(given, "quiet"):
        for each in answer["problems"]:
            where = f"{each['pci_address']}: " if each["pci_address"] else ""
            complain(f"{where}{each['code']}: {each['detail']}")


def exit_code(answer: dict[str, Any]) -> int:
    told = any(row["state"] not in ("missing", "stuck", "failed") for row in answer["sources"])
    if not told and not answer["gpus"] and all(r["state"] != "missing" for r in answer["sources"]):
        return UNKNOWN
    if answer["problems"]:
        return PARTIAL
    return FOUND if answer["gpus"] else NONE


if __name__ == "__main__":
    sys.exit(main())
