"""Process 1 of an arena: starts, signals, lists and reaps processes on request.

It runs inside the arena's own pid namespace, with a /proc of its own, so what it lists is all
that is alive in there. Requests and answers are JSON, one object a line, on stdin and stdout; see
arena.py.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

statuses: dict[int, int] = {}


def reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        statuses[pid] = status


def spawn(request: dict[str, Any]) -> dict[str, Any]:
    """Starts `argv` in a session of its own; stdin, stdout and stderr are files or `null`."""
    pid = os.fork()
    if pid:
        return {"pid": pid}
    try:
        os.setsid()
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            path = request.get(name) or "/dev/null"
            flags = os.O_RDWR if number == 0 else os.O_RDWR | os.O_CREAT | os.O_APPEND
            descriptor = os.open(path, flags, 0o666)
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        if request.get("uid") is not None and request["uid"] != os.getuid():
            os.setgroups([])
            os.setgid(request["uid"])
            os.setuid(request["uid"])
        os.chdir(request["cwd"])
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        # Python ignores SIGPIPE, unshare(1) of util-linux 2.36 SIGINT and SIGTERM.
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(request["argv"][0], request["argv"], request["env"])
    except OSError as error:
        os.write(2, f"stage: {error}\n".encode())
    os._exit(99)


def wait(request: dict[str, Any]) -> dict[str, Any]:
    end = time.monotonic() + request["timeout"]
    while True:
        reap()
        if request["pid"] in statuses:
            return {"status": statuses[request["pid"]]}
        left = end - time.monotonic()
        if left <= 0:
            return {"status": None}
        # A SIGCHLD that came since the last reap() ends the wait at once: it was blocked till now.
        signal.sigtimedwait([signal.SIGCHLD], min(left, 0.05))


def send(request: dict[str, Any]) -> dict[str, Any]:
    try:
        os.kill(request["pid"], request["signal"])
    except ProcessLookupError:
        return {"sent": False}
    return {"sent": True}


def describe(pid: int) -> dict[str, Any]:
    folder = Path("/proc") / str(pid)
    text = (folder / "stat").read_bytes().decode("latin-1")
    before, after = text.rsplit(")", 1)
    fields = after.split()
    return {
        "pid": pid,
        "name": before.split("(", 1)[1],
        "state": fields[0],
        "ppid": int(fields[1]),
        "threads": int(fields[17]),
    }


def processes(_: dict[str, Any]) -> dict[str, Any]:
    reap()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and name != "1":
            try:
                found.append(describe(int(name)))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return {"processes": found}


def descriptors(request: dict[str, Any]) -> dict[str, Any]:
    folder = Path("/proc") / str(request["pid"]) / "fd"
    return {"descriptors": {each.name: os.readlink(each) for each in folder.iterdir()}}


def read(request: dict[str, Any]) -> dict[str, Any]:
    path = Path("/proc") / str(request["pid"]) / request["file"]
    return {"text": path.read_bytes().decode("latin-1")}


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "spawn": spawn,
        "wait": wait,
        "send": send,
        "processes": processes,
        "descriptors": descriptors,
        "read": read,
    }
    requests = sys.stdin.buffer
    while True:
        select.select([requests], [], [])
        line = requests.readline()
        if not line:
            return
        request = json.loads(line)
        try:
            answer = verbs[request["do"]](request)
        except (OSError, ValueError) as error:
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
