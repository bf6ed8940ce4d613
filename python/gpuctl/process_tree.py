"""The processes of one process, one cgroup or one job: what `gpuctl tree --json` says, typed.

It is `gpuctl.processes.tree`; the keys of docs/schema/tree.json are the fields here.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from gpuctl import _core
from gpuctl.binary import find_binary
from gpuctl.errors import GpuctlError, MalformedError, UsageError
from gpuctl.settings import Settings

__all__ = ["Tree", "TreeProcess", "tree"]


@dataclass(frozen=True)
class TreeProcess:
    """One process. `gpu_nodes` None: its open files may not be read. Times are CPU time used."""

    pid: int
    ppid: int
    pgid: int
    sid: int
    uid: int | None
    name: str
    state: str
    alive: bool
    threads: int
    depth: int
    start_ticks: int
    started_at: str | None
    utime_usec: int
    stime_usec: int
    rss_bytes: int
    gpu_nodes: tuple[str, ...] | None
    found_by: tuple[str, ...]

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> TreeProcess:
        values = {name: record[name] for name in _FIELDS}
        nodes = values["gpu_nodes"]
        values["gpu_nodes"] = None if nodes is None else tuple(nodes)
        values["found_by"] = tuple(values["found_by"])
        return TreeProcess(**values)


_FIELDS = [field.name for field in fields(TreeProcess)]


@dataclass(frozen=True)
class Tree:
    """Parents come before their children; empty when nobody was found."""

    processes: tuple[TreeProcess, ...]
    problems: tuple[str, ...]  # what could not be read

    def __len__(self) -> int:
        return len(self.processes)

    def __iter__(self) -> Iterator[TreeProcess]:
        return iter(self.processes)

    @property
    def rss_bytes(self) -> int:
        """Summed; memory that processes share counts for each."""
        return sum(each.rss_bytes for each in self.processes)

    @property
    def cpu_usage_usec(self) -> int:
        """Of those that are there now; what has been reaped is not in it."""
        return sum(each.utime_usec + each.stime_usec for each in self.processes)

    @property
    def gpu_nodes(self) -> tuple[str, ...]:
        """All that are known to be held open, sorted."""
        held = {node for each in self.processes for node in each.gpu_nodes or ()}
        return tuple(sorted(held))

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> Tree:
        """MalformedError for a document that is no `gpuctl.tree/1`."""
        if document.get("schema") != "gpuctl.tree/1":
            raise MalformedError(f"not a `gpuctl.tree/1`: schema `{document.get('schema')}`")
        try:
            processes = tuple(TreeProcess.from_json(each) for each in document["processes"])
            problems = tuple(str(each["detail"]) for each in document["problems"])
        except (KeyError, TypeError) as error:
            raise MalformedError(f"not a `gpuctl.tree/1`: {error!r}") from error
        return Tree(processes, problems)


def tree(
    pid: int | None = None,
    *,
    cgroup: str | None = None,
    job: str | None = None,
    root: str | os.PathLike[str] | None = None,
    state_dir: str | os.PathLike[str] | None = None,
) -> Tree:
    """The process and all below it, or a cgroup's members, or a job's. Give one of the three.

    Costs what the tree costs, not what the node has. An empty Tree when there is no such process
    or cgroup (any more); UsageError for what can be none, and for a job that is not on record.
    """
    if [pid, cgroup, job].count(None) != 2:
        raise UsageError("give one of `pid`, `cgroup` and `job`")
    if job is not None:
        return Tree.from_json(_tree_of_job(job, root, state_dir))
    if pid is not None and not 0 < pid <= 0x7FFFFFFF:
        raise UsageError(f"`{pid}` is not the number of a process")
    given = {"root": None if root is None else os.fspath(root)}
    return Tree.from_json(json.loads(_core.tree_json(Settings.load(given).root, pid, cgroup)))


def _tree_of_job(
    job: str, root: str | os.PathLike[str] | None, state_dir: str | os.PathLike[str] | None
) -> Any:
    """The command knows where jobs are on record and whose they are."""
    command = [find_binary(), "tree", "--json", f"--job={job}"]
    if root is not None:
        command.append(f"--root={os.fspath(root)}")
    if state_dir is not None:
        command.append(f"--state-dir={os.fspath(state_dir)}")
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode in (0, 1, 4):
        return json.loads(done.stdout)
    words = os.fsdecode(done.stderr).strip()
    words = words[len("gpuctl: ") :] if words.startswith("gpuctl: ") else words
    raise (UsageError if done.returncode == 2 else GpuctlError)(words)
