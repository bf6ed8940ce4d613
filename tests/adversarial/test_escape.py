"""Payloads that try to kill their way out: pilot, neighbour and supervisor live, and the report
tells the end."""

from __future__ import annotations

import pytest

from adversarial.arena import Arena

KILLERS_OF_ALL = ["kill-all", "kill-parent", "kill-listed", "kill-numbers"]


def test_kill_zero_hits_the_payload_only(arena: Arena, fence: str) -> None:
    job = arena.run(["--process-fence", fence], [arena.tools / "villain", "kill-zero"])
    assert job.wait() == 128 + 9, job.stderr
    arena.assert_bystanders_live(job)
    arena.assert_nothing_left(job)
    assert job.report["exit"]["signal_name"] == "SIGKILL"
    assert job.report["kill_reason"]["name"] == "OK"


@pytest.mark.parametrize("payload", KILLERS_OF_ALL)
def test_a_pid_namespace_keeps_signals_in(arena: Arena, payload: str) -> None:
    job = arena.run([], [arena.tools / "villain", payload])
    code = job.wait()
    arena.assert_bystanders_live(job)
    arena.assert_nothing_left(job)
    assert job.report["fence"]["process"] == "pid_namespace"
    assert job.report["state"] == "done"
    assert code in (0, 10, 137), job.stderr


def test_kill_from_a_shell(arena: Arena) -> None:
    script = "sleep 60 & for p in /proc/[0-9]*; do kill -9 ${p#/proc/}; done; kill -9 -1; kill -9 0"
    job = arena.run([], ["sh", "-c", script])
    assert job.wait() == 137
    arena.assert_bystanders_live(job)
    arena.assert_nothing_left(job)


@pytest.mark.parametrize(
    ("without", "words"),
    [("landlock", "one by one"), ("landlock,seccomp", "kill -9 -1")],
)
def test_the_weaker_fence_is_announced(arena: Arena, without: str, words: str) -> None:
    env = {"GPUCTL_TEST_WITHOUT": without}
    job = arena.run(["--process-fence", "session"], ["true"], env=env)
    assert job.wait() == 0
    assert job.report["fence"]["process"] == "session"
    assert not job.report["fence"]["signals_kept_in"]
    assert words in job.stderr


def test_init_cannot_be_hurt_from_inside(arena: Arena) -> None:
    script = "kill -9 1; kill -STOP 1; kill -TERM 1; exit 5"
    job = arena.run([], ["sh", "-c", script])
    assert job.wait() == 5


def test_killed_from_outside_it_says_so(arena: Arena) -> None:
    """Somebody ends the namespace's init: all of the payload is gone, and the supervisor tells
    it."""
    job = arena.run([], [arena.tools / "villain", "ignore-term", arena.folder / "beats"])
    arena.wait_for_beats()
    [init] = [each for each in arena.processes() if each["ppid"] == job.supervisor]
    arena.send(init["pid"])
    assert job.wait() == 137
    arena.assert_nothing_left(job)
