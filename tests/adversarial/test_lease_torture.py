"""Many competitors for the GPUs of one node, of several users and in namespaces of their own,
killed at random, while some of the GPUs are divided and made whole again: 10 seconds of it, 60
with `--stress`.

That no GPU was given twice is told by two witnesses that do not know the ledger: the payloads take
locks of their own (payloads/claimer.c), and the audit log is read back (lease_audit.py).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nodes.compose import has_device_nodes
from nodes.stand_ins import mode_of

from adversarial.dividing import AMD_SLOTS, NVIDIA_SLOTS, DividingNode
from adversarial.lease_audit import PART, AuditChecker

COMPETITORS = 64
USERS = (0, 64101, 64102, 64103)  # none of them is anybody
ENOUGH = 200  # of them served, so that whole GPUs and parts of both kinds are among what was given
WISHES = (
    ("--gpus", "1"),
    ("--gpus", "1", "--model", "MI50 32GB"),
    ("--gpus", "2", "--vendor", "amd"),
    ("--gpus", "3", "--min-memory", "30G"),
    ("--gpus", "4", "--exclude", "0000:03:00.0"),
    ("--gpus", "8", "--arch", "gfx906"),
    ("--gpus", "1", "--arch", "gfx942"),  # a whole one or a part, as it is at that moment
    ("--gpus", "2", "--arch", "gfx942"),
    ("--gpus", "1", "--vendor", "nvidia"),
    ("--gpus", "2", "--arch", "Ampere"),
)
# Only the first pid namespace sees what lived in all the others: where we are in another one,
# nobody could prove that a job in one of its own has ended, and its lease stays.
SEES_ALL = Path("/proc/self/ns/pid").stat().st_ino == 0xEFFFFFFC  # PROC_PID_INIT_INO
OWN_PIDS = ("--pid", "--fork", "--kill-child", "--mount-proc") if SEES_ALL else ()
PRIVATE = (
    *("unshare", "--mount", *OWN_PIDS, "sh", "-c"),
    "mount -t tmpfs none /dev/shm && mkdir /dev/shm/sys && "
    'mount -t sysfs none /dev/shm/sys && exec "$@"',
    "sh",
)
# What a user can do without privilege: a pilot with a rootless container of its own.
PRIVATE_USER = (
    *("unshare", "--user", "--map-root-user"),
    *("--mount", *OWN_PIDS, "sh", "-c"),
    'mount -t tmpfs none /dev/shm && exec "$@"',
    "sh",
)
Command = tuple[str, ...]


@dataclass
class Torture:
    folder: Path
    tools: Path
    node: DividingNode
    chance: random.Random
    private: Command  # for root, and for the others; empty where the kernel has none
    private_user: Command
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    served: int = 0

    @property
    def places(self) -> tuple[str, ...]:
        return ("--root", str(self.node.root), "--state-dir", str(self.folder / "state"))

    def start(self) -> None:
        chance = self.chance
        user = chance.choice(USERS)
        wish = (*chance.choice(WISHES), "--wait", "120s")
        claims, count = self.folder / "claims", wish[1]
        payload = (self.tools / "claimer", claims, count, chance.randrange(60_000))
        command = [self.tools / "gpuctl", "reserve", "-q", *self.places, *wish, "--", *payload]
        if chance.random() < 0.3:
            command = [*(self.private_user if user else self.private), *command]
        words = [str(word) for word in command]
        process = subprocess.Popen(
            words, user=user, group=user, extra_groups=[], stderr=subprocess.PIPE, cwd="/"
        )
        self.running[process.pid] = process

    def kill_one(self) -> None:
        if not self.running:
            return
        process = self.chance.choice(list(self.running.values()))
        self.killed.add(process.pid)
        process.send_signal(signal.SIGKILL)

    def reap(self) -> None:
        for pid, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[pid]
                self._judge(process)

    def _judge(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr
        words = process.stderr.read().decode(errors="replace")
        process.stderr.close()
        if process.pid in self.killed:
            return
        if process.returncode == 0:
            self.served += 1
        else:
            self.failures.append(f"{process.returncode}: {words[-600:]}")

    def fight(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        busy_machine = deadline + 120
        while time.monotonic() < (deadline if self.served >= ENOUGH else busy_machine):
            if len(self.running) < COMPETITORS:
                self.start()
            if self.chance.random() < 0.25:
                self.kill_one()
            for divide in (self.node.divide_amd, self.node.divide_nvidia):
                if self.chance.random() < 0.1:
                    divide(self.chance.random() < 0.5)
            self.reap()
            os.sched_yield()
        self.serve_the_last()

    def serve_the_last(self) -> None:
        """With root's help, as before: of a killed one's lease strangers cannot prove the end while
        that user waits in a pid namespace of its own, and from in there neither can the user.
        """
        deadline = time.monotonic() + 120
        while self.running:
            assert time.monotonic() < deadline, list(self.running.values())
            self.gpuctl("status", "--repair")
            self.reap()

    def gpuctl(self, *words: str, user: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(self.tools / "gpuctl"), *words, *self.places]
        return subprocess.run(
            command,
            user=user,
            group=user,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )

    def settle(self) -> dict[str, Any]:
        """Until nothing that was killed is left: its payload may run on for a moment."""
        deadline = time.monotonic() + 30
        while True:
            for user in (*USERS[1:], 0):
                self.gpuctl("status", "--repair", user=user)
            status: dict[str, Any] = json.loads(self.gpuctl("status", "--json").stdout)
            if not status["leases"] or time.monotonic() > deadline:
                return status

    def words(self, name: str) -> list[str]:
        path = self.folder / "claims" / name
        return path.read_text("utf-8").splitlines() if path.exists() else []


def where_possible(command: Command, user: int) -> Command:
    if shutil.which("unshare") is None:
        return ()
    done = subprocess.run([*command, "true"], user=user, group=user, extra_groups=[], check=False)
    return () if done.returncode else command


def make_claims(claims: Path, names: Mapping[str, str | None]) -> None:
    """A file for each GPU and part to lock; a part's link names the file of its whole."""
    for name, whole in names.items():
        claim = claims / name
        claim.parent.mkdir(parents=True, exist_ok=True)
        claim.touch(0o644)
        if whole is not None:
            claim.with_name(f"{claim.name}.of").symlink_to(whole)


