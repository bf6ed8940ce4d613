"""The job's own cgroup with real controllers, as a pilot without rights has it: made in a delegated
scope, its limits, and whose limit it was when memory ran out."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from lab.node import Node

pytestmark = pytest.mark.lab("vm")

RUN = "gpuctl -q run --state-dir /tmp/state --report /tmp/report.json"
EAT = "tail /dev/zero"
LEFT = "find /sys/fs/cgroup -name 'job-*' -type d"


def run(
    node: Node, flags: str, payload: str, place: str = "scope", *limits: str
) -> tuple[str, dict[str, Any]]:
    """What the pilot saw, and the report."""
    script = (
        f'{RUN} {flags} -- sh -c {shlex.quote(payload)}; echo "pilot lives, payload $?"; '
        "cat /tmp/report.json"
    )
    done = node.run(script, place=place, options=list(limits), timeout=240)
    told, found, report = done.stdout.partition("{\n")
    assert found, done.stdout + done.stderr
    assert node.run(LEFT, user="root").stdout == ""
    return told, json.loads(found + report)


def test_its_own_limit(node: Node) -> None:
    told, report = run(node, "--memory 100", EAT, "scope", "--property=MemoryMax=600M")
    assert "payload 137" in told
    assert report["cgroup"]["own"] is True
    assert set(report["cgroup"]["controllers"]) >= {"memory", "pids"}
    assert report["cgroup"]["memory_limit_bytes"] == 100 << 20
    assert report["kill_reason"]["name"] == "OOM_SYSTEM"
    assert report["kill_reason"]["jalien_code"] == 90
    oom = report["oom"]
    assert (oom["level"], oom["certain"], oom["limit_path"]) == (
        "job",
        True,
        report["cgroup"]["path"],
    )
    assert oom["kills"] >= 1
    assert oom["whole_group"] is True


def test_what_the_slot_leaves_is_less_than_the_slots_limit(node: Node) -> None:
    """So that the job's limit is met first, and the pilot is never a candidate."""
    _, report = run(node, "", EAT, "scope", "--property=MemoryMax=300M")
    assert 200 << 20 < report["cgroup"]["memory_limit_bytes"] < 300 << 20
    assert report["oom"]["level"] == "job"


def test_the_slots_limit(node: Node) -> None:
    _, report = run(node, "--memory 1G", EAT, "scope", "--property=MemoryMax=200M")
    assert report["oom"]["level"] == "slot"
    assert report["oom"]["limit_path"].endswith(".scope")
    assert report["kill_reason"]["name"] == "OOM_SYSTEM"


def test_a_child_was_hit_and_its_parent_ended_well(node: Node) -> None:
    payload = 'sh -c "echo 1000 > /proc/self/oom_score_adj; exec tail /dev/zero"; exit 0'
    _, report = run(node, "--memory 100", payload)
    assert report["oom"]["level"] == "job"
    assert report["kill_reason"]["name"] == "OOM_SYSTEM"


def test_137_without_a_memory_kill(node: Node) -> None:
    told, report = run(node, "--memory 100", "kill -9 $$")
    assert "payload 137" in told
    assert (report["oom"]["level"], report["oom"]["kills"]) == ("none", 0)
    assert report["kill_reason"]["name"] == "OK"


def test_a_neighbours_memory_kill_is_not_ours(node: Node) -> None:
    wait = b"touch /tmp/ready; while [ ! -e /tmp/over ]; do sleep 0.1; done; kill -9 $$\n"
    node.put(wait, "/tmp/wait.sh")
    script = f"""
        {RUN} --job waits -- sh /tmp/wait.sh & first=$!
        while [ ! -e /tmp/ready ]; do sleep 0.1; done
        gpuctl -q run --state-dir /tmp/state --memory 100 --report /tmp/eater.json -- tail /dev/zero
        touch /tmp/over; wait $first; echo "first $?"
    """
    done = node.run(script, place="scope", timeout=240)
    assert "first 137" in done.stdout, done.stderr
    ours = json.loads(node.get("/tmp/report.json"))
    eaters = json.loads(node.get("/tmp/eater.json"))
    assert (ours["oom"]["level"], ours["kill_reason"]["name"]) == ("none", "OK")
    assert eaters["oom"]["level"] == "job"
    first, second = (each["cgroup"]["path"].rpartition("/") for each in (ours, eaters))
    assert first[0] == second[0], "side by side in one slot"


def test_processes_and_cpu_time(node: Node) -> None:
    forks = "i=0; while [ $i -lt 60 ]; do sleep 3 & i=$((i+1)); done; wait; exit 5"
    told, report = run(node, "--pids 20", forks)
    assert "fork" in node.journal() + told or report["exit"]["code"] != 5
    spin = "end=$(($(date +%s)+4)); while [ $(date +%s) -lt $end ]; do :; done"
    _, report = run(node, "--cpus 0.3", spin)
    used = report["cpu_user_usec"] + report["cpu_system_usec"]
    assert 0.05 < used / report["wall_usec"] < 0.45


def test_where_nothing_is_delegated(node: Node) -> None:
    _, report = run(node, "--leave-slot never", "exit 0", "slurm")
    assert report["cgroup"]["own"] is False
    assert "no cgroup of its own" in report["cgroup"]["notes"][0]


def test_htcondor_delegates_its_slot(node: Node) -> None:
    """Since 23 the job's cgroup is its user's. A memory kill in it would end the slot and the
    pilot, so gpuctl keeps the limit itself and the kernel only slows the payload down."""
    _, report = run(node, "--leave-slot never --memory 100", EAT, "condor")
    assert report["cgroup"]["own"] is True
    assert "htcondor" in report["cgroup"]["path"]
    assert report["kill_reason"]["name"] == "MEMORY_USAGE"
    assert (report["oom"]["level"], report["oom"]["kills"]) == ("none", 0)


def test_in_slurm_the_slots_counter_is_shared(node: Node) -> None:
    told, report = run(node, "", EAT, "slurm", "--mem=150M")
    assert "payload 137" in told
    assert (report["oom"]["level"], report["oom"]["certain"]) == ("slot", False)
    assert report["kill_reason"]["name"] == "OOM_SYSTEM"


HOLD = "import sys, time; b = bytearray(int(sys.argv[1]) << 20); time.sleep(float(sys.argv[2]))"


def test_who_has_to_go_when_the_slot_runs_out(node: Node) -> None:
    """Two jobs side by side; who uses most of its request is preempted, the other one goes on."""
    node.put(HOLD.encode(), "/tmp/hold.py")
    settings = "GPUCTL_SPARED_MEMORY=50MB GPUCTL_SLOT_MARGIN=60MB GPUCTL_MACHINE_MARGIN=1MB"
    run_job = f"{settings} gpuctl -q run --state-dir /tmp/state --forced-kill-timeout 1"
    script = f"""
        {run_job} --job small --memory 400 --report /tmp/small.json -- python3 /tmp/hold.py 120 25 &
        {run_job} --job large --memory 400 --report /tmp/large.json -- python3 /tmp/hold.py 300 60 &
        wait
    """
    done = node.run(script, place="scope", options=["--property=MemoryMax=500M"], timeout=240)
    small, large = (json.loads(node.get(f"/tmp/{each}.json")) for each in ("small", "large"))
    assert large["kill_reason"]["name"] == "OOM_PREEMPTED", (done.stderr, large)
    assert large["kill_reason"]["jalien_code"] == 40
    text = large["kill_reason"]["detail"]["text"]
    assert "the slot has" in text and "job-large." in text and "the largest share" in text
    assert (small["kill_reason"]["name"], small["exit"]["code"]) == ("OK", 0)
