"""What a payload can do to those outside, row by row of the matrix in docs/design/fence.md."""

from __future__ import annotations

import os
import re

import pytest

from adversarial.arena import Arena, Job, v2_mount

SIGNALS = ["kill-zero", "kill-all", "kill-parent", "kill-listed", "kill-numbers"]
BARE = ["--process-fence", "session"]

# What is still open to it, of all that payloads/tamper.c tries on the pilot.
OPEN = {
    "pid_namespace": ("", set()),
    "landlock": ("namespaces", {"oom_score_adj"}),
    "seccomp": ("namespaces,landlock", {"environ", "mem", "root", "oom_score_adj"}),
}


def need_scope(arena: Arena) -> Job:
    """Skips where this kernel's Landlock does not keep signals in; the job that told it."""
    job = arena.run(BARE, ["true"])
    assert job.wait() == 0
    if not job.report["fence"]["signals_kept_in"]:
        pytest.skip("no scope of signals: Landlock of Linux 6.12")
    return job


@pytest.mark.parametrize("payload", SIGNALS)
def test_landlock_keeps_signals_in(arena: Arena, payload: str) -> None:
    probe = need_scope(arena)
    job = arena.run(BARE, [arena.tools / "villain", payload])
    assert job.wait() in (0, 10, 137), job.stderr
    arena.assert_bystanders_live(job, probe)
    arena.assert_nothing_left(job, probe)
    assert job.report["state"] == "done"


@pytest.mark.parametrize("payload", ["kill-zero", "kill-all", "kill-parent"])
def test_the_filter_keeps_off_those_above(arena: Arena, payload: str) -> None:
    """Without Landlock: `kill -1` and the pilot's own number are refused, a neighbour's is not."""
    job = arena.run(
        BARE, [arena.tools / "villain", payload], env={"GPUCTL_TEST_WITHOUT": "landlock"}
    )
    assert job.wait() in (0, 10, 137), job.stderr
    arena.assert_bystanders_live(job)
    assert job.report["fence"]["seccomp"]


def tamper(arena: Arena, without: str) -> Job:
    script = f"exec {arena.tools}/tamper $PILOT"
    wrapper = ("sh", "-c", 'PILOT=$PPID; export PILOT; exec "$@"', "sh")
    env = {"GPUCTL_TEST_WITHOUT": without}
    return arena.run([], ["sh", "-c", script], env=env, wrapper=wrapper)


@pytest.mark.parametrize("fence", OPEN)
def test_tampering_with_the_pilot(arena: Arena, fence: str) -> None:
    without, still_open = OPEN[fence]
    if fence == "landlock":
        need_scope(arena)
    job = tamper(arena, without)
    assert job.wait() == 0, job.stderr
    if arena.uid == 0 and without:
        still_open = still_open - {"mem"}  # root has lost CAP_SYS_PTRACE, its pilot has not
    assert set(job.stdout.split("\n")) - {""} <= still_open
    arena.assert_bystanders_live(job)


def test_the_ways_of_tampering_do_work(arena: Arena) -> None:
    """Without any fence; so that the test above could fail. The neighbour cannot be read until it
    has begun its own program."""
    wanted = {"kill", "prlimit", "sched_setaffinity", "environ", "oom_score_adj"}
    out = arena.folder / "out"

    def all_work() -> bool:
        assert arena.wait(arena.spawn([arena.tools / "tamper", arena.neighbour], stdout=out)) == 0
        return wanted <= set(out.read_text().splitlines())

    arena.wait_until(all_work, "every way to work")


def test_the_supervisor_can_be_read_by_nobody(arena: Arena) -> None:
    """Not by its own user either, once there is a payload."""
    job = arena.run([], ["sleep", "60"])
    out = arena.folder / "out"
    supervisor = job.supervisor
    arena.wait_until(lambda: len(arena.processes()) >= 5, "the payload")
    uid = arena.uid if arena.uid else 65534
    assert arena.wait(arena.spawn([arena.tools / "tamper", supervisor], stdout=out, uid=uid)) == 0
    worked = set(out.read_text().splitlines())
    assert not worked & {"environ", "mem", "root", "oom_score_adj", "ptrace", "process_vm_readv"}


def test_what_it_is_not_to_see(arena: Arena) -> None:
    """The state directory with its sockets is an empty folder to the payload."""
    job = arena.run(
        ["--job", "j"], ["sh", "-c", f"ls -A {arena.state}; echo mine > {arena.state}/x"]
    )
    assert (job.wait(), job.stdout) == (0, "")
    assert not (arena.state / "x").exists()


def test_its_rights(arena: Arena) -> None:
    job = arena.run([], ["grep", "-E", "CapEff|CapBnd|NoNewPrivs", "/proc/self/status"])
    assert job.wait() == 0
    status = dict(re.findall(r"(\w+):\s+(\w+)", job.stdout))
    if arena.uid == 0:  # what podman leaves to the root of a container
        assert int(status["CapEff"], 16) & ~0x800405FB == 0
        assert status["CapBnd"] == status["CapEff"]
    else:
        assert (int(status["CapEff"], 16), int(status["CapBnd"], 16)) == (0, 0)
        assert status["NoNewPrivs"] == "1"


