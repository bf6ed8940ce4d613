"""Conditions in which a ledger has to do the right thing: full and read-only file systems, links
and files of others, clocks, namespaces, descriptors that outlive their holder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes.compose import compose, has_device_nodes

STRANGER = 64104
FIRST_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h
Done = subprocess.CompletedProcess[str]


class Node:
    """A node below a folder that every user may enter."""

    def __init__(self, folder: Path, binary: Path) -> None:
        self.folder, self.binary = folder, str(binary)
        self.root = compose("epn-mi50x8", folder / "node")
        self.state = folder / "state"
        self.state.mkdir()
        self.state.chmod(0o1777)

    @property
    def places(self) -> list[str]:
        return ["--root", str(self.root), "--state-dir", str(self.state)]

    def words(self, verb: str, *more: object) -> list[str]:
        return [self.binary, verb, *self.places, *map(str, more)]

    def run(self, verb: str, *more: object, before: tuple[str, ...] = (), user: int = 0) -> Done:
        return subprocess.run(
            [*before, *self.words(verb, *more)],
            user=user,
            group=user,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )

    def status(self, *more: object, user: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run("status", "--json", *more, user=user).stdout)
        return answer

    def mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, str(self.state)], check=True, capture_output=True)


@pytest.fixture
def node(tools: Path) -> Iterator[Node]:
    if os.geteuid() != 0:
        pytest.skip("several users and mounts need root")
    with tempfile.TemporaryDirectory(prefix="gpuctl-hostile-", dir="/dev/shm") as name:
        Path(name).chmod(0o755)
        yield Node(Path(name), tools / "gpuctl")


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"], user=STRANGER) as process:
        yield process
        process.kill()


IN_A_MOUNT = ("unshare", "--mount", "sh", "-ec")


def in_mount(node: Node, options: str, script: str) -> Done:
    """`script` in a mount namespace where the state is a file system of its own."""
    mount = f"mount -t tmpfs -o {options},mode=1777 tmpfs {node.state}\n"
    gpuctl = f'g() {{ verb=$1; shift; {node.binary} "$verb" {" ".join(node.places)} "$@"; }}\n'
    command = [*IN_A_MOUNT, mount + gpuctl + script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare failed" in done.stderr or "permission denied" in done.stderr.lower():
        pytest.skip("no mount namespace can be made here")
    return done


def test_a_full_disk_refuses_a_reservation_and_never_a_release(node: Node) -> None:
    fill = f"dd if=/dev/zero of={node.state}/fill bs=4k 2>/dev/null || true\n"
    script = f"""
        lease=$(g reserve --owner-pid $$ | cut -d' ' -f1)
        {fill}
        g reserve --owner-pid $$ --gpus 2 && exit 9
        g release $lease
        rm {node.state}/fill
        g reserve --owner-pid $$ --gpus 8
    """
    done = in_mount(node, "size=200k", script)
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stderr
    assert "released" in done.stdout


def test_a_read_only_state_shows_what_is_and_changes_nothing(node: Node) -> None:
    script = f"""
        lease=$(g reserve --owner-pid $$ | cut -d' ' -f1)
        mount -o remount,ro {node.state}
        g status
        g release $lease && exit 9
        g reserve --owner-pid $$ && exit 9
        mount -o remount,rw {node.state}
        g release $lease
    """
    done = in_mount(node, "size=1m", script)
    assert done.returncode == 0, done.stderr
    assert "Read-only file system" in done.stderr
    assert "held" in done.stdout and "released" in done.stdout


def test_permission_denied_names_the_place(node: Node) -> None:
    node.state.chmod(0o755)
    done = node.run("reserve", "--owner-pid", os.getpid(), user=STRANGER)
    assert done.returncode in (2, 3)
    assert "ledger" in done.stderr


@pytest.mark.parametrize("mode", [0o777, 0o707])
def test_a_directory_in_which_others_replace_files_is_refused(node: Node, mode: int) -> None:
    node.state.chmod(mode)
    done = node.run("status")
    assert done.returncode == 2
    assert "not sticky" in done.stderr


def test_a_link_in_the_place_of_a_table_is_not_followed(node: Node) -> None:
    assert node.run("status").returncode == 0
    target = node.folder / "target"
    target.write_text("precious", "utf-8")
    (node.state / "ledger" / "table.0").symlink_to(target)
    done = node.run("reserve", "--owner-pid", os.getpid())
    assert done.returncode != 0
    assert "table.0" in done.stderr
    assert target.read_text("utf-8") == "precious"


def test_a_table_in_the_name_of_somebody_else_is_not_believed(node: Node) -> None:
    assert node.run("status").returncode == 0
    lease = json.loads(node.run("reserve", "--json", "--owner-pid", os.getpid()).stdout)["lease"]
    table = node.state / "ledger" / "table.0"
    forged = node.state / "ledger" / f"table.{STRANGER}"
    shutil.copy(table, forged)  # of root, in the name of a stranger
    status = node.status()
    assert [each["id"] for each in status["leases"]] == [lease["id"]]
    assert any("not believed" in problem["detail"] for problem in status["problems"])


def test_a_strangers_drain_does_not_count(node: Node) -> None:
    unit = node.status()["gpus"][0]["id"]
    done = node.run("drain", unit, "--reason", "mine", user=STRANGER)
    assert done.returncode == 2
    assert "drains are for root" in done.stderr
    forged = node.state / "ledger" / f"drain.{STRANGER}"
    assert node.run("drain", unit, "--reason", "ECC").returncode == 0
    shutil.copy(node.state / "ledger" / "drain.0", forged)
    os.chown(forged, STRANGER, STRANGER)
    assert node.run("undrain", unit).returncode == 0
    assert node.status()["drains"] == []


def test_a_stranger_sees_a_lease_and_cannot_release_it(
    node: Node, owner: subprocess.Popen[bytes]
) -> None:
    lease = json.loads(node.run("reserve", "--json", "--owner-pid", owner.pid).stdout)["lease"]
    assert node.status(user=STRANGER)["leases"][0]["id"] == lease["id"]
    done = node.run("release", lease["id"], user=STRANGER)
    assert (done.returncode, "only that user" in done.stderr) == (2, True)


def test_a_clock_that_is_set_back_changes_nothing(
    node: Node, owner: subprocess.Popen[bytes]
) -> None:
    """Expiry is of the boot clock, which nobody sets; the time of day is for people."""
    words = ("--json", "--owner-pid", owner.pid, "--expires", "1h")
    lease = json.loads(node.run("reserve", *words).stdout)["lease"]
    table = node.state / "ledger" / "table.0"
    data = bytearray(table.read_bytes())
    assert lease["expires_at"].encode()[:4] in b"202" + lease["expires_at"].encode()
    assert data.count(b"expires_at=") == 1
    assert node.status("--repair")["leases"][0]["state"] == "held"


def test_what_has_expired_is_given_to_who_waits(node: Node, owner: subprocess.Popen[bytes]) -> None:
    assert node.run("reserve", "--owner-pid", owner.pid, "--expires", "1s").returncode == 0
    words = ("--owner-pid", os.getpid(), "--gpus", "8", "--wait", "60s")
    assert node.run("reserve", *words).returncode == 0
    events = json.loads(node.run("status", "--history", "--json").stdout)["events"]
    assert [e["event"] for e in events if e["reason"] == "its time is over"] == ["releasing"]


Ahead = tuple[str, ...]


@pytest.fixture(params=["7200", "-60"])
def ahead(request: pytest.FixtureRequest) -> Ahead:
    """A command in a time namespace whose boot clock shows this much more."""
    inside = ("unshare", "--time", "--boottime", request.param, "--fork", "--kill-child")
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("no time namespace can be made here")
    return inside


@pytest.fixture(params=["", "pidfd"])
def older(request: pytest.FixtureRequest) -> Ahead:
    """Also as on kernels where only the start time tells processes apart."""
    return ("env", f"GPUCTL_TEST_WITHOUT={request.param}")


def test_an_owner_is_the_same_in_every_time_namespace(
    node: Node, owner: subprocess.Popen[bytes], ahead: Ahead, older: Ahead
) -> None:
    here, there = older, (*older, *ahead)
    for reserves, looks in ((here, there), (there, here)):
        words = ("--json", "--owner-pid", owner.pid, "--gpus", 8, "--expires", "1h")
        lease = json.loads(node.run("reserve", *words, before=reserves).stdout)["lease"]
        for before in (looks, reserves):
            again = node.run("reserve", "--owner-pid", os.getpid(), before=before)
            assert again.returncode == 1, again.stderr
            assert "it is leased" in again.stderr
            (seen,) = json.loads(node.run("status", "--repair", "--json", before=before).stdout)[
                "leases"
            ]
            assert (seen["state"], seen["holder"]["alive"]) == ("held", True)
            assert seen["holder"]["start_ticks"] == lease["holder"]["start_ticks"]
        assert node.run("release", lease["id"], before=looks).returncode == 0


def test_the_end_of_an_owner_is_seen_from_every_time_namespace(
    node: Node, ahead: Ahead, older: Ahead
) -> None:
    with subprocess.Popen(["sleep", "600"]) as owner:
        words = ("--owner-pid", owner.pid, "--gpus", 8)
        assert node.run("reserve", *words, before=older).returncode == 0
        owner.kill()
    done = node.run("status", "--repair", "--json", before=(*older, *ahead))
    assert json.loads(done.stdout)["leases"] == []


def test_who_opened_a_node_after_the_grant_keeps_it_in_every_time_namespace(
    node: Node, owner: subprocess.Popen[bytes], ahead: Ahead, tmp_path: Path
) -> None:
    """Only who had it open before the grant is none of the job's."""
    node.root = compose("epn-mi50x8", tmp_path / "node")  # not below /dev/shm, which is nodev
    if not has_device_nodes(node.root):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    reserve = ("reserve", "--json", "--owner-pid", owner.pid)
    for reserves, looks in (((), ahead), (ahead, ())):
        answer = json.loads(node.run(*reserve, before=reserves).stdout)
        path = node.root / answer["gpus"][0]["device_nodes"][0].lstrip("/")
        name = answer["lease"]["id"]
        with path.open("rb") as opened, subprocess.Popen(["sleep", "600"], stdin=opened) as late:
            try:
                kept = node.run("release", name, before=looks)
                assert (kept.returncode, f"pid {late.pid}" in kept.stderr) == (1, True)
            finally:
                late.kill()
        assert node.run("release", name, before=looks).returncode == 0


