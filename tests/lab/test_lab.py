"""The lab itself: a fresh node each time, and nothing left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.gpus import install_tool
from lab.labs import Lab
from lab.namespaces import cgroup2_mount
from lab.node import Node
from lab.places import REPOSITORY, cache_folder
from lab.progress import wait_for


@pytest.mark.lab("ns")
def test_a_node_is_up(node: Node) -> None:
    assert node.run("systemctl is-system-running --wait").stdout == "running\n"
    assert node.run("id -un; echo $XDG_RUNTIME_DIR").stdout == "pilot\n/run/user/2000\n"
    assert node.run("id -un", user="other").stdout == "other\n"


@pytest.mark.lab("vm")
def test_a_machine_is_up(node: Node) -> None:
    assert node.run("systemctl is-system-running").stdout == "running\n"
    controllers = node.run("cat /sys/fs/cgroup/cgroup.controllers").stdout.split()
    assert set(controllers) >= {"cpuset", "cpu", "io", "memory", "pids"}


@pytest.mark.lab("ns")
def test_commands(node: Node) -> None:
    done = node.run("cat; echo err >&2; exit 5", input=b"x" * 300_000)
    assert (done.code, len(done.out), done.stderr) == (5, 300_000, "err\n")
    assert node.run("kill -9 $$").code == 128 + signal.SIGKILL
    assert node.run(["/nonexistent"]).code == 127
    late = node.start("echo ready; read line; echo got $line")
    late.wait_for("ready")
    late.write(b"words\n")
    assert late.wait().stdout == "ready\ngot words\n"


@pytest.mark.lab("ns")
def test_files_come_and_go(node: Node, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_bytes(bytes(range(256)))
    node.put(tmp_path / "in", "/srv/tree")
    assert node.get("/srv/tree/file") == bytes(range(256))
    node.get_tree("/srv/tree", tmp_path / "out")
    assert (tmp_path / "out/file").read_bytes() == bytes(range(256))


@pytest.mark.lab("ns")
def test_a_replayed_tool(node: Node) -> None:
    install_tool(node, "nvidia-smi", {"-L": "GPU 0: A100\n"})
    assert node.run("nvidia-smi -L").stdout == "GPU 0: A100\n"
    assert node.run("nvidia-smi -q").code == 1


@pytest.mark.lab("ns")
def test_evidence_tells(node: Node) -> None:
    node.run("logger lab-was-here", user="root").check()
    node.run("journalctl --sync", user="root")
    assert "lab-was-here" in node.journal()
    evidence = node.evidence()
    for title in ("processes", "control groups", "journal", "machine"):
        assert f"=== {title}" in evidence


@pytest.mark.lab("ns")
def test_each_node_is_fresh(lab: Lab, node: Node) -> None:
    node.run("touch /mark; mkdir /sys/fs/cgroup/mark", user="root").check()
    other = lab.make("ns")
    try:
        assert other.run("ls -d /mark /sys/fs/cgroup/mark", user="root").stdout == ""
    finally:
        other.close()


@pytest.mark.lab("vm")
def test_each_machine_is_fresh(lab: Lab, node: Node) -> None:
    node.run("touch /mark", user="root").check()
    node.close()
    other = lab.make("vm")
    try:
        assert other.run("ls -d /mark", user="root").stdout == ""
    finally:
        other.close()


@pytest.mark.lab("ns")
def test_the_kernels_variables_stay(node: Node) -> None:
    """The node's kernel is this machine's: its services may not tune it."""
    before = Path("/proc/sys/vm/dirty_bytes").read_text()
    node.wait_for_place("condor")
    assert Path("/proc/sys/vm/dirty_bytes").read_text() == before
    assert node.run("systemctl is-active systemd-udevd systemd-sysctl").stdout == "inactive\n" * 2


@pytest.mark.lab("ns")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(number: signal.Signals) -> None:
    """No process, mount, control group or socket, whether it could clean up or not."""
    script = "; ".join(
        [
            "from lab.labs import Lab",
            "import time",
            "lab = Lab.ensure()",
            "lab.make('ns')",
            "lab.make('vm')",
            "print(lab.run.scratch.name, flush=True)",
            "time.sleep(600)",
        ]
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert processes_of(name), "nothing runs that could be left"
    process.send_signal(number)
    process.wait(60)
    process.stdout.close()
    wait_for("the keeper's work", 60, lambda: not remains(name))


def processes_of(run: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if f"/{run}/".encode() in words:
            found.append(str(path))
    return found


def remains(run: str) -> list[str]:
    groups = cgroup2_mount().glob(f"gpuctl-lab-{run[4:]}-*")
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if run in line]
    scratch = [str(cache_folder() / run)] if (cache_folder() / run).exists() else []
    return [*processes_of(run), *map(str, groups), *mounts, *scratch]