def test_the_kernels_settings_are_read_only_to_root(root_arena: Arena) -> None:
    """By core_pattern a program would be started outside."""
    files = "/proc/sys/kernel/core_pattern /proc/sysrq-trigger"
    script = f"for f in {files}; do [ -w $f ] && echo $f; done; true"
    job = root_arena.run([], ["sh", "-c", script])
    assert (job.wait(), job.stdout) == (0, "")


def test_devices_cannot_be_reset_by_root(root_arena: Arena) -> None:
    """/sys and /proc/bus have files by which whoever may write them ends or maps any device."""
    script = (
        "for f in /sys /sys/bus/pci /sys/kernel /proc/bus /proc/irq; do "
        "[ -d $f ] && [ -w $f ] && echo $f; done; true"
    )
    job = root_arena.run([], ["sh", "-c", script])
    assert (job.wait(), job.stdout) == (0, "")


def test_the_pilots_keys_are_not_found(arena: Arena, fence: str) -> None:
    keyring = arena.tools / "keyring"
    out = arena.folder / "out"
    code = arena.wait(arena.spawn([keyring, keyring], stdout=out))
    if code == 77:
        pytest.skip("no keys can be made here")
    assert (code, out.read_text()) == (0, "found\n")
    job = arena.run(["--process-fence", fence], [keyring], wrapper=(keyring,))
    assert (job.wait(), job.stdout) == (0, "none\n")


def test_it_is_the_first_to_go_when_memory_is_short(arena: Arena, fence: str) -> None:
    job = arena.run(["--process-fence", fence], ["cat", "/proc/self/oom_score_adj"])
    assert job.wait() == 0
    assert int(job.stdout) >= 500


def test_mounts_of_the_node_still_arrive(root_arena: Arena) -> None:
    """As automounts below /cvmfs do: the payload's mounts are slaves."""
    arena = root_arena
    shared = arena.make_user_folder("shared")
    mount = (
        f"mount -t tmpfs t {shared} && mount --make-shared {shared} && mkdir {shared}/repository"
    )
    assert arena.wait(arena.spawn(["sh", "-c", mount])) == 0
    inside = f"{shared}/repository"
    script = f"echo >{shared}/began; until [ -e {inside}/file ]; do sleep 0.05; done; echo seen"
    job = arena.run(["--ttl", "20"], ["sh", "-c", script])
    began = ["sh", "-c", f"until [ -e {shared}/began ]; do sleep 0.05; done"]
    assert arena.wait(arena.spawn(began)) == 0
    late = f"mount -t tmpfs t {inside} && touch {inside}/file"
    assert arena.wait(arena.spawn(["sh", "-c", late])) == 0
    assert (job.wait(), job.stdout) == (0, "seen\n")


def test_the_network_is_not_taken_away(arena: Arena) -> None:
    job = arena.run([], ["readlink", "/proc/self/ns/net"])
    assert job.wait() == 0
    assert job.stdout.strip() == os.readlink("/proc/self/ns/net")


def test_credentials_of_the_pilot_stay_with_it(arena: Arena) -> None:
    env = {
        "X509_USER_PROXY": "/tmp/proxy",
        "BEARER_TOKEN": "secret",
        "SSH_AUTH_SOCK": "/tmp/agent",
        "JALIEN_TOKEN_CERT": "the job's",
        "JALIEN_TOKEN_KEY": "the job's",
        "ALIEN_JOB_TOKEN": "the job's",
        "META_VARIABLES": "SCITOKENS_FILE,OTHER",
        "SCITOKENS_FILE": "/wanted",
    }
    options = ["--env", "SSH_AUTH_SOCK=/given"]
    job = arena.run(options, ["env"], env=env)
    assert job.wait() == 0
    seen = dict(line.split("=", 1) for line in job.stdout.splitlines())
    assert not {"X509_USER_PROXY", "BEARER_TOKEN"} & set(seen)
    assert seen["SSH_AUTH_SOCK"] == "/given"
    assert seen["SCITOKENS_FILE"] == "/wanted"
    assert {
        seen[name] for name in ("JALIEN_TOKEN_CERT", "JALIEN_TOKEN_KEY", "ALIEN_JOB_TOKEN")
    } == {"the job's"}
    assert job.report["fence"]["withheld"] == ["BEARER_TOKEN", "SSH_AUTH_SOCK", "X509_USER_PROXY"]


def test_cgroup_files_cannot_be_written(root_arena: Arena) -> None:
    mount = v2_mount()
    if mount is None:
        pytest.skip("no cgroup v2 hierarchy")
    script = f"echo $$ > {mount}/cgroup.procs; mkdir {mount}/mine"
    job = root_arena.run([], ["sh", "-c", script])
    assert job.wait() != 0
    assert job.stderr.count("Read-only file system") == 2
