"""`gpuctl cgroup`: recorded and composed trees, our own, live groups, a watch, and bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from live_cgroup import LiveGroup
from nodes.cgroup_trees import NAMES, CgroupTree, disagreements
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def describe(gpuctl: Run, *arguments: object, code: int = 0, **settings: Any) -> dict[str, Any]:
    done = gpuctl("cgroup", "--json", *arguments, **settings)
    assert (done.returncode, done.stderr) == (code, "")
    document = json.loads(done.stdout)
    validate("cgroup.json", document)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("name", NAMES)
def test_trees(gpuctl: Run, tmp_path: Path, name: str) -> None:
    tree = CgroupTree.load(name)
    root = tree.unpack(tmp_path)
    code = 4 if tree.facts.get("problems") else 0
    document = describe(gpuctl, tree.pid, "--root", root, code=code)
    assert disagreements(tree.facts, document) == []
    assert (
        describe(gpuctl, "--root", root, code=code)["pid"] == tree.pid
    )  # /proc/self of the recording
    text = gpuctl("cgroup", tree.pid, "-v", "--root", root)
    assert document["path"] in text.stdout
    if document["limits"]["trace"]:
        assert document["limits"]["trace"] in text.stdout


def test_every_kind_of_tree_is_there() -> None:
    wanted = {"v1-slurm", "v1-container", "hybrid", "condor25", "deleted", "threaded"}
    assert wanted <= set(NAMES)
    assert {f"6.12-{place}" for place in ("slurm", "condor", "scope", "podman")} <= set(NAMES)


def test_our_own(gpuctl: Run) -> None:
    document = describe(gpuctl)
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    v2 = [line[3:] for line in lines if line.startswith("0::")]
    if v2:
        assert document["path"] == v2[0]
    memory_total = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    limit = document["limits"]["memory_bytes"]
    assert 0 < limit["value"] <= memory_total
    assert describe(gpuctl, os.getpid())["path"] == document["path"]


def test_the_environment_of_slurm_is_ours_and_not_the_recordings(
    gpuctl: Run, tmp_path: Path
) -> None:
    slurm = {"SLURM_MEM_PER_NODE": "300", "SLURM_CPUS_ON_NODE": "2"}
    sources = {each["source"] for each in describe(gpuctl, env=slurm)["limits"]["all"]}
    assert "slurm" in sources
    root = CgroupTree.load("threaded").unpack(tmp_path)
    limits = describe(gpuctl, "--root", root, env=slurm)["limits"]["all"]
    assert "slurm" not in {each["source"] for each in limits}


def test_a_process_tree(gpuctl: Run) -> None:
    script = "x = bytearray(b'x' * (32 << 20)); print('up', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        usage = describe(gpuctl, process.pid, "--processes")["usage"]
        process.stdin.close()
    assert usage["source"] == "processes"
    assert usage["memory"]["current_bytes"] > 32 << 20
    assert usage["cpu"]["usage_usec"] > 0
    assert usage["memory"]["peak_bytes"] is None
    assert usage["pids"]["current"] >= 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["job"], "neither the number of a process nor the path"),
        (["-1"], "-1"),
        (["0"], "neither"),
        (["99999999999"], "neither"),
        ([""], "an empty PATH"),
        (["/a/../b"], "holds `..`"),
        (["/", "/"], "takes one PID or PATH"),
        (["--watch", "soon"], "--watch"),
        (["--count", "3"], "`--count` is for `--watch DUR`"),
        (["--watch", "1s", "--count", "0"], "at least 1"),
        (["--watch", "1s", "--count", "x"], "--count"),
        (["--processes"], "needs the PID"),
        (["/", "--processes"], "needs the PID"),
    ],
    ids=" ".join,
)
def test_wrong_calls(gpuctl: Run, arguments: list[str], words: str) -> None:
    done = gpuctl("cgroup", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("operand", ["/no/such/group", str(2**22 + 1), "/proc/self"])
def test_what_is_not_there(gpuctl: Run, operand: str) -> None:
    done = gpuctl("cgroup", "--json", operand)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    validate("cgroup.json", document)
    assert (document["path"], document["usage"]) == (None, None)
    assert document["problems"][0]["code"] == "not_found"


def test_what_was_typed_does_not_reach_the_terminal_as_it_is(gpuctl: Run) -> None:
    for operand in ("/a\x1b[31m", "a\x1b[31m", "/a\n/../b", "/" + "x" * 5000):
        done = gpuctl("cgroup", operand)
        assert done.returncode in (1, 2, 3)
        assert "\x1b" not in done.stderr
        assert done.stderr.count("\n") == 1


def test_unreadable_and_garbage_are_problems(gpuctl: Run, tmp_path: Path) -> None:
    tree = CgroupTree.load("condor25")
    root = tree.unpack(tmp_path)
    (root / "sys/fs/cgroup/system.slice/memory.max").write_text("\xff\x1b[31m lots\n")
    (root / "scratch/dir_9/.machine.ad").unlink()
    done = gpuctl("cgroup", tree.pid, "--json", "--root", root)
    assert done.returncode == 4
    document = json.loads(done.stdout)
    validate("cgroup.json", document)
    assert sorted(each["code"] for each in document["problems"]) == ["malformed", "not_found"]
    assert document["limits"]["memory_bytes"]["value"] == 4194304000
    text = gpuctl("cgroup", tree.pid, "--root", root)
    assert "\x1b" not in text.stdout + text.stderr


def samples(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for each in found:
        validate("cgroup-sample.json", each)
    return found


def test_a_watch_counts(gpuctl: Run) -> None:
    done = gpuctl("cgroup", "--watch", "20ms", "--count", "3", "--json")
    assert done.returncode == 2  # milliseconds are no unit of durations
    done = gpuctl(
        "cgroup", str(os.getpid()), "--processes", "--watch", "0", "--count", "3", "--json"
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = samples(done)
    assert len(found) == 3
    assert found[0]["rates"]["cpu_usage_usec_per_sec"] is not None
    times = [each["at"] for each in found]
    assert times == sorted(times)
    text = gpuctl("cgroup", "--watch", "0", "--count", "2").stdout.splitlines()
    assert len(text) == 3
    assert text[0].split()[:3] == ["CPUs", "throttled", "memory"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("interval", ["0", "1h"])
def test_a_watch_ends_cleanly(gpuctl_binary: Path, number: signal.Signals, interval: str) -> None:
    """Between two lines, each of which is whole; also while it waits for the next."""
    with subprocess.Popen(
        [gpuctl_binary, "cgroup", "--watch", interval, *(["--json"] if interval == "0" else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert all(line.endswith("\n") for line in [first, *out.splitlines(keepends=True)])
    if interval == "0":
        for line in [first, *out.splitlines()]:
            validate("cgroup-sample.json", json.loads(line))


def test_a_closed_pipe_ends_a_watch(gpuctl_binary: Path) -> None:
    with subprocess.Popen(
        [gpuctl_binary, "cgroup", "--watch", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) != 0


def test_a_live_group(gpuctl: Run, live_group: LiveGroup) -> None:
    by_path = describe(gpuctl, live_group.name)
    by_directory = describe(gpuctl, live_group.path)
    assert by_path["path"] == by_directory["path"] == live_group.name
    assert by_directory["how"]["code"] == "given"
    assert by_directory["usage"]["cpu"]["usage_usec"] == 0
    with live_group.start("sleep", "600") as process:
        found = describe(gpuctl, process.pid)
        process.kill()
    assert found["path"] == live_group.name
    assert found["hierarchies"][0]["confirmed"] is True
    assert found["how"]["code"] in ("mount", "mount_root")


def test_a_group_is_removed_under_a_watch(gpuctl_binary: Path, live_group: LiveGroup) -> None:
    with subprocess.Popen(
        [gpuctl_binary, "cgroup", live_group.path, "--watch", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        live_group.remove()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "the cgroup was removed" in errors


def test_nobody_writes(gpuctl: Run, tmp_path: Path) -> None:
    """A recording that is read leaves it as it was, byte by byte."""
    tree = CgroupTree.load("v1-slurm")
    root = tree.unpack(tmp_path)

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    before = contents()
    describe(gpuctl, tree.pid, "--root", root)
    gpuctl("cgroup", tree.pid, "--root", root, "--watch", "0", "--count", "2")
    assert contents() == before
