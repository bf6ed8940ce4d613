"""Who ends a job, and what dies with whom: supervisor, caller, signals, several requests at
once."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from adversarial.arena import USER, Arena, Job, make_arena, v2_mount


def jobs_on_record(arena: Arena) -> list[str]:
    folder = arena.state / "jobs" / str(arena.uid)
    return sorted(each.name for each in folder.iterdir()) if folder.exists() else []


def has_own_group(arena: Arena) -> bool:
    mount = v2_mount()
    return arena.uid == 0 and mount is not None and os.access(mount, os.W_OK)


def start(arena: Arena, payload: str, *options: object) -> Job:
    before = arena.beats()
    job = arena.run(options, [arena.tools / "villain", payload, arena.folder / "beats"])
    arena.wait_for_beats(before)
    return job


# ---- the supervisor dies ----


def test_a_killed_supervisor_takes_a_pid_namespace_along(arena: Arena) -> None:
    job = start(arena, "daemon-envless-stays", "--job", "dies")
    arena.send(job.supervisor)
    assert job.wait() == 137
    arena.wait_until(lambda: arena.strangers(job) == [], "the namespace's end")
    arena.assert_nothing_left(job)
    arena.assert_bystanders_live(job)
    code, _, errors = arena.gpuctl("kill", "--job", "dies", "--grace", "0")
    assert (code, errors) == (0, "")
    assert job.report["kill"]["proof"] == "pid_namespace"
    assert job.report["kill_reason"]["name"] == "KILLED"
    assert jobs_on_record(arena) == []


@pytest.mark.parametrize(
    "payload", ["daemon-stays", "ignore-term", "stopped", "odd-name-stays", "leader-exits"]
)
def test_kill_finishes_a_session_by_its_records(arena: Arena, payload: str) -> None:
    job = start(
        arena, payload, "--process-fence", "session", "--job", "dies", "--workdir", arena.folder
    )
    arena.send(job.supervisor)
    assert job.wait() == 137
    code, words, errors = arena.gpuctl("kill", "--job", "dies", "--grace", "1")
    assert (code, errors) == (0, ""), words
    arena.assert_nothing_left(job)
    arena.assert_bystanders_live(job)
    assert job.report["state"] == "done"
    # as root it had a cgroup of its own, whose emptiness is the better proof
    assert job.report["kill"]["proof"] == ("cgroup" if has_own_group(arena) else "identities")
    assert not (arena.folder / "alien-job-dies").exists()
    assert jobs_on_record(arena) == []


def test_the_next_start_finishes_dead_jobs(arena: Arena, fence: str) -> None:
    job = start(
        arena, "daemon-stays", "--process-fence", fence, "--job", "old", "--workdir", arena.folder
    )
    arena.send(job.supervisor)
    assert job.wait() == 137
    after = arena.run(["--job", "new"], ["true"])
    assert after.wait() == 0
    assert "finished job `old.0`" in after.stderr
    arena.assert_nothing_left(job, after)
    assert not (arena.folder / "alien-job-old").exists()
    assert job.report["state"] == "done"
    assert jobs_on_record(arena) == []


def test_a_dead_jobs_name_can_be_used_again(arena: Arena, fence: str) -> None:
    job = start(
        arena, "ignore-term", "--process-fence", fence, "--job", "same", "--workdir", arena.folder
    )
    arena.send(job.supervisor)
    assert job.wait() == 137
    again = arena.run(["--job", "same", "--workdir", arena.folder], ["sh", "-c", "pwd; exit 4"])
    assert again.wait() == 4, again.stderr
    assert again.stdout == f"{arena.folder}/alien-job-same\n"
    arena.assert_nothing_left(job, again)


def test_what_nobody_can_see_is_not_called_gone(root_arena: Arena) -> None:
    """A job of a session in one pid namespace, judged from a sibling that shares the state
    directory."""
    arena = root_arena
    job = start(arena, "daemon-stays", "--process-fence", "session", "--job", "hidden")
    arena.send(job.supervisor)
    assert job.wait() == 137
    before = arena.beats()
    gpuctl = [arena.binary, "--state-dir", arena.state, "kill", "--job", "hidden", "--grace", "0"]
    out = arena.folder / "out"
    pid = arena.spawn(["unshare", "-pf", "--mount-proc", *gpuctl], stdout=out, stderr=out)
    assert arena.wait(pid) == 1, out.read_text()
    assert "another pid namespace" in out.read_text()
    assert arena.beats() > before
    assert jobs_on_record(arena) == ["hidden.0"]
    assert arena.gpuctl("kill", "--job", "hidden", "--grace", "0")[0] == 0
    arena.assert_nothing_left(job)


def test_a_foreign_proc_is_noticed(root_arena: Arena) -> None:
    """In a pid namespace without its own /proc, numbers there are other processes: nothing may be
    signalled by them."""
    arena = root_arena
    out = arena.folder / "out"
    gpuctl = [arena.binary, "--state-dir", arena.state, "run", "--", "true"]
    pid = arena.spawn(["unshare", "-pf", *gpuctl], stdout=out, stderr=out)
    assert arena.wait(pid) == 125
    assert "does not show this pid namespace" in out.read_text()
    arena.assert_bystanders_live()


# ---- the caller dies, the supervisor stops ----


def test_the_job_outlives_its_caller(arena: Arena, fence: str) -> None:
    job = arena.run(["--process-fence", fence], ["sh", "-c", "sleep 0.3; exit 6"])
    supervisor = job.supervisor
    arena.send(job.pilot)
    arena.wait(job.pilot)
    arena.wait_until(lambda: not arena.alive(supervisor), "the end of the supervisor")
    assert job.report["exit"]["code"] == 6
    arena.assert_nothing_left(job)


@pytest.mark.parametrize(
    "wrapper", [(), ("sh", "-c", 'sleep 600 & exec "$@"', "sh")], ids=["plain", "relayed"]
)
def test_die_with_parent(arena: Arena, wrapper: tuple[str, ...]) -> None:
    job = arena.run(
        ["--die-with-parent"],
        [arena.tools / "villain", "beat", arena.folder / "beats"],
        wrapper=wrapper,
    )
    arena.wait_for_beats()
    arena.send(job.pilot)
    arena.wait_until(lambda: (job.folder / "report.json").exists(), "the report")
    assert job.report["kill_reason"]["name"] == "KILLED"
    first = arena.beats()
    arena.wait_until(
        lambda: not [each for each in arena.processes() if each["name"] == "villain"],
        "the end of the payload",
    )
    assert arena.beats() >= first


def test_a_stopped_supervisor_goes_on(arena: Arena, fence: str) -> None:
    job = arena.run(["--process-fence", fence, "--job", "stop"], ["sh", "-c", "sleep 1; exit 8"])
    arena.wait_until(lambda: "payload started" in job.stderr, "the start")
    arena.send(job.supervisor, signal.SIGSTOP)
    killer = arena.start_gpuctl("kill", "--job", "stop", "--grace", "1")
    arena.wait_until(lambda: len(arena.strangers(job)) >= 2, "the killer's start")
    arena.send(job.supervisor, signal.SIGCONT)
    assert job.wait() in (8, 143)
    assert arena.outcome(killer)[0] in (0, 2)
    arena.assert_nothing_left(job)


# ---- signals ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_term_is_passed_on_and_followed_by_kill(arena: Arena, number: signal.Signals) -> None:
    job = start(arena, "ignore-term", "--forced-kill-timeout", "1")
    arena.send(job.supervisor, number)
    assert job.wait() == 137
    assert job.report["kill_reason"]["name"] == "KILLED"
    assert number.name in job.report["kill_reason"]["detail"]["text"]
    assert job.report["kill"]["killed"] >= 1
    arena.assert_nothing_left(job)


def test_term_lets_the_payload_decide_its_code(arena: Arena, fence: str) -> None:
    job = start(arena, "die-slowly", "--process-fence", fence)
    arena.send(job.supervisor, signal.SIGTERM)
    assert job.wait() == 7
    arena.assert_nothing_left(job)


def test_int_once_is_int(arena: Arena, fence: str) -> None:
    job = start(arena, "end-on-int", "--process-fence", fence)
    arena.send(job.supervisor, signal.SIGINT)
    assert job.wait() == 42
    assert job.report["kill_reason"]["name"] == "KILLED"


def test_int_again_and_again_is_kill(arena: Arena, fence: str) -> None:
    job = start(arena, "ignore-term", "--process-fence", fence)
    # One at a time: pending INTs are one. Each moves on: INT, TERM, KILL.
    for mark in ("asked to end", None, None):
        arena.send(job.supervisor, signal.SIGINT)
        if mark:
            arena.wait_until(lambda: "KILL in" in job.stderr, "the first INT")
        else:
            arena.wait_until(
                lambda: job.has_ended() or "00000000" in pending(arena, job.supervisor),
                "the INT being read",
            )
    assert job.wait(5) == 137
    arena.assert_nothing_left(job)


def pending(arena: Arena, pid: int) -> str:
    """Whether SIGINT waits in the supervisor's queue, as the low half of ShdPnd."""
    try:
        status = arena.read(pid, "status")
    except Exception:
        return "00000000"
    line = next(each for each in status.splitlines() if each.startswith("ShdPnd:"))
    return "waiting" if int(line.split()[1], 16) & (1 << (signal.SIGINT - 1)) else "00000000"


