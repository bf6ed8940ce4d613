"""Long work, with a word on stderr every ten seconds, and its log when it fails."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Between fork and exec: KILL comes when the parent's thread ends (prctl(2))."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class LabError(Exception):
    """The lab itself does not work; the message says what was tried and what to do."""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Clock:
    """Says `TEXT … N s` while something takes longer than two seconds."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.began = time.monotonic()
        self.next = 2.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def tick(self) -> None:
        if self.seconds >= self.next:
            say(f"{self.text} … {self.seconds:.0f} s")
            self.next = 10.0 if self.next < 10 else self.next + 10

    def done(self) -> None:
        if self.seconds >= 2:
            say(f"{self.text}: done in {self.seconds:.0f} s")


def run_step(
    text: str,
    argv: Sequence[object],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a command with its output in `log`; LabError with the log's end when it fails.

    All that it starts and mounts is in namespaces of its own and ends with it, or with us.
    """
    clock = Clock(text)
    contain = ("unshare", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*contain, *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            preexec_fn=die_with_parent,
        )
        try:
            while process.poll() is None:
                clock.tick()
                _wait_a_little(process)
        except BaseException:
            process.kill()
            process.wait()
            raise
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise LabError(f"{text} failed (exit {process.returncode}):\n{tail}")
    clock.done()


def _wait_a_little(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(0.2)
    except subprocess.TimeoutExpired:
        return


def wait_for(text: str, timeout: float, condition: Callable[[], object]) -> None:
    """Until `condition()` holds; LabError after `timeout` seconds."""
    clock = Clock(text)
    while not condition():
        if clock.seconds > timeout:
            raise LabError(f"{text}: not within {timeout:.0f} s")
        clock.tick()
        time.sleep(0.02)