@pytest.fixture
def torture(tools: Path) -> Iterator[Torture]:
    if os.geteuid() != 0:
        pytest.skip("several users need root")
    seed = random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="gpuctl-torture-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        node = DividingNode(folder)
        root = node.root
        if not has_device_nodes(root):
            pytest.skip("making stand-in device nodes needs CAP_MKNOD")
        for path in (root / "dev").rglob("*"):
            path.chmod(0o755 if path.is_dir() else mode_of(str(path)))
        for each, mode in (("claims", 0o1777), ("state", 0o1777)):
            (folder / each).mkdir()
            (folder / each).chmod(mode)
        make_claims(folder / "claims", node.names())
        for each in ("served", "double"):
            (folder / "claims" / each).touch()
            (folder / "claims" / each).chmod(0o666)
        private = where_possible(PRIVATE, 0)
        private_user = where_possible(PRIVATE_USER, USERS[1])
        print(f"private namespaces: {bool(private)}, of users: {bool(private_user)}")
        yield Torture(folder, tools, node, random.Random(seed), private, private_user)


def test_nobody_gets_what_somebody_has(torture: Torture, request: pytest.FixtureRequest) -> None:
    torture.fight(60 if request.config.getoption("--stress") else 10)
    status = torture.settle()
    served = len(torture.words("served"))
    print(f"{served} payloads, {torture.served} served to the end, {len(torture.killed)} killed")
    assert torture.words("double") == []
    assert torture.failures == []
    assert status["leases"] == []
    assert all(gpu["available"] for gpu in status["gpus"] if gpu["usable"])
    assert sum(gpu["available"] for gpu in status["gpus"]) >= 12
    assert torture.served > 0 and torture.killed
    history = json.loads(torture.gpuctl("status", "--history", "--json").stdout)["events"]
    checker = AuditChecker(history)
    assert checker.double == []
    assert checker.unexplained == []
    assert checker.open == {}
    assert checker.granted >= served
    for slots, way in ((AMD_SLOTS, "qpx"), (NVIDIA_SLOTS, "mig")):
        found = [PART.fullmatch(each) for each in checker.given if each.startswith(slots)]
        assert {part and part[2] for part in found} == {None, way}  # whole ones, and parts
