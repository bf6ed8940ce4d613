"""`gpuctl.processes`: the table as numpy has it and as plain rows, samples, identities."""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpuctl
import pytest
from gpuctl import errors, processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing, with a mark in its environment; killed and reaped at the end."""
    environment = {**os.environ, "GPUCTL_TEST_MARK": "here\xff"}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        yield process
        process.kill()


def row_of(table: processes.Snapshot, pid: int) -> processes.Process:
    [row] = [each for each in table if each.pid == pid]
    return row


def test_rows_say_what_the_kernel_says(sleeper: subprocess.Popen[bytes]) -> None:
    table = processes.snapshot()
    row = row_of(table, sleeper.pid)
    assert (row.ppid, row.pgid, row.sid) == (os.getpid(), os.getpgrp(), os.getsid(0))
    assert (row.uid, row.threads) == (os.geteuid(), 1)
    own = row_of(table, os.getpid())
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    assert own.start_ticks == int(fields[19])
    assert own.name == Path("/proc/self/comm").read_bytes().rstrip(b"\n")
    assert own.rss_bytes > 1 << 20
    assert own.utime_usec > 0


def test_the_array_is_the_rows_and_not_a_copy() -> None:
    table = processes.snapshot()
    array = table.array
    assert len(array) == len(table) > 1
    assert [tuple(row) for row in table] == [
        tuple(row[name] for name in processes.Process._fields) for row in array
    ]
    assert list(array["pid"]) == sorted(array["pid"])
    assert not array.flags.writeable
    assert array.dtype.names == processes.Process._fields
    again = table.array
    assert again.__array_interface__["data"] == array.__array_interface__["data"]
    with pytest.raises(ValueError, match="read-only"):
        array["pid"] = 0


def test_the_array_outlives_its_snapshot() -> None:
    array = processes.snapshot().array
    gc.collect()
    blocks = [processes.snapshot().array for _ in range(8)]  # who would take freed memory
    assert list(array["pid"]) == sorted(array["pid"])
    assert os.getpid() in array["pid"]
    assert len(blocks) == 8


def test_optional_columns_come_when_they_are_asked_for(sleeper: subprocess.Popen[bytes]) -> None:
    table = processes.snapshot(cgroup=True, pss=True, io=True, marker="GPUCTL_TEST_MARK")
    array = table.array
    [index] = (array["pid"] == sleeper.pid).nonzero()[0]
    row = array[index]
    assert os.fsencode(table.markers[row["marker"]]) == "here\xff".encode()
    assert table.cgroups[row["cgroup"]].startswith("/")
    assert row["pss_bytes"] > 0
    for column in ("cgroup", "marker", "pss", "io"):
        assert table.known(column)[index]
    [own] = (array["pid"] == os.getpid()).nonzero()[0]
    assert array[own]["marker"] == -1
    assert table.known("marker")[own]


def test_what_was_not_asked_for_is_not_there() -> None:
    table = processes.snapshot(io=True)
    names = table.array.dtype.names or ()
    assert "read_bytes" in names
    assert "pss_bytes" not in names
    with pytest.raises(errors.UsageError, match="pss"):
        table.known("pss")
    assert (table.cgroups, table.markers) == ([], [])


def test_one_user_only() -> None:
    mine = processes.snapshot(uid=os.geteuid())
    assert {row.uid for row in mine} == {os.geteuid()}
    assert len(processes.snapshot(uid=3_999_999_999)) == 0


def test_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    table = processes.snapshot(root=tmp_path)
    assert (len(table), list(table), len(table.array)) == (0, [], 0)
    with pytest.raises(errors.NotFoundError):
        processes.snapshot(root=tmp_path / "proc")


def test_samples_follow_who_comes_and_goes() -> None:
    with processes.Sampler() as sampler:
        before = sampler.sample()
        assert sampler.descriptors >= len(before) // 2
        with subprocess.Popen(["sleep", "60"]) as process:
            assert row_of(sampler.sample(), process.pid).ppid == os.getpid()
            process.kill()
        assert process.pid not in {row.pid for row in sampler.sample()}
        assert sampler.sample().taken_at_usec > before.taken_at_usec
    assert sampler.descriptors == 0
    with pytest.raises(errors.UsageError, match="closed"):
        sampler.sample()


def test_a_sampler_keeps_no_more_than_it_may_and_closes_what_it_kept() -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    with subprocess.Popen(["sleep", "60"]) as other:  # a container may hold nobody but us
        sampler = processes.Sampler(max_descriptors=1)
        sampler.sample()
        assert sampler.descriptors == 1
        sampler.close()
        other.kill()
    assert len(os.listdir("/proc/self/fd")) == open_before
    with pytest.raises(errors.UsageError):
        processes.Sampler(max_descriptors=-1)


@pytest.mark.parametrize("marker", ["", "A=B", "A\0B"])
def test_what_is_no_variable(marker: str) -> None:
    with pytest.raises(errors.UsageError, match="variable"):
        processes.snapshot(marker=marker)


def test_an_identity_dies_with_its_process(sleeper: subprocess.Popen[bytes]) -> None:
    identity = processes.identify(sleeper.pid)
    assert (identity.pid, identity.liveness) == (sleeper.pid, "alive")
    assert identity == processes.identify(sleeper.pid)
    # the kernel's own number decides where there is one, else the start time
    later = identity._replace(start_ticks=identity.start_ticks + 1)
    assert later._replace(pidfs_inode=None).liveness == "dead"
    if identity.pidfs_inode is not None:
        other = identity._replace(pidfs_inode=identity.pidfs_inode + 1)
        assert (later.liveness, other.liveness) == ("alive", "dead")
    assert identity._replace(boot_id="another boot").liveness == "dead"
    assert identity._replace(pid_namespace=1).liveness == "unknown"
    sleeper.kill()
    sleeper.wait()
    assert identity.liveness == "dead"
    with pytest.raises(errors.GpuctlError) as raised:
        processes.identify(sleeper.pid)
    assert isinstance(raised.value, (errors.NotFoundError, errors.VanishedError))


@pytest.mark.parametrize("pid", [0, -1, -7, 1 << 31, 1 << 70])
def test_what_is_no_pid(pid: int) -> None:
    with pytest.raises(errors.UsageError, match="not the number of a process"):
        processes.identify(pid)


def test_a_tree_is_typed_and_says_what_the_command_says(
    sleeper: subprocess.Popen[bytes], gpuctl_binary: Path
) -> None:
    tree = processes.tree(sleeper.pid)
    [process] = tree
    assert (process.pid, process.ppid, process.uid) == (sleeper.pid, os.getpid(), os.geteuid())
    assert (process.alive, process.depth, process.found_by) == (True, 0, ("root",))
    assert (process.gpu_nodes, tree.gpu_nodes, tree.problems) == ((), (), ())
    assert tree.rss_bytes == process.rss_bytes > 0
    assert tree.cpu_usage_usec == process.utime_usec + process.stime_usec
    command = [str(gpuctl_binary), "tree", "--json", str(sleeper.pid)]
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert list(said["processes"][0]) == [field.name for field in dataclasses.fields(process)]
    assert [each.pid for each in processes.Tree.from_json(said)] == [sleeper.pid]


def test_an_empty_tree_is_an_answer(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    assert len(processes.tree(sleeper.pid)) == 0
    assert len(processes.tree(cgroup="/no/such/group")) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"pid": 1, "cgroup": "/"},
        {"pid": 1, "job": "x"},
        {"pid": 0},
        {"pid": -1},
        {"pid": 1 << 40},
        {"cgroup": ""},
        {"cgroup": "relative"},
        {"cgroup": "/a/../b"},
        {"job": "../x"},
        {"job": ""},
        {"job": "no-such-job"},
    ],
)
def test_what_is_no_tree(arguments: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError):
        processes.tree(**arguments, state_dir=tmp_path / "state")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": "gpuctl.tree/2"},
        {"schema": "gpuctl.tree/1"},
        {"schema": "gpuctl.tree/1", "processes": [{}], "problems": []},
        {"schema": "gpuctl.tree/1", "processes": [], "problems": [{}]},
        {"schema": "gpuctl.tree/1", "processes": None, "problems": []},
    ],
)
def test_what_is_no_document_of_a_tree(document: dict[str, Any]) -> None:
    with pytest.raises(errors.MalformedError, match=r"gpuctl\.tree/1"):
        processes.Tree.from_json(document)


def test_without_numpy_there_are_rows_and_a_remedy() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "from gpuctl import errors, processes\n"
        "table = processes.snapshot()\n"
        "assert len(list(table)) == len(table) > 1\n"
        "try: table.array\n"
        "except errors.UnavailableError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install numpy" in done.stdout


def test_it_is_part_of_the_package() -> None:
    assert gpuctl.processes is processes