def test_user_signals_reach_the_payload_alone(arena: Arena, fence: str) -> None:
    job = start(arena, "tell-user-signals", "--process-fence", fence)
    arena.send(job.supervisor, signal.SIGUSR1)
    arena.wait_until(lambda: "got 1" in job.stdout, "SIGUSR1")
    arena.send(job.supervisor, signal.SIGUSR2)
    assert job.wait() == 0
    assert job.stdout == "got 1\ngot 2\n"


def test_an_ignored_int_stays_ignored(arena: Arena) -> None:
    job = arena.run(
        [],
        ["sh", "-c", "sleep 0.3; exit 3"],
        wrapper=("sh", "-c", 'trap "" INT HUP; exec "$@"', "sh"),
    )
    arena.wait_until(lambda: "payload started" in job.stderr, "the start")
    arena.send(job.supervisor, signal.SIGINT)
    arena.send(job.supervisor, signal.SIGHUP)
    assert job.wait() == 3


@pytest.mark.parametrize("others", ["", "sleep 600 & "], ids=["plain", "relayed"])
def test_term_ends_the_job_also_where_the_caller_ignores_it(arena: Arena, others: str) -> None:
    """unshare(1) of util-linux 2.36 leaves it ignored to all that it starts."""
    script = f"trap '' TERM; {others}exec \"$@\""
    job = arena.run([], ["sleep", "60"], wrapper=("sh", "-c", script, "sh"))
    arena.wait_until(lambda: "payload started" in job.stderr, "the start")
    arena.send(job.supervisor, signal.SIGTERM)
    assert job.wait() == 143
    assert job.report["kill_reason"]["name"] == "KILLED"


