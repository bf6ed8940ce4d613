"""Hostile surroundings: full disks, planted directories, a masked /proc, descriptors, memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from adversarial.arena import USER, Arena, make_arena

CANNOT = 77  # a script's `exit 77`: its place cannot be had here


def in_own_mounts(
    arena: Arena, script: str, *gpuctl: object, cannot: str = "no tmpfs can be mounted here"
) -> tuple[int, str]:
    """Runs `script` as root in a mount namespace of its own; "$@" is `gpuctl run`.

    Skips the test where the script ends with CANNOT.
    """
    out = arena.folder / "out"
    wrapped = ["unshare", "-m", "sh", "-c", script, "sh", arena.binary, "run", *gpuctl]
    pid = arena.spawn(wrapped, uid=0, stdout=out, stderr=out)
    code = arena.wait(pid)
    if code == CANNOT:
        pytest.skip(cannot)
    return code, out.read_text()


@pytest.mark.parametrize("size", ["4k", "8k", "16k", "20k", "24k"])
def test_a_full_state_directory(root_arena: Arena, size: str) -> None:
    """Wherever the space ends: the job runs and says what is missing, or it does not run at all."""
    arena = root_arena
    state = arena.make_user_folder("small")
    ran = arena.folder / "ran"
    script = f'mount -t tmpfs -o size={size} tmpfs {state} || exit 77; "$@"; code=$?; find {state} -mindepth 3 | grep -v "/\\." >&2; exit $code'  # noqa: E501
    places = ("--state-dir", state, "--workdir", arena.folder)
    code, words = in_own_mounts(arena, script, *places, "--job", "j", "--", "touch", ran)
    assert code in (0, 125), words
    assert ran.exists() == (code == 0), words
    if code == 125:
        assert "No space left on device" in words
    assert not list(arena.folder.glob("*alien-job-*"))
    arena.assert_nothing_left()


def test_a_full_work_directory(root_arena: Arena) -> None:
    arena = root_arena
    place = arena.make_user_folder("small")
    script = f'mount -t tmpfs -o size=64k tmpfs {place} || exit 77; "$@"; code=$?; ls -A {place}; exit $code'  # noqa: E501
    payload = "dd if=/dev/zero of=big bs=1k count=100 2>/dev/null; echo full"
    places = ("--state-dir", arena.state, "--workdir", place)
    code, words = in_own_mounts(arena, script, "-q", *places, "--", "sh", "-c", payload)
    assert (code, words) == (0, "full\n")


def test_a_full_output_directory_is_told(root_arena: Arena) -> None:
    arena = root_arena
    place = arena.make_user_folder("small")
    report = arena.folder / "report.json"
    script = f'mount -t tmpfs -o size=64k tmpfs {place} || exit 77; "$@"'
    payload = "dd if=/dev/zero of=big bs=1k count=100 2>/dev/null; echo x > little"
    places = ("--state-dir", arena.state, "--workdir", arena.folder, "--output", place)
    options = (*places, "--report", report, "--keep", "*")
    code, words = in_own_mounts(arena, script, *options, "--", "sh", "-c", payload)
    assert code == 0, words
    text = report.read_text()
    assert "`big` was not kept" in text
    assert '"kept": [\n    "little"\n  ]' in text


def test_a_masked_proc_falls_back_to_a_session(user_arena: Arena) -> None:
    """Containers mask parts of /proc; then a user may not mount another. It is said, and `kill 0`
    is still stopped."""
    arena = user_arena
    if os.geteuid() != 0:
        pytest.skip("needs root to mask /proc")
    report = arena.folder / "report.json"
    drop = f"setpriv --reuid={USER} --regid={USER} --clear-groups"
    script = f'mount -t tmpfs tmpfs /proc/sys/kernel/../../driver || mount --bind /dev/null /proc/kcore || exit 77; exec {drop} "$@"'  # noqa: E501
    options = ("--state-dir", arena.state, "--report", report)
    payload = (arena.tools / "villain", "kill-zero")
    code, words = in_own_mounts(
        arena, script, *options, "--", *payload, cannot="/proc cannot be masked here"
    )
    assert code == 137, words
    text = report.read_text()
    assert '"process": "session"' in text
    assert "mount the own /proc" in text


def test_no_proc_at_all_is_no_start(root_arena: Arena) -> None:
    arena = root_arena
    ran = arena.folder / "ran"
    script = 'umount -l /proc || exit 77; "$@"'
    command = ("--state-dir", arena.state, "--", "touch", ran)
    code, words = in_own_mounts(arena, script, *command, cannot="/proc cannot be unmounted here")
    assert code == 125, words
    assert not ran.exists()


def test_no_user_namespaces_falls_back(tools: Path, arena_reason: str | None) -> None:
    """Inside a user namespace that may have no children."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    with make_arena(tools, arena_reason, "user") as arena:
        out = arena.folder / "out"
        report = arena.folder / "report.json"
        script = 'echo 0 > /proc/sys/user/max_user_namespaces || exit 77; shift 0; exec setpriv --bounding-set=-all --inh-caps=-all "$@"'  # noqa: E501
        gpuctl = [
            arena.binary,
            "run",
            "--state-dir",
            arena.state,
            "--report",
            report,
            "--",
            "sh",
            "-c",
            "exit 3",
        ]
        pid = arena.spawn(
            ["unshare", "-Ur", "sh", "-c", script, "sh", *gpuctl], stdout=out, stderr=out
        )
        code = arena.wait(pid)
        if code == CANNOT:
            pytest.skip("max_user_namespaces cannot be set here")
        assert code == 3, out.read_text()
        assert '"process": "session"' in report.read_text()


