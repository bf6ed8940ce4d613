"""Payloads that leave something behind or refuse to go: afterwards nothing of them beats, and
there is a proof."""

from __future__ import annotations

import signal

import pytest

from adversarial.arena import Arena

PROOFS = {"pid_namespace": "pid_namespace", "session": "subreaper"}

# They end by themselves and leave a process behind.
LEAVERS = ["daemon", "daemon-envless", "odd-name", "same-name", "spawner-thread-ends"]

# They stay until they are ended; the right number is the payload's own end.
STAYERS = {
    "beat": 143,
    "ignore-term": 137,
    "fork-on-term": 137,
    "stopped": 143,
    "traced": 143,
    "comet": 143,
    "leader-exits": 143,
    "thread-forks": 143,
    "zombies": 143,
    "subreaper": 143,
    "nested": 143,
    "close-all": 143,
    "vfork": 143,
    "phoenix": 137,
}


@pytest.mark.parametrize("payload", LEAVERS)
def test_what_it_leaves_is_ended(arena: Arena, fence: str, payload: str) -> None:
    options = ["--process-fence", fence, "--forced-kill-timeout", "1"]
    job = arena.run(options, [arena.tools / "villain", payload, arena.folder / "beats"])
    assert job.wait() == 0, job.stderr
    arena.assert_bystanders_live(job)
    arena.assert_nothing_left(job)
    assert job.report["kill"]["proof"] == PROOFS[fence]
    assert job.report["kill"]["survivors"] == []
    assert job.report["kill_reason"]["name"] == "OK"


@pytest.mark.parametrize(("payload", "code"), STAYERS.items())
def test_kill_ends_what_stays(arena: Arena, fence: str, payload: str, code: int) -> None:
    options = ["--process-fence", fence, "--job", "stay"]
    job = arena.run(options, [arena.tools / "villain", payload, arena.folder / "beats"])
    arena.wait_for_beats()
    killed, words, errors = arena.gpuctl("kill", "--job", "stay", "--grace", "1")
    assert (killed, errors) == (0, ""), words
    assert PROOFS[fence] in words
    assert job.wait() == code, job.stderr
    arena.assert_bystanders_live(job)
    arena.assert_nothing_left(job)
    assert job.report["kill"]["proof"] == PROOFS[fence]
    assert job.report["kill_reason"]["name"] == "KILLED"
    assert not any((arena.state / "jobs" / str(arena.uid)).iterdir())


def test_the_pressure_of_zombies_is_reported(arena: Arena, fence: str) -> None:
    """Nobody can end them again; what they take from the limits of processes is told."""
    options = ["--process-fence", fence, "--job", "zombies"]
    job = arena.run(options, [arena.tools / "villain", "zombies", arena.folder / "beats"])
    arena.wait_for_beats()
    killed, words, errors = arena.gpuctl("kill", "--job", "zombies", "--grace", "1")
    assert (killed, errors) == (0, ""), words
    assert "had ended and were not reaped" in words
    assert job.wait() == 143, job.stderr
    assert 400 < job.report["kill"]["unreaped"] <= 500  # the last ones may not have ended yet
    assert any("RLIMIT_NPROC" in each for each in job.report["problems"])


def test_a_bomb_is_ended(arena: Arena, fence: str) -> None:
    options = ["--process-fence", fence, "--job", "bomb"]
    job = arena.run(options, [arena.tools / "villain", "bomb", arena.folder / "beats"])
    arena.wait_until(lambda: len(arena.processes()) > 60, "a hundred processes")
    assert arena.gpuctl("kill", "--job", "bomb", "--grace", "0")[0] == 0
    assert job.wait() == 137
    arena.assert_bystanders_live(job)
    arena.assert_nothing_left(job)


def test_one_term_per_process(user_arena: Arena, fence: str) -> None:
    """A second TERM means "abort" to many frameworks; the payload would tell it by its exit
    code."""
    arena = user_arena
    options = ["--process-fence", fence, "--job", "one", "--forced-kill-timeout", "2"]
    job = arena.run(options, [arena.tools / "villain", "fork-on-term", arena.folder / "beats"])
    arena.wait_for_beats()
    for _ in range(3):
        arena.send(job.supervisor, signal.SIGTERM)
    assert job.wait() == 137
    arena.assert_nothing_left(job)


def test_stdout_held_open_does_not_hold_the_caller(arena: Arena, fence: str) -> None:
    """A daemon keeps the pipe: the reader's end of file must come when gpuctl ends."""
    inner = f"{arena.tools}/villain daemon {arena.folder}/beats; echo done"
    gpuctl = f"{arena.binary} -q run --state-dir {arena.state} --process-fence {fence} --forced-kill-timeout 1"  # noqa: E501
    reader = arena.spawn(["sh", "-c", f"{gpuctl} -- sh -c '{inner}' | cat > {arena.folder}/out"])
    assert arena.wait(reader, 20) == 0
    assert (arena.folder / "out").read_text() == "done\n"
    arena.assert_nothing_left()


def test_idle_supervision_costs_nothing(arena: Arena, fence: str) -> None:
    job = arena.run(["--process-fence", fence], ["sleep", "1"])
    ticks = []
    while not job.has_ended():
        try:
            ticks.append(
                sum(map(int, arena.read(job.supervisor, "stat").rsplit(")", 1)[1].split()[11:13]))
            )
        except Exception:
            break
    assert job.wait() == 0
    assert ticks[-1] <= 10, "the supervisor spins"