@pytest.mark.parametrize("hidden", ["foreign_proc", "pidfd"])
def test_what_cannot_be_seen_stays_taken(
    node: Node, owner: subprocess.Popen[bytes], hidden: str
) -> None:
    node.run("reserve", "--owner-pid", owner.pid, "--gpus", "8")
    env = {**os.environ, "GPUCTL_TEST_WITHOUT": hidden}
    done = subprocess.run(
        node.words("reserve", "--owner-pid", owner.pid),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "it is leased" in done.stderr


def test_an_owner_in_another_pid_namespace_cannot_be_judged(node: Node) -> None:
    inside = f"{' '.join(node.words('reserve', '--owner-pid'))} $$ && read line"
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", inside]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdout
        if not agent.stdout.readline():
            pytest.skip("no pid namespace can be made here")
        (lease,) = node.status("--repair")["leases"]
        assert lease["state"] == "held"
        assert "pid namespace" in lease["unknown"]
        assert lease["holder"]["alive"] is None
        agent.communicate()
    assert len(node.status("--repair")["leases"]) == 1  # still not known, so still taken
    released = node.run("release", lease["id"])
    if Path("/proc/self/ns/pid").stat().st_ino == FIRST_PID_NAMESPACE:  # from where all are seen
        assert released.returncode == 0
    else:
        assert released.returncode == 1
        assert "stays `releasing`: it ran in another pid namespace" in released.stderr


CHILD_OUTLIVES = """
import os, sys, gpuctl
lease = gpuctl.Host(root=sys.argv[1], state_dir=sys.argv[2]).reserve(gpus=8)
if os.fork() == 0:
    print("child", flush=True)
    sys.stdin.readline()
    os._exit(0)
os._exit(0)
"""


def test_a_child_with_the_descriptor_keeps_the_lease(node: Node) -> None:
    import sys

    command = [sys.executable, "-c", CHILD_OUTLIVES, str(node.root), str(node.state)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout and child.stdin
    assert child.stdout.readline() == b"child\n"
    assert child.wait() == 0  # the holder; what it forked goes on
    assert node.run("reserve", "--owner-pid", os.getpid()).returncode == 1
    assert node.status("--repair")["leases"][0]["state"] == "held"
    child.stdin.close()
    child.stdout.close()
    done = node.run("reserve", "--owner-pid", os.getpid(), "--wait", "60s")
    assert done.returncode == 0, done.stderr


def test_a_job_in_a_user_namespace_is_its_users(node: Node) -> None:
    """As in a rootless container that shares the state: the user is root there, and itself."""
    inside = ("unshare", "--user", "--map-root-user")
    if node.run("status", before=inside, user=STRANGER).returncode not in (0, 4):
        pytest.skip("no user namespace can be made here")
    for path in (node.root / "dev").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o666)
    assert node.run("run", "-q", "--gpus", "1", "--", "true").returncode == 0  # of root itself
    words = ("--gpus", "1", "--job", "4711", "--", "sh", "-c", "echo up; exec sleep 600")
    command = [*inside, *node.words("run", "-q", *words)]
    with subprocess.Popen(
        command, user=STRANGER, group=STRANGER, extra_groups=[], stdout=subprocess.PIPE, cwd="/"
    ) as job:
        try:
            assert job.stdout and job.stdout.readline() == b"up\n"
            (lease,) = node.status()["leases"]
            assert (lease["uid"], lease["job"]["id"]) == (STRANGER, "4711")
            for verb in ("tree", "kill"):  # of live processes: without --root
                asked = [*inside, node.binary, verb, "--state-dir", node.state, "--job", "4711"]
                done = subprocess.run(
                    asked, user=STRANGER, extra_groups=[], capture_output=True, check=False, cwd="/"
                )
                assert done.returncode == 0, done.stderr
                assert b"sleep" in done.stdout or verb == "kill"
        finally:
            job.terminate()
    assert node.status()["leases"] == []
    assert sorted(each.name for each in (node.state / "jobs").iterdir()) == ["0", str(STRANGER)]


def test_another_ledger_is_noticed_by_its_locks(node: Node) -> None:
    """As with a private /dev/shm: another state directory, the same hardware."""
    other = node.folder / "other"
    words = [node.binary, "reserve", "-q", "--root", str(node.root), "--state-dir", str(other)]
    with subprocess.Popen(
        [*words, "--gpus", "7", "--", "sh", "-c", "echo; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as held:
        assert held.stdout and held.stdout.readline() == b"\n"
        done = node.run("reserve", "--owner-pid", os.getpid(), "--gpus", "2")
        assert done.returncode == 1
        assert "another ledger" in done.stderr
        assert node.run("reserve", "--owner-pid", os.getpid(), "--gpus", "1").returncode == 0
        held.communicate()


def test_two_versions_share_one_table(node: Node, owner: subprocess.Popen[bytes]) -> None:
    """An entry of a newer gpuctl beside ours: it keeps its unit, and ours come and go."""
    lease = json.loads(node.run("reserve", "--json", "--owner-pid", owner.pid).stdout)["lease"]
    table = node.state / "ledger" / "table.0"
    data = table.read_bytes()
    assert data.count(b"gpuctl lease 1\n") == 1
    body = data[16384 : data.index(b"\0", 16384)].split(b"checksum=")[0]
    newer = body.replace(b"gpuctl lease 1\n", b"gpuctl lease 9\n")
    text = newer + b"checksum=" + fnv(newer) + b"\n\0"
    with table.open("r+b") as file:
        file.seek(16384)
        file.write(text)
    status = node.status("--repair")
    (kept,) = status["leases"]
    assert kept["id"] == lease["id"]
    assert "newer than this gpuctl knows" in kept["unknown"]
    assert node.run("run", "-q", "--gpus", "7", "--", "true").returncode == 0
    assert node.run("run", "-q", "--gpus", "8", "--", "true").returncode == 125
    assert table.read_bytes()[16384 : 16384 + len(text)] == text


def fnv(data: bytes) -> bytes:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return b"%016x" % value
