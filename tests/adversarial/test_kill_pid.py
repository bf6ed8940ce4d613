"""`gpuctl kill --pid`: what it ends, with and without what young kernels have, and whom it never
signals."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from adversarial.arena import Arena, make_arena

OLD_KERNELS = ["", "pidfd", "children", "pidfd,children"]
TREES = ["beat", "ignore-term", "stopped", "traced", "leader-exits", "thread-forks", "zombies"]
TREES += ["subreaper", "nested", "vfork", "bomb", "phoenix"]


def kill(arena: Arena, pid: int, *options: object, without: str = "") -> tuple[int, Any, str]:
    words = ["--json", "kill", "--pid", pid, *options]
    code, out, errors = arena.gpuctl(*words, env={"GPUCTL_TEST_WITHOUT": without})
    return code, json.loads(out)["kill"] if out else None, errors


@pytest.mark.parametrize("payload", TREES)
def test_a_tree_is_ended(arena: Arena, payload: str) -> None:
    pid = arena.spawn([arena.tools / "villain", payload, arena.folder / "beats"])
    arena.wait_for_beats()
    code, report, errors = kill(arena, pid, "--grace", 1)
    assert (code, errors) == (0, ""), report
    assert (report["proof"], report["survivors"]) == ("identities", [])
    arena.assert_nothing_left()
    arena.assert_bystanders_live()


def test_zombies_are_counted(arena: Arena) -> None:
    pid = arena.spawn([arena.tools / "villain", "zombies", arena.folder / "beats"])
    arena.wait_for_beats()
    # the last of them may not have ended yet on a busy machine
    assert 400 < kill(arena, pid, "--grace", 1)[1]["unreaped"] <= 500


def test_more_processes_than_descriptors(arena: Arena) -> None:
    """Each is held by a descriptor; a caller's limit of 64 is not the end of it."""
    tree = arena.spawn([arena.tools / "villain", "bomb", arena.folder / "beats"])
    arena.wait_until(lambda: len(arena.processes()) > 100, "a hundred processes")
    limit = 'ulimit -S -n 64; exec "$@"'
    words = ["sh", "-c", limit, "sh", arena.binary, "kill", "--pid", tree, "--grace", "0"]
    out = arena.folder / "out"
    assert arena.wait(arena.spawn(words, stdout=out, stderr=out)) == 0, out.read_text()
    arena.assert_nothing_left()


def test_who_left_before_is_not_found(arena: Arena) -> None:
    """A daemon left tree and session: `--pid` cannot know it, and its proof says how weak it is."""
    pid = arena.spawn([arena.tools / "villain", "daemon-stays", arena.folder / "beats"])
    arena.wait_for_beats()
    code, report, _ = kill(arena, pid, "--grace", 0)
    assert (code, report["proof"]) == (0, "identities")
    arena.wait_for_beats(arena.beats())
    [daemon] = [each for each in arena.processes() if each["name"] == "villain"]
    assert kill(arena, daemon["pid"], "--grace", 0)[0] == 0
    arena.assert_nothing_left()


@pytest.mark.parametrize("without", OLD_KERNELS[1:])
@pytest.mark.parametrize("payload", ["ignore-term", "thread-forks", "leader-exits"])
def test_the_same_on_old_kernels(arena: Arena, payload: str, without: str) -> None:
    pid = arena.spawn([arena.tools / "villain", payload, arena.folder / "beats"])
    arena.wait_for_beats()
    code, report, errors = kill(arena, pid, "--grace", 0, without=without)
    assert (code, errors) == (0, ""), report
    arena.assert_nothing_left()


@pytest.mark.parametrize("without", OLD_KERNELS)
def test_jobs_on_old_kernels(arena: Arena, fence: str, without: str) -> None:
    environment = {"GPUCTL_TEST_WITHOUT": without}
    command = [arena.tools / "villain", "comet", arena.folder / "beats"]
    job = arena.run(["--process-fence", fence, "--job", "old"], command, env=environment)
    arena.wait_for_beats()
    done = arena.gpuctl("kill", "--job", "old", "--grace", 0, env=environment)
    assert done[0] == 0, done
    assert job.wait() in (137, 143)
    arena.assert_nothing_left(job)
    arena.assert_bystanders_live(job)