def test_an_ignored_child_signal_does_no_harm(arena: Arena) -> None:
    """Whoever ignores SIGCHLD has its children reaped by the kernel, exit status and all."""
    for script in ('trap "" CHLD; exec "$@"', 'trap "" CHLD; sleep 600 & exec "$@"'):
        job = arena.run([], ["sh", "-c", "exit 9"], wrapper=("sh", "-c", script, "sh"))
        assert job.wait() == 9


def test_ttl(arena: Arena, fence: str) -> None:
    job = start(
        arena, "ignore-term", "--process-fence", fence, "--ttl", "1", "--forced-kill-timeout", "1"
    )
    assert job.wait() == 124
    assert job.report["kill_reason"]["name"] == "TTL"
    assert job.report["exit"]["signal_name"] == "SIGKILL"
    arena.assert_nothing_left(job)


# ---- kill requests ----


def test_two_requests_at_once(arena: Arena, fence: str) -> None:
    start_options = ["--process-fence", fence, "--job", "twice", "--forced-kill-timeout", "1"]
    job = start(arena, "ignore-term", *start_options)
    killers = [
        arena.start_gpuctl("--json", "kill", "--job", "twice", "--grace", "1") for _ in range(4)
    ]
    outcomes = [arena.outcome(each) for each in killers]
    assert [code for code, _, _ in outcomes] == [0] * 4, outcomes
    assert job.wait() == 137
    for _, out, _ in outcomes:
        kill = json.loads(out)["kill"]
        assert kill is None or kill["survivors"] == []
    arena.assert_nothing_left(job)


