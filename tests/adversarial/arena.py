"""Arena: a pid and mount namespace of its own in which a payload may try to kill everything.

Process 1 (stage.py) is out of reach of whatever runs in there and tells what is alive. A pilot,
which starts gpuctl as a real one does, and a neighbour of the same user stand there to be hit.
Closing the arena ends all in it.

    with Arena(binary, uid=65534) as arena:
        job = arena.run(["--ttl", "1"], ["sleep", "60"])
        assert job.wait() == 124
        arena.assert_bystanders_live()
        arena.assert_nothing_left()
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
USER = 65534
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def memory_folder() -> str | None:
    """A place whose thousands of files cost no disk accesses, where there is one."""
    shm = Path("/dev/shm")
    return str(shm) if shm.is_dir() and os.access(shm, os.W_OK) else None


def v2_mount() -> Path | None:
    """Where the cgroup v2 hierarchy is mounted."""
    for place in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (place / "cgroup.procs").exists() and (place / "cgroup.controllers").exists():
            return place
    return None


class ArenaError(Exception):
    """The arena itself does not work."""


def outer_command() -> list[str]:
    """How to enter the outer namespaces; as a user, by way of a user namespace that keeps the
    uid."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-current-user"]
    return command


def arena_refusal() -> str | None:
    """Why no arena can be made here, or None."""
    if shutil.which("unshare") is None:
        return "no `unshare` (util-linux)"
    done = subprocess.run([*outer_command(), "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no pid namespace here: {done.stderr.strip()}"


class Job:
    """One `gpuctl run` under a pilot."""

    def __init__(self, arena: Arena, folder: Path, pilot: int) -> None:
        self.arena = arena
        self.folder = folder
        self.pilot = pilot

    @property
    def supervisor(self) -> int:
        return int(self.arena.wait_file(self.folder / "pid"))

    def wait(self, timeout: float = 30) -> int:
        """The exit code that the pilot got from gpuctl."""
        return int(self.arena.wait_file(self.folder / "code", timeout))

    def has_ended(self) -> bool:
        return (self.folder / "code").exists()

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report

    @property
    def stdout(self) -> str:
        return read_if_there(self.folder / "stdout")

    @property
    def stderr(self) -> str:
        return read_if_there(self.folder / "stderr")


class Arena:
    def __init__(self, binary: Path, uid: int, tools: Path) -> None:
        self.uid = uid
        self.tools = tools
        self.folder = Path(tempfile.mkdtemp(prefix="gpuctl-arena-", dir=memory_folder()))
        self.folder.chmod(0o755)
        self.binary = binary
        self.jobs = 0
        self.verbs: dict[int, Path] = {}
        self.known: dict[int, str] = {}
        if os.geteuid() == 0:
            os.chown(self.folder, uid, uid)
        self.stage = subprocess.Popen(
            [*outer_command(), sys.executable, "-I", "-S", str(HERE / "stage.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.neighbour = self.spawn(["sleep", "600"])

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.stage.stdin is not None and self.stage.stdout is not None
        self.stage.stdin.close()
        self.stage.wait(20)
        self.stage.stdout.close()
        subprocess.run(
            ["chattr", "-R", "-f", "-i", str(self.folder)], capture_output=True, check=False
        )
        subprocess.run(["rm", "-rf", str(self.folder)], check=True)

    # ---- requests to the stage ----

    def ask(self, **request: object) -> dict[str, Any]:
        assert self.stage.stdin is not None and self.stage.stdout is not None
        self.stage.stdin.write(json.dumps(request) + "\n")
        self.stage.stdin.flush()
        line = self.stage.stdout.readline()
        if not line:
            raise ArenaError("process 1 of the arena is gone")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ArenaError(answer["error"])
        return answer

    def spawn(
        self,
        argv: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        uid: int | None = None,
        **files: Path,
    ) -> int:
        """Starts a process; `stdin`, `stdout`, `stderr` name files."""
        pid: int = self.ask(
            do="spawn",
            argv=[str(each) for each in argv],
            env={"PATH": PATH, "LANG": "C.UTF-8", **sanitizer_options(), **(env or {})},
            cwd=str(cwd or self.folder),
            uid=self.uid if uid is None else uid,
            **{name: str(path) for name, path in files.items()},
        )["pid"]
        self.known[pid] = str(argv[0])
        return pid

    def wait(self, pid: int, timeout: float = 30) -> int:
        """The exit code of a spawned process; 128+N for a signal."""
        status = self.ask(do="wait", pid=pid, timeout=timeout)["status"]
        if status is None:
            raise ArenaError(f"`{self.known.get(pid)}` did not end within {timeout} s")
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def send(self, pid: int, number: int = signal.SIGKILL) -> bool:
        return bool(self.ask(do="send", pid=pid, signal=int(number))["sent"])

    def processes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask(do="processes")["processes"]
        return found

    def descriptors(self, pid: int) -> dict[str, str]:
        found: dict[str, str] = self.ask(do="descriptors", pid=pid)["descriptors"]
        return found

    def read(self, pid: int, file: str) -> str:
        return str(self.ask(do="read", pid=pid, file=file)["text"])

    # ---- gpuctl ----

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def run(
        self,
        options: Sequence[object],
        command: Sequence[object],
        *,
        env: Mapping[str, str] | None = None,
        wrapper: Sequence[object] = (),
        **files: Path,
    ) -> Job:
        """Starts `gpuctl run OPTIONS -- COMMAND` below a pilot."""
        self.jobs += 1
        folder = self.folder / f"pilot{self.jobs}"
        folder.mkdir()
        os.chown(folder, self.uid if os.geteuid() == 0 else -1, -1)
        argv = [*wrapper, self.binary, "run", "--state-dir", self.state]
        argv += ["--report", folder / "report.json", *options, "--", *command]
        outputs: dict[str, Any] = {"stdout": folder / "stdout", "stderr": folder / "stderr"}
        outputs.update(files)
        pilot = self.spawn([self.tools / "pilot", folder, *argv], env=env, **outputs)
        return Job(self, folder, pilot)

    def gpuctl(
        self,
        *arguments: object,
        uid: int | None = None,
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> tuple[int, str, str]:
        """Runs another gpuctl to its end: exit code, stdout, stderr."""
        pid = self.start_gpuctl(*arguments, uid=uid, env=env)
        return self.outcome(pid, timeout)

    def start_gpuctl(
        self, *arguments: object, uid: int | None = None, env: Mapping[str, str] | None = None
    ) -> int:
        self.jobs += 1
        place = self.folder / f"verb{self.jobs}"
        place.mkdir()
        place.chmod(0o777)
        argv = [self.binary, "--state-dir", self.state, *arguments]
        pid = self.spawn(argv, uid=uid, env=env, stdout=place / "stdout", stderr=place / "stderr")
        self.verbs[pid] = place
        return pid

    def outcome(self, pid: int, timeout: float = 60) -> tuple[int, str, str]:
        code = self.wait(pid, timeout)
        place = self.verbs[pid]
        return code, (place / "stdout").read_text(), (place / "stderr").read_text()

    # ---- waiting and judging ----

    def wait_until(self, condition: Callable[[], object], what: str, timeout: float = 20) -> None:
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {timeout} s; alive: {self.processes()}")
            time.sleep(0.005)

    def wait_file(self, path: Path, timeout: float = 20) -> str:
        self.wait_until(path.exists, f"`{path.name}`", timeout)
        return path.read_text()

    def beats(self) -> int:
        """How often the payload's processes have counted so far."""
        path = self.folder / "beats"
        if not path.exists() or path.stat().st_size < 8:
            return 0
        return int(struct.unpack("Q", path.read_bytes()[:8])[0])

    def wait_for_beats(self, since: int = 0) -> None:
        self.wait_until(lambda: self.beats() > since, "the payload's heart beats")

    def alive(self, pid: int) -> bool:
        """Is the process there, and neither dead nor stopped?"""
        return any(each["pid"] == pid and each["state"] in "RSD" for each in self.processes())

    def assert_bystanders_live(self, *jobs: Job) -> None:
        assert self.alive(self.neighbour), "the neighbour was hit"
        for job in jobs:
            assert self.alive(job.pilot), "the pilot was hit"

    def strangers(self, *jobs: Job) -> list[dict[str, Any]]:
        """Everything there is but the bystanders."""
        ours = {self.neighbour, *(job.pilot for job in jobs)}
        return [each for each in self.processes() if each["pid"] not in ours]

    def assert_nothing_left(self, *jobs: Job) -> None:
        """The hearts have stopped, and process 1 sees nobody but the bystanders."""
        first = self.beats()
        time.sleep(0.06)
        assert self.beats() == first, "something of the payload still beats"
        assert self.strangers(*jobs) == []

    def make_user_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, self.uid, self.uid)
        return folder


def make_arena(tools: Path, reason: str | None, who: str) -> Arena:
    if reason is not None:
        pytest.skip(reason)
    if who == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    uid = 0 if who == "root" else (USER if os.geteuid() == 0 else os.geteuid())
    return Arena(tools / "gpuctl", uid, tools)


def read_if_there(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def sanitizer_options() -> dict[str, str]:
    """The leak checker traces its own process, which the supervisor forbids (PR_SET_DUMPABLE)."""
    return {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1"}
