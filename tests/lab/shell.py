"""A person's shell on a node: the terminal's bytes, both ways."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator

from lab.node import Node
from lab.wire import Remote


def shell(node: Node, user: str) -> int:
    """Until the shell ends; its exit code. What is piped in is run as a script."""
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    size = [shutil.get_terminal_size().lines, shutil.get_terminal_size().columns]
    remote = node.agent.start(
        ["bash", "-i"] if on_terminal else ["bash"],
        user=user,
        pty=size if on_terminal else None,
        env={"TERM": os.environ.get("TERM", "dumb")},
    )
    with raw_terminal(remote) if on_terminal else contextlib.nullcontext():
        relay(node, remote)
    return remote.done().code


@contextlib.contextmanager
def raw_terminal(remote: Remote) -> Iterator[None]:
    """Keys go through as they are (Ctrl-C too); the node learns of a new window size."""

    def resized(*_: object) -> None:
        size = shutil.get_terminal_size()
        remote.agent.send(remote.channel, b"W", json.dumps([size.lines, size.columns]).encode())

    before = termios.tcgetattr(0)
    previous = signal.signal(signal.SIGWINCH, resized)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, previous)


def relay(node: Node, remote: Remote) -> None:
    sources = [node.agent.connection, sys.stdin]
    while remote.status is None:
        ready, _, _ = select.select(sources, [], [], 1)
        if sys.stdin in ready:
            data = os.read(0, 1 << 16)
            if data:
                remote.write(data)
            else:
                remote.close_input()
                sources.remove(sys.stdin)
        node.agent.read_what_is_there()
        for descriptor, text in ((1, remote.out), (2, remote.err)):
            while text:
                del text[: os.write(descriptor, text)]