def test_a_request_meets_a_job_that_ends(arena: Arena) -> None:
    """Asked in the very moment of its end, the answer is still that the job is over."""
    for delay in (0.0, 0.002, 0.004, 0.006, 0.01, 0.02):
        job = arena.run(["--job", "soon"], ["sleep", delay])
        arena.wait_until(lambda: jobs_on_record(arena) or job.has_ended(), "the start")  # noqa: B023
        code, out, errors = arena.gpuctl("kill", "--job", "soon", "--grace", "1")
        assert code == 0 or (code == 2 and "no job `soon`" in errors), (code, out, errors)
        assert job.wait() in (0, 143)
        arena.assert_nothing_left(job)
        arena.send(job.pilot)


def test_root_ends_a_users_job(tools: Path, arena_reason: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with make_arena(tools, arena_reason, "user") as arena:
        job = start(arena, "ignore-term", "--job", "theirs", "--workdir", arena.folder)
        code, _, errors = arena.gpuctl("kill", "--job", f"{USER}/theirs", "--grace", "0", uid=0)
        assert (code, errors) == (0, "")
        assert job.wait() == 137
        assert "uid 0" in job.report["kill_reason"]["detail"]["text"]

        dead = start(
            arena,
            "daemon-stays",
            "--process-fence",
            "session",
            "--job",
            "dead",
            "--workdir",
            arena.folder,
        )
        arena.send(dead.supervisor)
        assert dead.wait() == 137
        code, _, errors = arena.gpuctl("kill", "--job", "dead", "--grace", "0", uid=0)
        assert (code, errors) == (0, "")
        assert (dead.folder / "report.json").stat().st_uid == USER
        assert not (arena.folder / "alien-job-dead").exists()
        arena.assert_nothing_left(job, dead)


def test_a_user_cannot_end_anothers_job(tools: Path, arena_reason: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with make_arena(tools, arena_reason, "user") as arena:
        arena.state.mkdir()
        arena.state.chmod(0o1777)
        (arena.state / "jobs").mkdir()
        (arena.state / "jobs").chmod(0o1777)
        job = start(arena, "beat", "--job", "mine")
        for wanted in ("mine", f"{USER}/mine"):
            code, _, errors = arena.gpuctl("kill", "--job", wanted, uid=4242)
            assert code == 2, errors
        assert arena.alive(job.supervisor)


# ---- races at the start ----


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_while_it_starts(arena: Arena, fence: str, number: signal.Signals) -> None:
    """Hit at any moment of its start: nothing runs on, no directory stays, no name is stuck."""
    for round_ in range(25):
        options = ["--job", "start", "--process-fence", fence, "--workdir", arena.folder]
        command = [
            arena.binary,
            "-q",
            "run",
            "--state-dir",
            arena.state,
            *options,
            "--",
            "sleep",
            "30",
        ]
        script = f'"$@" & pid=$!; sleep 0.{round_ * 5 // 6:03d}; kill -{int(number)} $pid; wait $pid; exit 0'  # noqa: E501
        pid = arena.spawn(["sh", "-c", script, "sh", *command])
        assert arena.wait(pid, 20) == 0
        arena.wait_until(lambda: arena.strangers() == [], "the end of all of it")
        if number == signal.SIGTERM:
            assert not list(arena.folder.glob("*alien-job-*")), round_
    last = arena.run(["--job", "start", "--workdir", arena.folder], ["true"])
    assert last.wait() == 0, last.stderr
    assert not [*arena.folder.glob("*alien-job-*"), *arena.folder.glob(".alien-job-*")]
    assert [
        each for each in jobs_on_record(arena) if not each.startswith(".")
    ] == []  # the dotted are swept later


def test_two_starts_of_one_id(arena: Arena) -> None:
    jobs = [arena.run(["--job", "one"], ["sleep", "0.5"]) for _ in range(3)]
    codes = sorted(job.wait() for job in jobs)
    assert codes == [0, 125, 125]
    arena.assert_nothing_left(*jobs)
