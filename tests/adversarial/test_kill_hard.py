"""Payloads that a KILL cannot reach, or that reach for what is not theirs without a signal."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from adversarial.arena import Arena


def test_unkillable_is_named_and_finished_later(root_arena: Arena, fence: str) -> None:
    """A file server that hangs: KILL does not end who waits for it. Ten seconds of patience, then
    the survivor is named, its directory stays, and a later kill ends the job."""
    arena = root_arena
    if not Path("/dev/fuse").exists():
        pytest.skip("no /dev/fuse")
    place = arena.folder / "mount"
    place.mkdir()
    server = arena.spawn([arena.tools / "stuck", place])
    arena.wait_until(lambda: "stuck" in arena.read(server, "mounts"), "the mount")
    job = arena.run(["--process-fence", fence, "--job", "hang"], ["stat", f"{place}/file"])
    arena.wait_until(lambda: arena.read(server, "comm") == "asked\n", "the payload's request")
    code, out, errors = arena.gpuctl("--json", "kill", "--job", "hang", "--grace", 0, timeout=90)
    assert code == 1, errors
    kill = json.loads(out)["kill"]
    assert kill["proof"] is None
    [survivor] = [each for each in kill["survivors"] if each["name"] == "stat"]
    assert survivor["state"] == "D"
    assert "unkillable" in errors and "`stat`, state D" in errors
    assert kill["rounds"] < 120
    assert job.wait() != 0
    assert job.report["state"] == "survivors"
    assert (arena.state / "jobs" / "0" / "hang.0").is_dir(), "what lives keeps its name"
    again, _, _ = arena.gpuctl("kill", "--job", "hang", "--grace", 0, timeout=90)
    assert again == 1
    arena.send(server)
    arena.wait_until(
        lambda: "stat" not in [each["name"] for each in arena.processes()], "the hanging one's end"
    )
    assert arena.gpuctl("kill", "--job", "hang", "--grace", 0)[0] == 0
    assert not (arena.state / "jobs" / "0" / "hang.0").exists()
    arena.assert_bystanders_live(job)


def priorities(arena: Arena, *pids: int) -> list[tuple[str, str, str]]:
    """Scheduling policy, niceness and the offer to the memory killer of each."""
    found = []
    for pid in pids:
        fields = arena.read(pid, "stat").rsplit(") ", 1)[1].split()
        found.append((fields[38], fields[16], arena.read(pid, "oom_score_adj").strip()))
    return found


def test_a_namespace_hides_the_numbers_of_others(arena: Arena) -> None:
    """Tracing, idling, limiting, offering to the memory killer: all of it needs a number."""
    waiting = arena.run([], ["sleep", "60"])
    watched = (arena.neighbour, waiting.pilot, waiting.supervisor)
    before = priorities(arena, *watched)
    job = arena.run([], [arena.tools / "villain", "abuse-numbers"])
    assert job.wait() in (0, 137)
    assert priorities(arena, *watched) == before
    for pid in watched:
        assert "TracerPid:\t0" in arena.read(pid, "status")
    arena.assert_bystanders_live(waiting)


def test_the_pilot_dies_while_the_job_is_being_ended(arena: Arena, fence: str) -> None:
    command = [arena.tools / "villain", "ignore-term", arena.folder / "beats"]
    job = arena.run(["--process-fence", fence, "--job", "j"], command)
    arena.wait_for_beats()
    killer = arena.start_gpuctl("kill", "--job", "j", "--grace", 1)
    arena.wait_until(lambda: "KILL in" in job.stderr, "the acceptance of the kill")
    arena.send(job.pilot)
    arena.send(killer)
    arena.wait(job.pilot)
    arena.wait_until(lambda: arena.strangers() == [], "the end of all of it")
    assert job.report["kill"]["survivors"] == []
    arena.assert_nothing_left()


def test_the_supervisor_dies_while_the_job_is_being_ended(arena: Arena) -> None:
    """Whoever goes on sends no second TERM to those who had theirs, and keeps the deadline."""
    options = ["--process-fence", "session", "--job", "j"]
    job = arena.run(options, [arena.tools / "villain", "fork-on-term", arena.folder / "beats"])
    arena.wait_for_beats()
    killer = arena.start_gpuctl("kill", "--job", "j", "--grace", 2)
    record = arena.state / "jobs" / str(arena.uid) / "j.0" / "kill.rec"
    arena.wait_until(lambda: record.exists() and "stage=asked" in record.read_text(), "the TERM")
    arena.send(killer)  # it would go on by itself, and be done before we are
    arena.send(job.supervisor)
    assert job.wait() == 137
    code, out, errors = arena.gpuctl("--json", "kill", "--job", "j", "--grace", 60)
    assert (code, errors) == (0, "")
    kill = json.loads(out)["kill"]
    assert kill["elapsed_usec"] < 30_000_000, "the deadline began anew"
    assert kill["killed"] >= 1, "a second TERM ended it"
    arena.assert_nothing_left(job)


def test_started_by_a_service_with_the_jobs_environment(arena: Arena, fence: str) -> None:
    """As by `systemd-run` or `at`: no descendant, no session, only the nonce tells."""
    options = ["--process-fence", fence, "--job", "j"]
    job = arena.run(options, ["sh", "-c", 'echo "$GPUCTL_JOB_NONCE"; sleep 60'])
    arena.wait_until(lambda: job.stdout.endswith("\n"), "the nonce")
    beats = arena.folder / "beats"
    arena.spawn(
        [arena.tools / "villain", "ignore-term", beats],
        env={"GPUCTL_JOB_NONCE": job.stdout.strip()},
    )
    other = arena.spawn(["sleep", "60"], env={"GPUCTL_JOB_NONCE": "0" * 32})
    arena.wait_for_beats()
    code, _, errors = arena.gpuctl("kill", "--job", "j", "--grace", 0)
    assert (code, errors) == (0, "")
    assert job.wait() == 137
    assert "records" in job.report["kill"]["method"]
    assert job.report["kill"]["proof"] == "identities"
    assert arena.alive(other)
    arena.send(other)
    arena.wait(other)
    arena.assert_nothing_left(job)


def test_killed_by_its_own_hand_is_no_kill_of_ours(arena: Arena, fence: str) -> None:
    """137 alone says nothing about memory or about us."""
    job = arena.run(["--process-fence", fence], ["sh", "-c", "kill -9 $$"])
    assert job.wait() == 137
    assert job.report["kill_reason"]["name"] == "OK"
    assert job.report["exit"]["signal"] == signal.SIGKILL


def test_killing_what_is_over(arena: Arena, fence: str) -> None:
    options = ["--process-fence", fence, "--job", "j", "--report", "/nowhere/report"]
    assert arena.gpuctl("run", *options, "--", "true")[0] == 0
    code, out, errors = arena.gpuctl("--json", "kill", "--job", "j")
    kill = json.loads(out)["kill"]
    assert (code, kill["signalled"], kill["killed"]) == (0, 0, 0), errors
    assert os.listdir(arena.state / "jobs" / str(arena.uid)) == []
