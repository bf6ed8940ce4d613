"""What is sent to `gpuctl job` is meant for the job: it goes to the supervisor, which ends it.

Signals that the caller ignores (nohup, background jobs of a shell) stay ignored. One that comes
before there is a supervisor is remembered.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from gpuctl.job.refusal import RefusedError
from gpuctl.supervisor import Supervisor

__all__ = ["Signals"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
MESSAGES = (signal.SIGUSR1, signal.SIGUSR2)


class Signals:
    """Use as a context; the handlers that were there come back."""

    def __init__(self) -> None:
        self.ending: list[int] = []  # what asked for the job's end
        self._target: Supervisor | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        for number in (*ENDING, *MESSAGES):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def check(self) -> None:
        """Raise RefusedError when the end was asked for and nothing was started yet."""
        if self.ending:
            name = signal.Signals(self.ending[0]).name
            raise RefusedError("KILLED", f"{name} came before the payload was started")

    def forward_to(self, supervisor: Supervisor) -> None:
        self._target = supervisor
        for number in self.ending:
            supervisor.send(number)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if number in ENDING:
            self.ending.append(number)
        if self._target is not None:
            self._target.send(number)
