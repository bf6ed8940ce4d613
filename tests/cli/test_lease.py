"""`gpuctl reserve`, `release`, `status`, `drain`, `undrain` and `run --gpus` as whole programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ledger_site import Ledger, Run
from nodes.compose import compose
from schemas import validate

FIRST, SECOND = "0000:23:00.0", "0000:26:00.0"


@pytest.fixture
def ledger(gpuctl: Run, epn: Path, tmp_path: Path) -> Ledger:
    return Ledger(gpuctl, epn, tmp_path / "state")


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "600"])
    yield process
    process.kill()
    process.wait()


def test_a_recorded_lease_is_given_once_and_comes_back(
    ledger: Ledger, owner: subprocess.Popen[bytes]
) -> None:
    words = ("--owner-pid", owner.pid, "--gpus", 8, "--job", "4711")
    answer = ledger.json("reserve", *words)
    assert len(answer["gpus"]) == 8
    assert answer["lease"]["holder"]["pid"] == owner.pid
    refused = ledger.json("reserve", "--owner-pid", owner.pid, code=1)
    assert "0 of them free" in refused["reason"]
    status = ledger.json("status")
    assert not any(gpu["available"] for gpu in status["gpus"])
    assert {gpu["lease_id"] for gpu in status["gpus"]} == {answer["lease"]["id"]}
    assert ledger.json("release", "--job", "4711")["released"]
    assert all(gpu["available"] for gpu in ledger.json("status")["gpus"])
    events = [event["event"] for event in ledger.json("status", "--history")["events"]]
    assert events == ["granted", "releasing", "released"]


def test_the_end_of_the_owner_gives_the_gpus_back(
    ledger: Ledger, owner: subprocess.Popen[bytes]
) -> None:
    ledger.json("reserve", "--owner-pid", owner.pid, "--gpus", 8)
    owner.kill()
    owner.wait()
    (lease,) = ledger.json("status")["leases"]
    assert lease["holder"]["alive"] is False
    assert len(ledger.json("status", "--repair")["repaired"]) == 2
    assert ledger.json("status")["leases"] == []


def test_a_device_node_that_is_open_keeps_the_lease_releasing(
    ledger: Ledger, owner: subprocess.Popen[bytes]
) -> None:
    lease = ledger.json("reserve", "--owner-pid", owner.pid, "--gpus", 1)["lease"]
    (gpu,) = [g for g in ledger.json("status")["gpus"] if g["id"] == lease["units"][0]["id"]]
    node = ledger.root / gpu["device_nodes"][0].lstrip("/")
    with node.open("rb") as opened, subprocess.Popen(["sleep", "600"], stdin=opened) as villain:
        try:
            kept = ledger.json("release", lease["id"], code=1)
            assert [each["pid"] for each in kept["lease"]["blockers"]] == [villain.pid]
            assert ledger.run("release", lease["id"]).stderr.count(f"pid {villain.pid}") == 1
            assert ledger.json("status")["leases"][0]["state"] == "releasing"
        finally:
            villain.kill()
    assert ledger.json("release", lease["id"])["released"]


def test_run_takes_and_gives_back(ledger: Ledger, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ("--model", "MI50 32GB", "--gpus", 2, "--report", report)
    done = ledger.run("run", *words, "--", "sh", "-c", "echo $ROCR_VISIBLE_DEVICES")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("GPU-") == 2
    answer = json.loads(report.read_text("utf-8"))
    assert len(answer["gpus"]) == 2 and answer["lease_id"]
    assert ledger.json("status")["leases"] == []
    events = ledger.json("status", "--history")["events"]
    assert [event["event"] for event in events] == ["granted", "releasing", "released"]
    assert "pid namespace" in events[-1]["reason"] or "cgroup" in events[-1]["reason"]


def test_two_runs_never_get_the_same_gpu(ledger: Ledger) -> None:
    inner = ["--gpus", "4", "--", "sh", "-c", "echo $ROCR_VISIBLE_DEVICES; exec cat"]
    command = [ledger.binary, "run", "-q", *ledger.places, *inner]
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(2)
        )
        assert first.stdout
        assert second.stdout
        one, two = first.stdout.readline().split(b","), second.stdout.readline().split(b",")
        assert len({*map(bytes.strip, one), *map(bytes.strip, two)}) == 8
        refused = ledger.run("run", "--gpus", 1, "--", "true")
        assert refused.returncode == 125
        assert "0 of them free" in refused.stderr
        for process in (first, second):
            process.communicate()
            assert process.returncode == 0


def test_a_waiting_run_is_served_when_its_turn_comes(ledger: Ledger) -> None:
    holder = [ledger.binary, "reserve", "-q", *ledger.places, "--gpus", "8"]
    with subprocess.Popen(
        [*holder, "--", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout and first.stdout.readline() == b"\n"
        waiter = subprocess.Popen(
            [*holder, "--wait", "60s", "--", "echo", "served"], stdout=subprocess.PIPE
        )
        ledger.wait_for_state("waiting")
        os.kill(first.pid, signal.SIGKILL)
        out, _ = waiter.communicate(timeout=60)
    assert (out, waiter.returncode) == (b"served\n", 0)


def test_a_waiting_run_can_be_told_to_stop(ledger: Ledger, owner: subprocess.Popen[bytes]) -> None:
    ledger.json("reserve", "--owner-pid", owner.pid, "--gpus", 8)
    command = [ledger.binary, "run", *ledger.places, "--gpus", "1", "--wait", "10m"]
    with subprocess.Popen([*command, "--", "true"], stderr=subprocess.PIPE) as waiter:
        ledger.wait_for_state("waiting")
        waiter.terminate()
        _, words = waiter.communicate(timeout=60)
    assert waiter.returncode == 125
    assert b"while it waited for a GPU" in words
    assert [lease["state"] for lease in ledger.json("status")["leases"]] == ["held"]


def test_a_drained_gpu_gets_no_job_and_the_rest_does(ledger: Ledger) -> None:
    first, *others = ledger.gpu_ids()
    answer = ledger.json("drain", first, "--reason", "ECC errors", "--until-check")
    assert answer["drain"]["level"] == "no-new-jobs"
    (gpu,) = [gpu for gpu in ledger.json("status")["gpus"] if not gpu["available"]]
    assert (gpu["id"], gpu["drain"]) == (first, "no-new-jobs")
    words = ledger.run("run", "--gpus", 8, "--", "true").stderr
    assert "it is drained: ECC errors" in words
    assert ledger.run("run", "--gpus", len(others), "--", "true").returncode == 0
    refused = ledger.run("undrain", first)
    assert (refused.returncode, "a check that passes" in refused.stderr) == (1, True)
    assert ledger.run("undrain", first, "--", "false").returncode == 1
    assert ledger.json("undrain", first, "--", "true")["drain"]["cause"] == "check passed"
    assert ledger.run("run", "--gpus", 8, "--", "true").returncode == 0


def test_flags_may_stand_before_and_after_the_gpu(ledger: Ledger) -> None:
    first = ledger.gpu_ids()[0]
    json_last = ("drain", "--reason", "fan", first, "--json")
    for words in (json_last, ("drain", first, "--reason", "fan", "--json")):
        verb, *rest = words
        assert json.loads(ledger.run(verb, *rest).stdout)["drain"]["unit_id"] == first
        for undrain in (("--reason", "mended", first), (first, "--reason", "mended")):
            lifted = ledger.run("undrain", *undrain, "--json")
            assert json.loads(lifted.stdout)["drain"]["reason"] == "mended", lifted.stderr
            assert ledger.run(verb, *rest).returncode == 0
        assert ledger.run(verb, *rest, "--until-check").returncode == 0
        check = ("--", "sh", "-c", "test -n $ROCR_VISIBLE_DEVICES && test $1 = --reason")
        passed = ledger.run("undrain", first, "--reason", "tried", *check, "sh", "--reason")
        assert passed.returncode == 0, passed.stderr
    assert ledger.json("status")["drains"] == []


PACKAGES = [("c1", "c6"), ("c9", "ce"), ("d1", "d6"), ("d9", "de")]  # of two GPUs each


@pytest.fixture
def linked(gpuctl: Run, tmp_path: Path) -> Ledger:
    root = compose("ex235a-mi250x4", tmp_path / "ex235a", device_nodes=False)
    return Ledger(gpuctl, root, tmp_path / "state")


def buses(answer: dict[str, Any]) -> tuple[str, ...]:
    return tuple(unit["id"][5:7] for unit in answer["lease"]["units"])


def test_two_get_a_pair_and_one_parts_none(linked: Ledger, owner: subprocess.Popen[bytes]) -> None:
    reserve = ("reserve", "--owner-pid", owner.pid, "--gpus")
    one = buses(linked.json(*reserve, 1))
    assert buses(linked.json(*reserve, 2)) in PACKAGES
    two = buses(linked.json(*reserve, 1))
    assert tuple(sorted((*one, *two))) in PACKAGES, "the second single takes the first one's rest"
    assert buses(linked.json(*reserve, 2, "--same", "link")) in PACKAGES


def test_a_request_can_demand_links(linked: Ledger, owner: subprocess.Popen[bytes]) -> None:
    words = ("--owner-pid", owner.pid, "--same", "link", "--gpus")
    never = linked.json("reserve", *words, 3, code=1)  # no three are linked each to each
    assert never["lease"] is None
    assert buses(linked.json("reserve", *words, 2)) == PACKAGES[0]
    gpus = linked.json("status")["gpus"]
    assert {link["id"] for link in gpus[0]["links"]} == {gpus[n]["id"] for n in (1, 2, 6)}
    assert linked.run("reserve", *words[:2], "--same", "rope").returncode == 2


def test_what_is_linked_to_what_is_not_known_of_most(
    ledger: Ledger, owner: subprocess.Popen[bytes]
) -> None:
    words = ("--owner-pid", owner.pid, "--gpus", 2, "--same", "link")
    assert "linked to is not known" in ledger.json("reserve", *words, code=1)["reason"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 2, 0), (1, 2, 0, 3), (1, 2, 3, 0)])
def test_release_takes_its_flags_anywhere(
    ledger: Ledger, owner: subprocess.Popen[bytes], order: tuple[int, ...]
) -> None:
    lease = ledger.json("reserve", "--owner-pid", owner.pid)["lease"]["id"]
    words = (lease, "--ledger-scope", "slot", "--json")
    done = ledger.run("release", *(words[each] for each in order))
    assert json.loads(done.stdout)["released"], done.stderr


def test_an_evicting_drain_ends_the_job(ledger: Ledger, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [ledger.binary, "run", *ledger.places, "--gpus", "1"]
    words = ["--report", os.fspath(report), "--", "sh", "-c", "echo up; exec sleep 600"]
    with subprocess.Popen([*command, *words], stdout=subprocess.PIPE) as job:
        assert job.stdout and job.stdout.readline() == b"up\n"
        (lease,) = ledger.json("status")["leases"]
        unit = lease["units"][0]["id"]
        ledger.json("drain", unit, "--reason", "new driver", "--level", "evict")
        assert job.wait(timeout=60) == 128 + signal.SIGTERM
    reason = json.loads(report.read_text("utf-8"))["kill_reason"]
    assert reason["name"] == "KILLED"
    assert "new driver" in reason["detail"]["text"]


def test_watch_tells_each_change_as_one_object(
    ledger: Ledger, owner: subprocess.Popen[bytes]
) -> None:
    command = [ledger.binary, "status", *ledger.places, "--watch", "--count", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watch:
        assert watch.stdout
        before = json.loads(watch.stdout.readline())
        ledger.json("reserve", "--owner-pid", owner.pid)
        after = json.loads(watch.stdout.readline())
    for each in (before, after):
        validate("status.json", each)
    assert (len(before["leases"]), len(after["leases"])) == (0, 1)


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("reserve", (), "needs either"),
        ("reserve", ("--owner-pid", "0"), "the number of a process"),
        ("reserve", ("--owner-pid", "4194999"), "cannot be found"),
        ("reserve", ("--owner-pid", "1", "--vendor", "voodoo"), "nvidia, amd or intel"),
        ("reserve", ("--owner-pid", "1", "--gpus", "0"), "a number from 1"),
        ("reserve", ("--owner-pid", "1", "--gpu", "0000:ff:00.0"), "`gpuctl discover` lists them"),
        ("reserve", ("--owner-pid", "1", "--job", "a/b"), "id"),
        ("release", (), "needs one of LEASE"),
        ("release", ("nothing",), "no lease of this id or job"),
        ("drain", ("0000:ff:00.0", "--reason", "x"), "no GPU `0000:ff:00.0`"),
        ("drain", (FIRST,), "needs `--reason"),
        ("drain", (FIRST, "--reason", "x", "--level", "gone"), "inform, no-new-jobs or evict"),
        ("undrain", (FIRST,), "it is not drained"),
        ("undrain", (FIRST, "true"), "a check after `--`"),
        ("status", ("extra",), "takes no operand"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    ledger: Ledger, verb: str, words: tuple[str, ...], said: str
) -> None:
    done = ledger.run(verb, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_stand_in_hardware_needs_a_state_directory_of_its_own(gpuctl: Run, epn: Path) -> None:
    done = gpuctl("status", "--root", epn)
    assert done.returncode == 2
    assert "`--root` needs `--state-dir`" in done.stderr


def test_a_state_directory_that_is_made_may_end_with_slashes(
    gpuctl: Run, epn: Path, tmp_path: Path
) -> None:
    done = gpuctl("status", "--json", "--root", epn, "--state-dir", f"{tmp_path}/new//")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "ledger").is_dir()
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("new")] == ["new"]
