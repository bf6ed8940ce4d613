"""`gpuctl match FILE.jdl [--node FILE.json …]`: does this job fit, and why not.

Exit codes: 0 it fits (one of) the nodes, 1 it fits none, 2 the JDL or a SiteMap means nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpuctl import _core
from gpuctl.commands.shared import complain, explain, guarded, parser_of, switched_on
from gpuctl.errors import UsageError
from gpuctl.report_text import escaped

if TYPE_CHECKING:
    from gpuctl.match.node import Node

__all__ = ["main"]

VERB = "match"
YES, NO = 0, 1


def main(arguments: Sequence[str] | None = None) -> int:
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = parser_of(VERB, "jdl").parse_args(arguments)
    if given.help:
        return explain(VERB)
    if given.version:
        print(f"gpuctl {_core.version}")
        return YES
    if len(given.jdl) != 1 or not given.jdl[0]:
        what = "no JDL file" if not given.jdl else f"{len(given.jdl)} operands"
        raise UsageError(f"{what}, give one FILE.jdl; see `gpuctl {VERB} --help`")
    return _match(given)


def _match(given: argparse.Namespace) -> int:
    from gpuctl.jdl import JobRequest, load
    from gpuctl.match.answer import answer_json, answer_text
    from gpuctl.match.evaluate import Matcher, best_of
    from gpuctl.match.requirements import Requirements

    doc = load(given.jdl[0])
    request = JobRequest.from_jdl(doc)
    job = Requirements.from_jdl(doc, request)
    matcher = Matcher(job, given.constraint or ())
    matches = [matcher.match(node) for node in _nodes(given)]
    if switched_on(given, "json"):
        answer = answer_json(given.jdl[0], job, matches, request.warnings)
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        if not switched_on(given, "quiet"):
            for warning in request.warnings:
                complain(f"{given.jdl[0]}:{warning}")
        text = answer_text(matches, switched_on(given, "verbose"))
        sys.stdout.write("".join(f"{escaped(line)}\n" for line in text.splitlines()))
    return YES if best_of(matches) is not None else NO


def _nodes(given: argparse.Namespace) -> list[Node]:
    """Those of the files, else this machine."""
    from gpuctl.match.files import load_nodes
    from gpuctl.match.node import Node
    from gpuctl.sitemap import sitemap

    if given.node:
        return [node for path in given.node for node in load_nodes(path)]
    return [
        Node.from_json(sitemap(root=given.root, state_dir=given.state_dir, try_containers=False))
    ]


if __name__ == "__main__":
    sys.exit(main())
