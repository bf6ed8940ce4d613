"""A worker node for a test: run commands in its places, move files, read its journal.

    def test_it(node):
        done = node.run("gpuctl discover --json", place="slurm", options=["--gres=gpu:1"])
        assert done.code == 0, done.stderr

Users are `pilot` (who lingers, with subordinate ids), `other` and `root`. Places are those of
kit/bin/lab-place, None is a plain process of a system service, as a site's pilot is started.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Union

from lab.namespaces import NamespaceMachine
from lab.progress import LabError
from lab.vm import SETTLED, VirtualMachine
from lab.wire import Agent, AgentError, Done, Remote

Machine = Union[VirtualMachine, NamespaceMachine]
Command = Union[str, Sequence[object]]
PLACES = ("scope", "slurm", "condor", "apptainer", "podman")
NEEDED = {
    "scope": "waiting for the pilot's user manager",
    "slurm": "waiting for Slurm",
    "condor": "waiting for HTCondor",
}


class Node:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.settled: set[str] = set()

    @property
    def tier(self) -> str:
        return self.machine.tier

    @property
    def agent(self) -> Agent:
        return self.machine.agent

    # ---- commands ----

    def run(
        self,
        command: Command,
        *,
        user: str = "pilot",
        place: str | None = None,
        options: Sequence[str] = (),
        image: str | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
        input: bytes = b"",
        timeout: float = 120,
    ) -> Done:
        """A command (a string is a bash script) to its end; AgentError after `timeout` seconds.

        `options` are handed to what makes the place, `image` names the container's root.
        """
        remote = self.start(
            command, user=user, place=place, options=options, image=image, env=env, cwd=cwd
        )
        return remote.finish(input, timeout)

    def start(
        self,
        command: Command,
        *,
        user: str = "pilot",
        place: str | None = None,
        options: Sequence[str] = (),
        image: str | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: str | None = None,
    ) -> Remote:
        """The same, not waited for."""
        argv = self.words(command, place, options)
        values = {**(env or {}), **({"LAB_IMAGE": image} if image else {})}
        return self.agent.start(argv, user=user, env=values, cwd=cwd)

    def words(self, command: Command, place: str | None, options: Sequence[str]) -> list[str]:
        if isinstance(command, str):
            shell = "sh" if place in ("apptainer", "podman") else "bash"
            argv = [shell, "-c", command]
        else:
            argv = [str(each) for each in command]
        if place is None:
            return argv
        if place not in PLACES:
            raise ValueError(f"no place `{place}`; there are: {', '.join(PLACES)}")
        self.wait_for_place(place)
        return ["/opt/lab/bin/lab-place", place, *options, "--", *argv]

    def wait_for_place(self, place: str, timeout: float = 120) -> None:
        """In a node that has just booted its services take some seconds."""
        if place not in NEEDED or place in self.settled:
            return
        end = time.monotonic() + timeout
        while self.agent.run(["bash", "-c", SETTLED[NEEDED[place]]]).code != 0:
            if time.monotonic() > end:
                raise LabError(f"{NEEDED[place]}: not within {timeout:.0f} s\n{self.journal()}")
            time.sleep(0.1)
        self.settled.add(place)

    # ---- files ----

    def put(
        self, source: Path | bytes, path: str, *, mode: int = 0o644, user: str = "root"
    ) -> None:
        """A file's bytes, or a file or folder of this machine, at `path` of the node."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            name = path.lstrip("/")
            if isinstance(source, bytes):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.mtime = len(source), mode, int(time.time())
                archive.addfile(entry, io.BytesIO(source))
            else:
                archive.add(source, name)
        unpack = ["tar", "--extract", "--no-same-owner", "--directory", "/"]
        self.agent.run(unpack, user=user, input=stream.getvalue(), timeout=300).check()

    def get(self, path: str) -> bytes:
        """A file's bytes; files of /proc, /sys and devices included."""
        return self.agent.run(["cat", "--", path]).check().out

    def get_tree(self, path: str, into: Path) -> None:
        """A folder of the node, below `into`."""
        packed = self.agent.run(["tar", "--create", "--directory", path, "."], timeout=300).check()
        into.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(packed.out)) as archive:
            archive.extractall(into)

    # ---- what happened ----

    def journal(self, unit: str | None = None, lines: int = 200) -> str:
        chosen = ["--unit", unit] if unit else []
        return self.agent.run(
            ["journalctl", "--no-pager", "--output", "short-monotonic", "-n", str(lines), *chosen]
        ).stdout

    def evidence(self) -> str:
        """What a failed test leaves to think about; never raises."""
        parts = [f"tier {self.tier}"]
        for title, command in EVIDENCE.items():
            try:
                said = self.agent.run(["bash", "-c", command], timeout=30)
                parts.append(f"=== {title}\n{said.stdout}{said.stderr}")
            except (AgentError, LabError, OSError) as error:
                parts.append(f"=== {title}: {error}")
                break
        parts.append(f"=== machine\n{self.machine.log()}")
        return "\n".join(parts)

    def close(self) -> None:
        self.machine.stop()


EVIDENCE = {
    "processes": "ps -eo pid,ppid,pgid,sid,user,stat,wchan:20,cgroup:80,args --forest",
    "control groups": "systemd-cgls --no-pager --full | head -n 200",
    "failed units": "systemctl --failed --no-pager",
    "jobs": "squeue 2>&1; condor_q -allusers 2>&1 | head -n 40",
    "journal": "journalctl --no-pager -o short-monotonic -n 300",
}
