"""The job's own cgroup: born in it, shut in by it, ended by it, gone with it. Root makes it in the
real hierarchy here; with memory limits, as a user, and under systemd: tests/lab."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adversarial.arena import Arena, Job, v2_mount

JOB = f"own{os.getpid()}"  # others may run jobs of theirs in the same place


@pytest.fixture
def groups(root_arena: Arena) -> Iterator[Path]:
    """The folder in which gpuctl makes its groups; none of them is left at the end."""
    mount = v2_mount()
    if mount is None or not os.access(mount, os.W_OK):
        pytest.skip("needs a cgroup v2 hierarchy that root may write")
    place = mount / home().lstrip("/")
    yield place
    assert list(place.glob(f"job-{JOB}.*")) == []


def home() -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line[3:]
    raise AssertionError("no v2 hierarchy")


def start(arena: Arena, payload: str, *options: object) -> Job:
    job = arena.run(options, [arena.tools / "villain", payload, arena.folder / "beats"])
    arena.wait_for_beats()
    return job


def finish(arena: Arena, *arguments: object) -> dict[str, object]:
    code, out, errors = arena.gpuctl("--json", "kill", "--job", JOB, "--grace", 0, *arguments)
    assert (code, errors) == (0, "")
    kill: dict[str, object] = json.loads(out)["kill"]
    return kill


@pytest.mark.parametrize("fence", ["pid_namespace", "session"])
def test_the_payload_is_born_in_it(root_arena: Arena, groups: Path, fence: str) -> None:
    job = root_arena.run(
        ["--process-fence", fence, "--job", JOB], ["sh", "-c", "cat /proc/self/cgroup"]
    )
    assert job.wait() == 0, job.stderr
    group = job.report["cgroup"]
    assert group["own"] is True
    assert re.search(rf"/job-{JOB}\.{job.report['job']['nonce'][:12]}$", group["path"])
    assert f"0::{group['path']}" in job.stdout.splitlines()
    assert job.report["left"] == []


def test_where_the_kernel_cannot_give_birth_in_it(
    root_arena: Arena, groups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUCTL_TEST_WITHOUT", "clone_into_cgroup")
    job = root_arena.run(
        ["--job", JOB],
        ["sh", "-c", "cat /proc/self/cgroup"],
        env={"GPUCTL_TEST_WITHOUT": "clone_into_cgroup"},
    )
    assert job.wait() == 0, job.stderr
    assert f"0::{job.report['cgroup']['path']}" in job.stdout.splitlines()
    assert job.report["cgroup"]["own"] is True


def test_none_is_made_when_none_is_wanted(root_arena: Arena, groups: Path) -> None:
    job = root_arena.run(["--no-cgroups"], ["true"])
    assert job.wait() == 0
    assert job.report["cgroup"]["own"] is False
    assert "--no-cgroups" in job.report["cgroup"]["notes"][0]


def test_its_files_are_read_only_in_a_namespace(root_arena: Arena, groups: Path) -> None:
    script = 'echo 1 > "$0/cgroup.procs"; mkdir "$0/mine"'
    job = root_arena.run(["--job", JOB], ["sh", "-c", script, groups])
    assert job.wait() != 0
    assert job.stderr.count("Read-only file system") == 2, job.stderr


@pytest.mark.parametrize("payload", ["ignore-term", "comet", "bomb", "phoenix", "leader-exits"])
@pytest.mark.parametrize("fence", ["pid_namespace", "session"])
def test_it_is_ended_at_once(root_arena: Arena, groups: Path, payload: str, fence: str) -> None:
    job = start(root_arena, payload, "--process-fence", fence, "--job", JOB)
    kill = finish(root_arena)
    assert job.wait() == 137
    assert kill["method"] == "cgroup.kill"
    assert kill["proof"] == {"pid_namespace": "pid_namespace", "session": "subreaper"}[fence]
    root_arena.assert_nothing_left(job)
    root_arena.assert_bystanders_live(job)


def test_who_wiped_its_traces_is_found_in_it(root_arena: Arena, groups: Path) -> None:
    """A daemon without the job's environment, and no supervisor any more: only the group tells."""
    job = start(root_arena, "daemon-envless-stays", "--process-fence", "session", "--job", JOB)
    root_arena.send(job.supervisor)
    assert job.wait() == 137
    kill = finish(root_arena)
    assert kill["method"] == "records, cgroup.kill"
    assert kill["proof"] == "cgroup"
    root_arena.assert_nothing_left(job)
    root_arena.assert_bystanders_live(job)


def test_the_next_start_removes_the_group_of_a_dead_supervisor(
    root_arena: Arena, groups: Path
) -> None:
    job = start(root_arena, "beat", "--job", JOB)
    made = list(groups.glob(f"job-{JOB}.*"))
    assert len(made) == 1
    root_arena.send(job.supervisor)
    assert job.wait() == 137
    root_arena.wait_until(lambda: root_arena.strangers(job) == [], "the namespace's end")
    assert root_arena.run(["--job", "other"], ["true"]).wait() == 0
    assert not made[0].exists()


def test_groups_that_the_payload_made_in_it_go_too(root_arena: Arena, groups: Path) -> None:
    script = (
        'g=$0$(sed -n "s/^0:://p" /proc/self/cgroup); '
        "mkdir -p $g/a/b && echo 0 > $g/a/b/cgroup.procs"
    )
    job = root_arena.run(
        ["--process-fence", "session", "--job", JOB], ["sh", "-c", script, v2_mount()]
    )
    assert job.wait() == 0, job.stderr
    assert job.report["left"] == []


def test_a_pilot_in_it_is_no_part_of_the_job(root_arena: Arena, groups: Path) -> None:
    """Root without a namespace can put its pilot and its supervisor into its own group."""
    script = 'for p in $1; do echo $p > "$0/cgroup.procs"; done; echo moved; exec sleep 60'
    ready = root_arena.folder / "pids"
    wait = f'while ! [ -s {ready} ]; do sleep 0.05; done; set -- "$(cat {ready})";'
    place = f"{v2_mount()}$(sed -n 's/^0:://p' /proc/self/cgroup)"
    job = root_arena.run(
        ["--process-fence", "session", "--job", JOB],
        ["sh", "-c", f'{wait} exec sh -c \'{script}\' "{place}" "$1"'],
    )
    ready.write_text(f"{job.pilot} {job.supervisor}")
    root_arena.wait_until(lambda: "moved" in job.stdout, "the move")
    kill = finish(root_arena)
    assert job.wait() == 137
    assert kill["method"] == "walk"
    assert job.report["state"] == "done"
    root_arena.assert_bystanders_live(job)
    [left] = job.report["left"]
    assert JOB in left
    root_arena.send(job.pilot)
    root_arena.wait(job.pilot)
    (groups / Path(job.report["cgroup"]["path"]).name).rmdir()


def test_more_memory_than_it_may_use(arena: Arena) -> None:
    """Without a memory controller gpuctl itself measures, and says whose decision it was."""
    eater = "b = bytearray(200 << 20); print(len(b), flush=True); import time; time.sleep(60)"
    job = arena.run(
        ["--memory", "100", "--no-cgroups", "--forced-kill-timeout", "1"],
        ["python3", "-I", "-S", "-c", eater],
    )
    assert job.wait() != 0
    assert job.report["kill_reason"]["name"] == "MEMORY_USAGE"
    assert job.report["kill_reason"]["jalien_code"] == 80
    assert "PSS" in job.report["kill_reason"]["detail"]["text"]
    arena.assert_nothing_left(job)
