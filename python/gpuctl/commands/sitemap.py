"""`gpuctl sitemap`: what a broker is told about this node.

Exit codes: 0, or 4 where something could not be read (see `problems`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gpuctl.commands.shared import complain, flags_alone, guarded, switched_on
from gpuctl.report_text import escaped
from gpuctl.settings import Settings

__all__ = ["main"]

VERB = "sitemap"
DONE, PARTIAL = 0, 4
_SHOWN = 100


def main(arguments: Sequence[str] | None = None) -> int:
    return guarded(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    given = flags_alone(VERB, arguments)
    if given is None:
        return DONE
    answer = _answer(given)
    if switched_on(given, "json"):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False, allow_nan=False) + "\n")
    else:
        sys.stdout.write(_text(answer))
        if not switched_on(given, "quiet"):
            for problem in answer["problems"]:
                complain(problem)
    return PARTIAL if answer["problems"] else DONE


def _answer(given: argparse.Namespace) -> dict[str, Any]:
    from gpuctl.sitemap import sitemap

    url = Settings.load({"collector": given.collector}).text("collector")
    if not url:
        return sitemap(root=given.root, state_dir=given.state_dir)
    from gpuctl.sonar.client import Collector

    collector = Collector(url)
    constraints = collector.constraints()
    answer = sitemap(root=given.root, state_dir=given.state_dir, constraints=constraints)
    answer["problems"] += collector.problems
    return answer


def _text(answer: Mapping[str, Any]) -> str:
    rows = [(key, _value(value)) for key, value in answer.items() if key not in ("problems",)]
    width = max(len(key) for key, _ in rows)
    return "".join(f"{key:<{width}}  {text}\n" for key, text in rows)


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _cut(", ".join(str(each.get("model") or each.get("id") or "") for each in value))
    if isinstance(value, (list, tuple)):
        return _cut(", ".join(map(str, value)))
    return _cut(value if isinstance(value, str) else json.dumps(value))


def _cut(text: str) -> str:
    plain = escaped(text)
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "..."


if __name__ == "__main__":
    sys.exit(main())
