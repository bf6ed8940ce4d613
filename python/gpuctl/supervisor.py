"""Start `gpuctl run` and wait for it: the one way in which Python runs a payload.

The supervisor gets a session of its own, so that neither a dying interpreter nor a Ctrl-C at its
terminal reaches it, and writes a copy of its report into a private folder below TMPDIR; a
`--report FILE` among the arguments is for whoever wants it also when this process is gone. Whoever
leaves the `with` block early asks it to end (INT after a KeyboardInterrupt, else TERM) and waits
until it did: the escalation to KILL is the supervisor's own, and bounded. A Ctrl-C while it starts
waits until it can be passed on.

Example:
    with Supervisor(["--ttl", "90", "--", "make", "test"]) as supervisor:
        ended = supervisor.wait()
    print(ended.returncode, ended.report)
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Union

from gpuctl.binary import find_binary
from gpuctl.errors import IoError, UsageError

__all__ = ["Ended", "Stream", "Supervisor"]

Stream = Union[int, IO[Any], None]  # as subprocess has it, without PIPE


@dataclass(frozen=True)
class Ended:
    """`returncode` as subprocess has it; `report` is None when none was written."""

    returncode: int
    report: dict[str, Any] | None


class Supervisor:
    """One `gpuctl run`, started by `with`. Signals may be sent from another thread or a handler.

    `hand_over`: descriptors that are passed on like `pass_fds` and closed here then.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
        hand_over: Sequence[int] = (),
    ) -> None:
        self._arguments = arguments
        self._env = env
        self._streams = (stdin, stdout, stderr)
        self._pass_fds = (*pass_fds, *hand_over)
        self._hand_over = hand_over
        self._pidfd: int | None = None
        self._started = False

    def __enter__(self) -> Supervisor:
        try:
            with _interrupts_wait():
                self._start()
        except BaseException as error:  # what a Ctrl-C raises is its handler's choice
            if self._started:
                self.__exit__(type(error), error, None)
            raise
        return self

    def _start(self) -> None:
        try:
            if subprocess.PIPE in self._streams:
                raise UsageError("`PIPE` would block: give a file, or capture the output")
            binary = find_binary()
            self._folder = _private_folder()
            self._process = self._popen(binary)
            self._started = True
        finally:
            for each in self._hand_over:
                os.close(each)
        self._pidfd = _pidfd_of(self._process)

    def _popen(self, binary: str) -> subprocess.Popen[bytes]:
        stdin, stdout, stderr = self._streams
        try:
            return subprocess.Popen(
                [binary, "run", "--report-copy", str(self._report_path), *self._arguments],
                env=self._env,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=self._pass_fds,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._remove_folder()
            raise _start_error(error, binary) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
            self.send(signal.SIGINT if interrupted else signal.SIGTERM)
            self._wait_whatever_comes()
        self._remove_folder()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, number: int) -> None:
        """Nothing happens when it has ended.

        By pidfd: a signal handler may run between the reaping and Popen's taking note of it, and
        the pid may be a stranger's by then.
        """
        if self._pidfd is None:
            self._process.send_signal(number)
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def wait(self) -> Ended:
        return Ended(self._process.wait(), self._read_report())

    def _wait_whatever_comes(self) -> None:
        """An impatient second Ctrl-C is passed on: it makes the supervisor hurry."""
        while True:
            try:
                self._process.wait()
                return
            except KeyboardInterrupt:
                self.send(signal.SIGINT)

    @property
    def _report_path(self) -> Path:
        return self._folder / "report.json"

    def _read_report(self) -> dict[str, Any] | None:
        try:
            report = json.loads(self._report_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # killed before it could write one
            return None
        return report if isinstance(report, dict) else None

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Ctrl-C between the start of a process and the hold on it would leave it to itself."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # there it is raised in another thread, or nowhere
        return
    came = []
    signal.signal(signal.SIGINT, lambda *at: came.append(at))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        before(*came[0])


def _pidfd_of(process: subprocess.Popen[bytes]) -> int | None:
    """None where the kernel has none (before 5.3) or a filter forbids it."""
    try:
        return os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return None


def _private_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="gpuctl-report-"))
    except OSError as error:
        raise IoError(
            f"there is no place for the report: {error.strerror}, set TMPDIR", errno=error.errno
        ) from None


def _start_error(error: Exception, binary: str) -> Exception:
    if isinstance(error, ValueError):  # a NUL in an argument or variable
        return UsageError(f"the command cannot be passed on: {error}")
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number is not None else str(error)
    return IoError(f"`{binary}` cannot be started: {reason}", path=binary, errno=number)
