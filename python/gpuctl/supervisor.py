"""Start `gpuctl run` and wait for it: the one way in which Python runs a payload.

The supervisor gets a session of its own, so that neither a dying interpreter nor a Ctrl-C at its
terminal reaches it, and writes a copy of its report into a private folder below TMPDIR; a
`--report FILE` among the arguments is for whoever wants it also when this process is gone. Whoever
leaves the `with` block early asks it to end (INT after a KeyboardInterrupt, else TERM) and waits
until it did: the escalation to KILL is the supervisor's own, and bounded.

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
from collections.abc import Mapping, Sequence
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
    """One running `gpuctl run`. Signals may be sent from another thread or a signal handler."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        if subprocess.PIPE in (stdin, stdout, stderr):
            raise UsageError("`PIPE` would block: give a file, or capture the output")
        binary = find_binary()
        self._folder = _private_folder()
        try:
            self._process = subprocess.Popen(
                [binary, "run", "--report-copy", str(self._report_path), *arguments],
                env=env,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        except BaseException as error:
            self._remove_folder()
            if isinstance(error, (OSError, ValueError)):
                raise _start_error(error, binary) from None
            raise
        self._pidfd = _pidfd_of(self._process)

    def __enter__(self) -> Supervisor:
        return self

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
