"""One question to a vendor tool, in a child that cannot hold gpuctl up.

The child has a session of its own, no input, and a deadline. At the deadline it is killed with all
that descends from it and all that carries its mark in the environment. A child that ended while
something of it holds its output open is not waited for. What cannot be reaped after KILL (a process
in uninterruptible sleep, state D) is left alone and named, so that its source is not asked again.

Example:
    output = ask(["nvidia-smi", "-q", "-x"], deadline=30.0)
    output.hung, output.exit_status, output.stdout
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from gpuctl import _core
from gpuctl.errors import GpuctlError

__all__ = ["MARK", "Output", "ask", "rows_with_marks"]

MARK = "GPUCTL_PROBE_MARK"  # environment variable by which strays are found
_MAX_BYTES = 64 << 20
_AFTER_END = 0.3  # seconds for what is still in the pipe when the child has ended
_REAP = 2.0  # seconds that a killed child may take to be gone
_CHUNK = 1 << 16
_ROUNDS = 5  # of looking for strays: each may have forked meanwhile


@dataclass(frozen=True)
class Output:
    """What a child printed. `exit_status` is negative for a signal, None where it is not known."""

    stdout: bytes
    stderr: bytes
    exit_status: int | None
    hung: bool
    cut: bool  # it printed more than can be kept
    usec: int
    stuck_pid: int | None = None  # killed, and still there


def ask(argv: Sequence[str], deadline: float, env: Mapping[str, str] | None = None) -> Output:
    """Raises OSError where the program cannot be started."""
    mark = uuid.uuid4().hex
    started = time.monotonic()
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**(os.environ if env is None else env), "LC_ALL": "C", MARK: mark},
        start_new_session=True,
        cwd="/",
    )
    reader = _Reader(child)
    try:
        ended = reader.read_until(started + deadline)
    finally:
        stuck = _end(child, mark, strays=not reader.closed)
        reader.close()
    return Output(
        reader.text(child.stdout),
        reader.text(child.stderr),
        child.returncode,
        hung=not ended,
        cut=reader.cut,
        usec=int((time.monotonic() - started) * 1e6),
        stuck_pid=stuck,
    )


class _Reader:
    """Both streams at once, bounded, and the child's end."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.parts: dict[object, list[bytes]] = {child.stdout: [], child.stderr: []}
        self.left = _MAX_BYTES
        self.cut = False
        self.selector = selectors.DefaultSelector()
        self.pidfd = os.pidfd_open(child.pid)
        for stream in (child.stdout, child.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self.selector.register(stream, selectors.EVENT_READ)
        self.selector.register(self.pidfd, selectors.EVENT_READ)
        self.open_streams = 2

    @property
    def closed(self) -> bool:
        """Nobody holds the output open any more."""
        return self.open_streams == 0

    def read_until(self, deadline: float) -> bool:
        """Whether the child ended in time."""
        ended = False
        while True:
            wait = deadline - time.monotonic()
            if wait <= 0 or (ended and self.closed):
                return ended
            for key, _ in self.selector.select(min(wait, 1.0)):
                if key.fileobj == self.pidfd:
                    ended = True
                    self.selector.unregister(self.pidfd)
                    deadline = min(deadline, time.monotonic() + _AFTER_END)
                else:
                    self._take(key)

    def _take(self, key: selectors.SelectorKey) -> None:
        try:
            data = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.selector.unregister(key.fileobj)
            self.open_streams -= 1
        elif self.left > 0:
            self.parts[key.fileobj].append(data[: self.left])
            self.left -= len(data)
        else:
            self.cut = True  # read on, so that the child does not block

    def text(self, stream: object) -> bytes:
        return b"".join(self.parts[stream])

    def close(self) -> None:
        self.selector.close()
        os.close(self.pidfd)
        for stream in (self.child.stdout, self.child.stderr):
            if stream is not None:
                stream.close()


def _end(child: subprocess.Popen[bytes], mark: str, strays: bool) -> int | None:
    """Kill what is left, reap the child; its pid where that cannot be done."""
    if child.poll() is None:
        kin = _kin(child.pid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # not reaped: the number is still its own
        for pid, start in kin:
            _kill(pid, start)
        strays = True
    for _ in range(_ROUNDS if strays else 0):
        found = _marked(mark)
        for pid, start in found:
            _kill(pid, start)
        if not found:
            break
    try:
        child.wait(_REAP)
    except subprocess.TimeoutExpired:
        return child.pid
    return None


def _kin(pid: int) -> list[tuple[int, int]]:
    """Descendants in whatever session, with their start time."""
    try:
        tree = json.loads(_core.tree_json("/", pid, None) or "{}")
    except GpuctlError:
        return []
    return [(each["pid"], each["start_ticks"]) for each in tree.get("processes", [])]


def _marked(mark: str) -> list[tuple[int, int]]:
    """Those that left the tree too: the mark is in their environment. Zombies are left out."""
    try:
        table = _core.take_snapshot("/", False, False, False, MARK, os.getuid())
    except GpuctlError:
        return []
    if mark not in table.markers:
        return []
    wanted = table.markers.index(mark)
    rows = [row for row in _rows(table) if row["marker"] == wanted and row["state"] != ord("Z")]
    return [(row["pid"], row["start_ticks"]) for row in rows]


def rows_with_marks(table: _core.Snapshot) -> Iterator[tuple[int, str]]:
    """pid and the value of the variable that was asked for, where it has one."""
    marks = table.markers
    for row in _rows(table):
        if 0 <= row["marker"] < len(marks):
            yield row["pid"], marks[row["marker"]]


def _rows(table: _core.Snapshot) -> Iterator[dict[str, int]]:
    wanted = ("pid", "start_ticks", "marker", "state")
    columns = [
        (name, kind.lstrip("<=|"), offset)
        for name, kind, offset in _core.snapshot_columns()
        if name in wanted
    ]
    view = memoryview(table).cast("B")
    for at in range(0, len(table) * _core.snapshot_row_bytes, _core.snapshot_row_bytes):
        yield {name: _number(view, at + offset, kind) for name, kind, offset in columns}


def _number(view: memoryview, at: int, kind: str) -> int:
    """numpy's `i4`, `u8`, `S1` in the byte order of this machine."""
    return int.from_bytes(view[at : at + int(kind[1:])], sys.byteorder, signed=kind[0] == "i")


def _kill(pid: int, start_ticks: int) -> None:
    """Through a pidfd, and only while the pid is still that process."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if (pid, start_ticks) in _kin(pid):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except (OSError, GpuctlError):
        pass
    finally:
        os.close(pidfd)