def test_hidden_processes(tools: Path, arena_reason: str | None) -> None:
    """hidepid=2: the processes of others are not in /proc, the user's own are."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    with make_arena(tools, arena_reason, "user") as arena:
        folder = arena.folder
        tree = arena.spawn([tools / "villain", "ignore-term", folder / "beats"])
        arena.wait_for_beats()
        user = ["setpriv", f"--reuid={arena.uid}", f"--regid={arena.uid}", "--clear-groups"]
        hide = 'mount -o remount,hidepid=2 /proc && exec "$@"'
        words = ["unshare", "-m", "sh", "-c", hide, "sh", *user, arena.binary, "kill"]
        out = folder / "out"
        pid = arena.spawn([*words, "--pid", tree, "--grace", "0"], uid=0, stdout=out, stderr=out)
        assert arena.wait(pid) == 0, out.read_text()
        arena.assert_nothing_left()


def test_spared_by_pid_and_by_entry(arena: Arena) -> None:
    command = [arena.tools / "villain", "beat", arena.folder / "beats"]
    for option in ("PID", "KEEP=1"):
        pid = arena.spawn(command, env={"KEEP": "1"})
        arena.wait_for_beats(arena.beats())
        spare = pid if option == "PID" else option
        code, report, _ = kill(arena, pid, "--grace", 1, "--spare", spare)
        assert (code, report["signalled"], report["killed"]) == (0, 0, 1)
        assert arena.wait(pid) == 137


def test_spared_in_a_job(arena: Arena, fence: str) -> None:
    """The wrapper finishes its own work while the rest of the job is asked to end."""
    script = "KEEP= sleep 60; echo uploaded"
    options = ["--process-fence", fence, "--job", "spare", "--env", "KEEP=wrapper"]
    job = arena.run(options, ["sh", "-c", script])
    arena.wait_until(
        lambda: "sleep" in [each["name"] for each in arena.strangers(job)], "the payload's sleep"
    )
    code, _, errors = arena.gpuctl("kill", "--job", "spare", "--spare", "KEEP=wrapper")
    assert (code, errors) == (0, "")
    assert job.wait() == 0
    assert job.stdout == "uploaded\n"


# ---- whom it never signals ----


@pytest.mark.parametrize(
    ("pid", "words"),
    [
        ("0", "not a process"),
        ("-1", "not a process"),
        ("1", "not a process"),
        ("99999999999", "not a process"),
        ("4194305", "no process"),
        ("x", "--pid"),
        ("", "--pid"),
        ("$$", "gpuctl itself or an ancestor"),
        ("$PPID", "gpuctl itself or an ancestor"),
        ("-$$", "not a process"),
    ],
)
def test_numbers_that_are_refused(arena: Arena, pid: str, words: str) -> None:
    out = arena.folder / "out"
    script = f'{arena.binary} kill --pid="{pid}" --grace 0; exit $?'
    words_of = ["sh", "-c", 'sh -c "$1"; exit $?', "sh", script]  # so that $PPID is not process 1
    shell = arena.spawn(words_of, stdout=out, stderr=out)
    assert arena.wait(shell) == 2, out.read_text()
    assert words in out.read_text()
    arena.assert_bystanders_live()


def test_a_thread_is_no_process(arena: Arena) -> None:
    arena.spawn([arena.tools / "villain", "leader-exits", arena.folder / "beats"])
    arena.wait_for_beats()
    [villain] = [each for each in arena.processes() if each["name"] == "villain"]
    thread = villain["pid"] + 1
    code, _, errors = kill(arena, thread, "--grace", 0)
    assert code == 2
    assert "thread" in errors or "no process" in errors
    arena.wait_for_beats(arena.beats())


def test_another_users_process(tools: Path, arena_reason: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for the other user")
    with make_arena(tools, arena_reason, "user") as arena:
        other = arena.spawn(["sleep", "60"], uid=4242)
        arena.wait_until(lambda: "4242" in arena.read(other, "status"), "the other user")
        code, _, errors = kill(arena, other, "--grace", 0)
        assert code == 2
        assert "another user's (uid 4242)" in errors
        assert arena.alive(other)


def test_a_kernel_thread(gpuctl_binary: Path) -> None:
    """Outside of any arena: in a pid namespace there is none. Nothing is sent, or nothing can."""
    second = Path("/proc/2/stat")
    if not second.exists() or " S 0 0 0 " not in second.read_text():
        pytest.skip("kernel threads are not visible here")
    done = subprocess.run(
        [gpuctl_binary, "kill", "--pid", "2", "--grace", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "a kernel thread" in done.stderr
