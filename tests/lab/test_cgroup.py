"""`gpuctl cgroup` on a whole machine: its numbers beside those of the kernel's files and of
rusage, as a pilot in a scope of its own, in a Slurm job and in an HTCondor job; limits too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.node import Node

LOAD = """\
import os, resource, time
block = bytearray(b"x" * (64 << 20))
with open("load.bin", "wb") as file:
    file.write(os.urandom(8 << 20))
    os.fsync(file.fileno())
while time.process_time() < 8:
    pass
used = resource.getrusage(resource.RUSAGE_SELF)
with open("load.used", "w") as file:
    file.write(str(used.ru_utime + used.ru_stime))
time.sleep(600)
"""

# Asked of a settled load: our answer, the kernel's files beside it, what the load itself says.
ASK = """
    until [ -s load.used ] || ! kill -0 $load; do sleep 0.2; done
    show() { cat $group/memory.stat $group/cpu.stat; echo current $(cat $group/memory.current); }
    show > before; gpuctl cgroup $group --json > ours.json; echo "code $?" >&2; show > after
    gpuctl cgroup $load --processes --json > tree.json
    gpuctl cgroup $load --json > of_pid.json
    cat $group/memory.peak > memory.peak
    [ -f $group/io.stat ] && cat $group/io.stat > io.stat
    [ -f $group/pids.current ] && cat $group/pids.current > pids.current
    for each in *.json before after memory.peak io.stat pids.current load.used; do
        [ -f $each ] && { printf '=== %s\\n' $each; cat $each; }
    done
    kill $load"""

SCOPE = """
    set -e; cd $(mktemp -d -p ~)
    top=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); group=$top/job
    mkdir $top/leaf $group; echo $$ > $top/leaf/cgroup.procs
    for each in cpu cpuset io memory pids; do echo +$each > $top/cgroup.subtree_control; done
    echo 300M > $group/memory.max; echo 50 > $group/pids.max; echo '150000 100000' > $group/cpu.max
    (echo $BASHPID > $group/cgroup.procs; exec python3 ~/load.py) & load=$!
    set +e"""

SLOT = """
    cd $(mktemp -d -p ~)
    group=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
    python3 ~/load.py & load=$!"""


def answers(node: Node, place: str, options: list[str]) -> dict[str, str]:
    node.put(LOAD.encode(), "/home/pilot/load.py")  # HTCondor jobs have a /tmp of their own
    script = (SCOPE if place == "scope" else SLOT) + ASK
    done = node.run(script, place=place, options=options, timeout=400)
    assert "code 0" in done.stderr, done.stderr
    parts = done.stdout.split("=== ")[1:]
    return {name: text for name, _, text in (part.partition("\n") for part in parts)}


def numbers(text: str) -> dict[str, int]:
    return {words[0]: int(words[1]) for words in map(str.split, text.splitlines())}


def near(value: float) -> Any:
    return pytest.approx(value, rel=0.02)


def check_usage(found: dict[str, str]) -> dict[str, Any]:
    """Ours between what the same files said before and after, within 2 %: in a slot we ourselves
    use a little of what we count. And against what the load knows of itself."""
    document = json.loads(found["ours.json"])
    usage = document["usage"]
    before, after = numbers(found["before"]), numbers(found["after"])

    def between(value: int, key: str) -> bool:
        least, most = sorted((before[key], after[key]))
        return least * 0.98 <= value <= most * 1.02

    assert between(usage["memory"]["anon_bytes"], "anon")
    assert between(usage["memory"]["file_bytes"], "file")
    assert between(usage["memory"]["current_bytes"], "current")
    assert usage["memory"]["anon_bytes"] >= 64 << 20
    assert usage["memory"]["peak_bytes"] == near(int(found["memory.peak"]))
    assert between(usage["cpu"]["usage_usec"], "usage_usec")
    assert between(usage["cpu"]["user_usec"], "user_usec")
    assert between(usage["cpu"]["system_usec"], "system_usec")
    used = float(found["load.used"]) * 1e6
    tree = json.loads(found["tree.json"])["usage"]
    assert tree["source"] == "processes"
    assert tree["cpu"]["usage_usec"] == near(used)
    assert 64 << 20 <= tree["memory"]["current_bytes"] < 128 << 20
    of_pid = json.loads(found["of_pid.json"])
    assert of_pid["path"] == document["path"]
    assert of_pid["hierarchies"][0]["confirmed"] is True
    return document


@pytest.mark.lab("vm")
def test_a_delegated_scope(node: Node) -> None:
    found = answers(node, "scope", [])
    document = check_usage(found)
    used = float(found["load.used"]) * 1e6
    usage, limits = document["usage"], document["limits"]
    assert usage["cpu"]["usage_usec"] == near(used)  # the group has nobody but the load
    assert usage["io"]["write_bytes"] >= 8 << 20
    assert usage["pids"]["current"] == int(found["pids.current"]) == 1
    assert usage["events"]["oom_kill"] == 0
    assert usage["pressure"]["cpu_some_usec"] is not None
    job = document["path"]
    assert job.endswith("/job")
    assert (limits["memory_bytes"]["value"], limits["memory_bytes"]["by"]) == (300 << 20, job)
    assert (limits["pids"]["value"], limits["pids"]["by"]) == (50, job)
    assert (limits["cpus"]["value"], limits["cpus"]["by"]) == (1.5, job)
    assert limits["cpuset"]["cpus"] == "0-1"
    assert limits["trace"].startswith("Slot memory hard limit set to 307200 kB memsw")
    assert document["slot"]["kind"] == "scope"


@pytest.mark.lab("vm")
def test_a_slurm_job(node: Node) -> None:
    document = check_usage(answers(node, "slurm", ["--mem=400M"]))
    limits, step = document["limits"], document["path"].rpartition("/")[0]
    assert document["slot"]["kind"] == "slurm"
    assert (limits["memory_bytes"]["value"], limits["memory_bytes"]["by"]) == (400 << 20, step)
    assert limits["cpuset"]["count"] == 1
    assert document["usage"]["pids"]["current"] is None  # Slurm leaves that controller out
    assert document["usage"]["io"]["read_bytes"] is None


@pytest.mark.lab("vm")
def test_an_htcondor_job(node: Node) -> None:
    document = check_usage(answers(node, "condor", []))
    limits = document["limits"]
    assert document["slot"]["kind"] == "htcondor"
    assert limits["memory_bytes"]["value"] == 512 << 20
    assert limits["memory_bytes"]["by"] == document["path"] == document["slot"]["path"]
    assert document["usage"]["pids"]["current"] > 1


@pytest.mark.lab("vm")
@pytest.mark.parametrize("place", ["slurm", "condor"])
def test_what_the_batch_system_told(node: Node, place: str) -> None:
    """Its environment and its ads, read by ourselves inside the job."""
    document = json.loads(node.run("gpuctl cgroup --json", place=place, timeout=300).stdout)
    sources = {each["source"] for each in document["limits"]["all"]}
    told = {"slurm": {"slurm"}, "condor": {"condor_machine_ad", "condor_job_ad"}}[place]
    assert told | {"cgroup", "machine", "ulimit"} <= sources
    assert document["problems"] == []


@pytest.mark.lab("vm")
def test_containers(node: Node) -> None:
    """Podman's has a cgroup namespace: its own root, with what is above hidden."""
    document = json.loads(node.run("gpuctl cgroup --json", place="podman", timeout=400).stdout)
    assert (document["path"], document["slot"]["kind"]) == ("/", "root")
    assert document["limits"]["ancestors_hidden"] is True
    assert document["hierarchies"][0]["confirmed"] is True
    document = json.loads(node.run("gpuctl cgroup --json", place="apptainer", timeout=400).stdout)
    assert document["path"] == "/system.slice/lab-agent.service"
    assert document["limits"]["ancestors_hidden"] is False


@pytest.mark.lab("vm", kernel="5.10")
def test_an_old_kernel(node: Node) -> None:
    """It tells no peak, and no sum of the kernel's own memory: null, where 0 would be a lie."""
    usage = json.loads(node.run("gpuctl cgroup --json", place="scope").stdout)["usage"]
    assert usage["memory"]["peak_bytes"] is None
    assert usage["memory"]["kernel_bytes"] is None
    assert usage["memory"]["anon_bytes"] is not None  # small sums stay at the CPUs for a while
    assert usage["events"]["oom_kill"] == 0
