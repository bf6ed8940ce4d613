"""The caller's side of lab-agent (roots/worker/files/usr/local/sbin/lab-agent tells the frames).

One connection serves many commands at once, each on a channel of its own; one thread reads.

    agent = Agent(connected_socket)
    done = agent.run(["id", "-un"], user="pilot")
    assert done.stdout == "pilot\n"
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HEADER = struct.Struct(">IcI")
CHUNK = 1 << 16


def try_connect(path: Path) -> socket.socket | None:
    """None while there is nobody: a socket has its name before it is listened to."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


class AgentError(Exception):
    """The connection is gone, or no answer came in time."""


@dataclass(frozen=True)
class Done:
    """How a command in the node ended. `code` is 128+N for signal N, as a shell says it."""

    argv: Sequence[str]
    code: int
    out: bytes
    err: bytes

    @property
    def stdout(self) -> str:
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def stderr(self) -> str:
        return self.err.decode("utf-8", "surrogateescape")

    def check(self) -> Done:
        """Itself, or an AssertionError with all that the command said."""
        assert self.code == 0, f"{self.argv}: exit {self.code}\n{self.stdout}{self.stderr}"
        return self


class Remote:
    """A command that was started in the node and may still run."""

    def __init__(self, agent: Agent, channel: int, argv: Sequence[str]) -> None:
        self.agent = agent
        self.channel = channel
        self.argv = argv
        self.out = bytearray()
        self.err = bytearray()
        self.status: int | None = None

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), CHUNK):
            self.agent.send(self.channel, b"I", data[start : start + CHUNK])

    def close_input(self) -> None:
        self.agent.send(self.channel, b"I")

    def signal(self, number: int) -> None:
        self.agent.send(self.channel, b"K", str(int(number)).encode())

    def has_ended(self) -> bool:
        self.agent.read_what_is_there()
        return self.status is not None

    def wait_for(self, text: str, timeout: float = 60) -> None:
        """Until its stdout holds `text`."""
        self.agent.read_until(
            lambda: text.encode() in self.out or self.status is not None, timeout, self.argv
        )
        if text.encode() not in self.out:
            raise AssertionError(f"{self.argv} ended without `{text}`: {self.done()}")

    def finish(self, input: bytes, timeout: float) -> Done:
        """Gives it all of its stdin and waits for its end."""
        self.write(input)
        self.close_input()
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> Done:
        try:
            self.agent.read_until(lambda: self.status is not None, timeout, self.argv)
        except AgentError:
            self.signal(signal.SIGKILL)
            raise AgentError(
                f"{list(self.argv)} did not end within {timeout:.0f} s; it said:\n"
                f"{self.out.decode(errors='replace')}{self.err.decode(errors='replace')}"
            ) from None
        return self.done()

    def done(self) -> Done:
        assert self.status is not None
        code = os.WEXITSTATUS(self.status)
        if os.WIFSIGNALED(self.status):
            code = 128 + os.WTERMSIG(self.status)
        return Done(self.argv, code, bytes(self.out), bytes(self.err))


class Agent:
    """The connection to one node's agent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = bytearray()
        self.remotes: dict[int, Remote] = {}
        self.last_channel = 0
        self.greeting: bytes | None = None

    def send_hello(self) -> None:
        """Asks the agent, which may not have started yet, whether it is there."""
        self.greeting = os.urandom(16)
        self.send(0, b"?", self.greeting)

    def is_greeted(self, wait: float) -> bool:
        """Has it answered? Waits for at most `wait` seconds."""
        if self.greeting is not None and select.select([self.connection], [], [], wait)[0]:
            self._receive()
        return self.greeting is None

    def start(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
        pty: Sequence[int] | None = None,
    ) -> Remote:
        self.last_channel += 1
        remote = self.remotes[self.last_channel] = Remote(self, self.last_channel, argv)
        request = {"argv": list(argv), "user": user, "env": env or {}, "cwd": cwd, "pty": pty}
        self.send(remote.channel, b"S", json.dumps(request).encode())
        return remote

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str = "root",
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
        input: bytes = b"",
        timeout: float = 60,
    ) -> Done:
        return self.start(argv, user=user, env=env, cwd=cwd).finish(input, timeout)

    def close(self) -> None:
        self.connection.close()

    # ---- frames ----

    def send(self, channel: int, kind: bytes, data: bytes = b"") -> None:
        """Reads meanwhile: an agent that waits for us to read would not read either."""
        frame = memoryview(HEADER.pack(channel, kind, len(data)) + data)
        self.connection.setblocking(False)
        while frame:
            try:
                frame = frame[self.connection.send(frame) :]
            except BlockingIOError:
                select.select([self.connection], [self.connection], [], 1)
                self.read_what_is_there()
            except OSError as error:
                raise AgentError(f"the node is gone: {error}") from None

    def read_what_is_there(self) -> None:
        while select.select([self.connection], [], [], 0)[0]:
            self._receive()

    def read_until(self, condition: object, timeout: float, what: Sequence[str]) -> None:
        assert callable(condition)
        end = time.monotonic() + timeout
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AgentError(f"no answer to {list(what)} within {timeout:.0f} s")
            if select.select([self.connection], [], [], min(left, 1))[0]:
                self._receive()

    def _receive(self) -> None:
        try:
            data = self.connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise AgentError(f"the node is gone: {error}") from None
        if not data:
            raise AgentError("the node is gone")
        self.received += data
        while len(self.received) >= HEADER.size:
            channel, kind, length = HEADER.unpack_from(self.received)
            if len(self.received) < HEADER.size + length:
                return
            body = bytes(self.received[HEADER.size : HEADER.size + length])
            del self.received[: HEADER.size + length]
            self._take(channel, kind, body)

    def _take(self, channel: int, kind: bytes, body: bytes) -> None:
        if kind == b"!" and body == self.greeting:
            self.greeting = None
        remote = self.remotes.get(channel)
        if remote is None:
            return
        if kind == b"O":
            remote.out += body
        elif kind == b"E":
            remote.err += body
        elif kind == b"X":
            remote.status = json.loads(body)["status"]
            del self.remotes[channel]
