"""The tier "ns": the worker's systemd as PID 1 of namespaces on this machine's kernel.

Ready in about two seconds and at native speed, but without the controllers memory, cpu, pids and
cpuset where the host has bound them to cgroup v1: what needs limits needs the tier "vm".

The node's control groups live below one of ours in the host's cgroup v2 tree; nothing else of the
host's tree is touched, and its cgroup v1 mounts are not looked at.
"""

from __future__ import annotations

from pathlib import Path

from lab.image import Image
from lab.places import LAB
from lab.progress import LabError, wait_for
from lab.run import Run
from lab.wire import Agent, try_connect

BOOT_TIMEOUT = 180.0


def cgroup2_mount() -> Path:
    """Where the host's cgroup v2 tree is (proc_pid_mountinfo(5))."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ", 1)
        if after.split()[0] == "cgroup2":
            return Path(before.split()[4])
    raise LabError("needs a cgroup v2 hierarchy (`cgroup2` in /proc/self/mountinfo)")


class NamespaceMachine:
    """A running node; `agent` is its connection. `stop()` ends all of it at once."""

    tier = "ns"

    def __init__(self, image: Image, kit: Path, run: Run, name: str) -> None:
        self.image = image
        self.kit = kit
        self.run = run
        self.folder = run.scratch / name
        (self.folder / "run").mkdir(parents=True)
        self.agent: Agent

    def start(self) -> None:
        group = cgroup2_mount() / f"gpuctl-lab-{self.run.scratch.name[4:]}-{self.folder.name}"
        self.run.keep_group(group)
        enter = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'
        self.process = self.run.start(
            [
                *("bash", "-c", enter, "enter", group),
                *("unshare", "--cgroup", "--mount", "--pid", "--uts", "--ipc", "--net", "--fork"),
                *("--kill-child", "--propagation", "private"),
                *(LAB / "inside.sh", self.image.worker, self.folder, self.kit),
            ],
            log=self.folder / "console.log",
        )
        path = self.folder / "run/agent.sock"
        wait_for("starting the node", BOOT_TIMEOUT, lambda: self._connect(path))

    def _connect(self, path: Path) -> bool:
        if self.process.poll() is not None:
            raise LabError(f"the node ended with {self.process.returncode}:\n{self.log()}")
        connection = try_connect(path)
        if connection is None:
            return False
        self.agent = Agent(connection)
        self.agent.send_hello()
        return self.agent.is_greeted(wait=10)

    def init_pid(self) -> int:
        """The node's PID 1 as this machine numbers it."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(path.read_text().split()[0])

    def log(self) -> str:
        path = self.folder / "console.log"
        return "--- console.log\n" + path.read_text(errors="replace")[-8000:]

    def stop(self) -> None:
        """unshare(1) takes its child along (--kill-child), and PID 1 takes all of its namespace."""
        if hasattr(self, "agent"):
            self.agent.close()
        if hasattr(self, "process"):
            self.run.stop(self.process)