# ---- planted directories ----


def shared_state(arena: Arena) -> Path:
    arena.state.mkdir()
    arena.state.chmod(0o1777)
    return arena.state


def test_anothers_jobs_folder_is_not_used(tools: Path, arena_reason: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to be two users")
    with make_arena(tools, arena_reason, "user") as arena:
        jobs = shared_state(arena) / "jobs"
        jobs.mkdir()
        jobs.chmod(0o1777)
        (jobs / str(USER)).mkdir()
        os.chown(jobs / str(USER), 4242, 4242)
        job = arena.run([], ["true"])
        assert job.wait() == 125
        assert "belongs to somebody else" in job.stderr


def test_a_planted_link_for_the_jobs_folder(tools: Path, arena_reason: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to be two users")
    with make_arena(tools, arena_reason, "user") as arena:
        state = shared_state(arena)
        precious = arena.make_user_folder("precious")
        for name, target in (("jobs", precious), (f"jobs/{USER}", precious)):
            if "/" in name:
                (state / "jobs").unlink()
                (state / "jobs").mkdir()
                (state / "jobs").chmod(0o1777)
            (state / name).symlink_to(target)
            job = arena.run([], ["true"])
            assert job.wait() == 125, job.stderr
            assert list(precious.iterdir()) == []


def test_two_users_share_a_state_directory(tools: Path, arena_reason: str | None) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to be two users")
    with make_arena(tools, arena_reason, "user") as arena:
        shared_state(arena)
        for uid in (USER, 4242):
            pid = arena.start_gpuctl("run", "--job", "same", "--", "true", uid=uid)
            assert arena.outcome(pid)[0] == 0


def test_a_planted_job_folder(arena: Arena) -> None:
    """Things in one's own folder that are no job do no harm and stay."""
    jobs = arena.state / "jobs" / str(arena.uid)
    assert arena.run([], ["true"]).wait() == 0
    (jobs / "file.0").write_text("")
    (jobs / "empty.0").mkdir()
    (jobs / "link.0").symlink_to(arena.folder)
    fifo = jobs / "fifo.0"
    fifo.mkdir()
    os.mkfifo(fifo / "lock")
    (jobs / "half.0").mkdir()
    (jobs / "half.0" / "lock").touch()
    (jobs / "half.0" / "job.rec").write_text("gpuctl job 1\nid=ha")
    if os.geteuid() == 0:
        for each in jobs.rglob("*"):
            os.chown(each, arena.uid, arena.uid, follow_symlinks=False)
    job = arena.run([], ["sh", "-c", "exit 3"])
    assert job.wait(20) == 3, job.stderr
    assert "half.0" in job.stderr
    for name in ("file", "empty", "link", "fifo", "half"):
        code, _, words = arena.gpuctl("kill", "--job", name, "--grace", "0", timeout=30)
        assert code in (1, 2, 3), (name, words)


# ---- what the processes hold ----


def test_descriptors_and_memory(arena: Arena, fence: str) -> None:
    job = arena.run(
        ["--process-fence", fence], [arena.tools / "villain", "beat", arena.folder / "beats"]
    )
    arena.wait_for_beats()
    everybody = {each["pid"]: each for each in arena.processes()}
    [payload] = [pid for pid, each in everybody.items() if each["name"] == "villain"]
    assert sorted(arena.descriptors(payload)) == ["0", "1", "2"]
    for pid, each in everybody.items():
        if each["name"] == "gpuctl-init":
            [link] = arena.descriptors(pid).values()
            assert link.startswith("socket:")
    status = arena.read(job.supervisor, "status")
    if "asan" not in arena.read(job.supervisor, "maps"):
        assert int(status.split("VmHWM:")[1].split()[0]) < 6 * 1024
    arena.send(job.supervisor, signal.SIGTERM)
    assert job.wait() == 143


def test_the_supervisor_cannot_be_traced(user_arena: Arena) -> None:
    """Not dumpable: its memory and its descriptors are closed to processes of its own user."""
    arena = user_arena
    if os.geteuid() != 0:
        pytest.skip("needs root for the other user")
    job = arena.run(
        ["--process-fence", "session"],
        ["sh", "-c", "ls /proc/$PPID/fd/ >/dev/null 2>&1 && exit 1; exit 0"],
    )
    assert job.wait() == 0
