"""Health over time: how a GPU gets into a bad state, and how it gets out again.

Bad news counts at once. Good news must last: a reason of kind `steady` goes after `GOOD_IN_A_ROW`
readings without it; one of kind `test` stays until a re-admit test has passed as well, one of kind
`reboot` until the machine was booted anew. So a GPU that flickers is not given out between two
failures. `since_at` of a reason is when it was first seen.

Example:
    history = History()
    judged = history.judge(answer)                     # the answer with reasons that linger
    history.readmit("0000:63:00.0", test=my_test)      # True: passed, its reasons of kind `test` go
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpuctl import _core
from gpuctl.discovery.health import RULES, worst

__all__ = ["GOOD_IN_A_ROW", "History"]

GOOD_IN_A_ROW = 3
_KIND_OF = {rule.code: rule.clears for rule in RULES}
_STATE_OF = {rule.code: rule.state for rule in RULES}
_USABLE = {rule.code: rule.usable for rule in RULES}


@dataclass
class Lingering:
    """A reason that was seen, and how many readings in a row did not have it."""

    code: str
    detail: str
    since_at: str
    boot_id: str | None
    good: int = 0
    passed: bool = False  # the re-admit test


class History:
    """Of one node. `clock` gives microseconds since the epoch."""

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock or (lambda: time.time_ns() // 1000)
        self._gpus: dict[str, dict[str, Lingering]] = {}
        self._boot_id = _core.boot_id()

    def judge(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer with `since_at`, and with reasons that are not over yet."""
        gpus = [self._judge_gpu(gpu) for gpu in answer["gpus"]]
        return {**answer, "gpus": gpus}

    def _judge_gpu(self, gpu: dict[str, Any]) -> dict[str, Any]:
        known = self._gpus.setdefault(gpu["id"], {})
        now = {row["code"]: row for row in gpu["health"]["reasons"]}
        for code, row in now.items():
            if code not in known:
                stamp = _core.rfc3339(self._clock())
                known[code] = Lingering(code, row["detail"], stamp, self._boot_id)
            known[code].good, known[code].passed = 0, False
            known[code].detail = row["detail"]
        for code in [each for each in known if each not in now]:
            known[code].good += 1
            if self._is_over(known[code]):
                del known[code]
        return self._with_reasons(gpu, known)

    def _is_over(self, reason: Lingering) -> bool:
        kind = _KIND_OF.get(reason.code, "steady")
        if kind == "reboot":
            return reason.boot_id != self._boot_id
        return reason.good >= GOOD_IN_A_ROW and (kind == "steady" or reason.passed)

    def _with_reasons(self, gpu: dict[str, Any], known: dict[str, Lingering]) -> dict[str, Any]:
        lingering = [each for each in known.values() if each.good > 0]
        rows = [
            {"code": each.code, "detail": each.detail, "since_at": each.since_at}
            for each in known.values()
        ]
        states = [gpu["health"]["state"], *(_STATE_OF.get(e.code, "ok") for e in lingering)]
        usable = gpu["usable"] and all(_USABLE.get(each.code, True) for each in lingering)
        return {**gpu, "health": {"state": worst(states), "reasons": rows}, "usable": usable}

    def readmit(self, gpu_id: str, test: Callable[[], bool]) -> bool:
        """Runs `test` (that the GPU computes, say); True: reasons of kind `test` may go.

        A reason that is still seen stays, whatever the test says.
        """
        if not test():
            return False
        for reason in list(self._gpus.get(gpu_id, {}).values()):
            reason.passed = reason.good > 0
            if reason.good > 0 and _KIND_OF.get(reason.code) == "test":
                reason.good = max(reason.good, GOOD_IN_A_ROW)
                del self._gpus[gpu_id][reason.code]
        return True

    def save(self, path: Path) -> None:
        rows = {gpu: [asdict(each) for each in known.values()] for gpu, known in self._gpus.items()}
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(json.dumps(rows), encoding="utf-8")
        temporary.replace(path)

    def load(self, path: Path) -> None:
        """What cannot be read is forgotten: a reason that still holds is seen again."""
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            found = {g: {r["code"]: Lingering(**r) for r in known} for g, known in rows.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return
        self._gpus = found
