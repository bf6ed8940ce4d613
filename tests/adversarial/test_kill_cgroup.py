"""`gpuctl kill --cgroup`: real groups of the v2 hierarchy, ended in each of the ways that kernels
have. Needs root to make the groups; the payload and the killer are root or a user who owns the
group."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adversarial.arena import Arena, v2_mount

WAYS = {
    "cgroup.kill": "",
    "cgroup.freeze": "cgroup_kill",
    "walk": "cgroup_kill,cgroup_freeze",
}
PAYLOADS = ["beat", "ignore-term", "comet", "bomb", "phoenix", "leader-exits", "stopped", "traced"]
OWNED = ["", "cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.type"]


class Group:
    """A cgroup of the test's own, handed to `uid`; removed at the end with all below it."""

    def __init__(self, mount: Path, uid: int) -> None:
        self.uid = uid
        self.path = mount / f"gpuctl-test-{os.getpid()}"
        self.make(self.path)

    def make(self, path: Path) -> None:
        path.mkdir()
        for name in OWNED:
            if (path / name).exists():
                os.chown(path / name, self.uid, self.uid)

    def remove(self) -> None:
        below = [each for each in self.path.rglob("*") if each.is_dir()]
        for folder in [*sorted(below, reverse=True), self.path]:
            folder.rmdir()

    def enter(self, *argv: object) -> list[str]:
        """The command of one who joins the group and gives up root."""
        join = f'echo 0 > {self.path}/cgroup.procs && exec "$@"'
        words = ["sh", "-c", join, "sh"]
        if self.uid != 0:
            words += ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        return [*words, *map(str, argv)]


@pytest.fixture
def group(arena: Arena) -> Iterator[Group]:
    mount = v2_mount()
    if os.geteuid() != 0 or mount is None or not os.access(mount, os.W_OK):
        pytest.skip("needs root and a cgroup v2 hierarchy")
    made = Group(mount, arena.uid)
    try:
        yield made
    finally:
        arena.__exit__()
        made.remove()


def start(arena: Arena, group: Group, payload: str, *more: object) -> None:
    beats = arena.folder / "beats"
    arena.spawn(group.enter(arena.tools / "villain", payload, beats, *more), uid=0)
    arena.wait_for_beats()


def end(arena: Arena, group: Group, *options: object, without: str = "") -> tuple[int, Any, str]:
    code, out, errors = arena.gpuctl(
        "--json",
        "kill",
        "--cgroup",
        group.path,
        *options,
        env={"GPUCTL_TEST_WITHOUT": without},
    )
    return code, json.loads(out)["kill"] if out else None, errors


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_ends_it(arena: Arena, group: Group, way: str, payload: str) -> None:
    start(arena, group, payload)
    code, kill, errors = end(arena, group, "--grace", 0, without=WAYS[way])
    assert (code, errors) == (0, ""), kill
    assert (kill["method"], kill["proof"], kill["survivors"]) == (way, "cgroup", [])
    arena.assert_nothing_left()
    arena.assert_bystanders_live()


def test_term_first(arena: Arena, group: Group) -> None:
    start(arena, group, "beat")
    code, kill, _ = end(arena, group, "--grace", 20)
    assert (code, kill["signalled"], kill["killed"]) == (0, 1, 0)
    arena.assert_nothing_left()


def test_zombies_are_counted(arena: Arena, group: Group) -> None:
    """A group's list leaves them out."""
    start(arena, group, "zombies")
    code, kill, _ = end(arena, group, "--grace", 20)
    assert code == 0
    assert 400 < kill["unreaped"] <= 500  # the last of them may not have ended yet


def test_an_empty_group_is_a_success(arena: Arena, group: Group) -> None:
    code, kill, _ = end(arena, group)
    assert (code, kill["signalled"], kill["killed"], kill["proof"]) == (0, 0, 0, "cgroup")


@pytest.mark.parametrize("kind", ["domain", "threaded"])
def test_groups_of_the_payload_itself(arena: Arena, group: Group, kind: str) -> None:
    """Members in groups that the payload has made below its own; in a threaded one, which has no
    list of processes."""
    inner = group.path / "a"
    group.make(inner)
    if kind == "threaded":
        (inner / "cgroup.type").write_text("threaded")
    beats = arena.folder / "beats"
    join = f'echo 0 > {inner}/cgroup.{"threads" if kind == "threaded" else "procs"} && exec "$@"'
    inside = ["sh", "-c", join, "sh", arena.tools / "villain", "ignore-term", beats]
    arena.spawn(group.enter(*inside), uid=0)
    arena.wait_until(
        lambda: "villain" in [each["name"] for each in arena.processes()] or arena.beats(),
        "the payload",
    )
    for without in WAYS.values():
        code, kill, errors = end(arena, group, "--grace", 0, without=without)
        assert (code, errors, kill["proof"]) == (0, "", "cgroup")
    arena.assert_nothing_left()


def test_a_group_that_was_left_frozen(arena: Arena, group: Group) -> None:
    """By a killer that died between freezing and thawing: the next one ends it and thaws it."""
    start(arena, group, "die-slowly")
    (group.path / "cgroup.freeze").write_text("1")
    code, kill, _ = end(arena, group, "--grace", 20)
    assert (code, kill["killed"]) == (0, 0), "it had to be thawed to act on its TERM"
    assert (group.path / "cgroup.freeze").read_text() == "0\n"
    arena.assert_nothing_left()


def test_a_payload_that_tears_at_its_groups(arena: Arena, group: Group) -> None:
    (group.path / "cgroup.max.descendants").write_text("20")
    os.chown(group.path / "cgroup.max.descendants", group.uid, group.uid)
    script = (
        f"cd {group.path}; while :; do mkdir x y z x/deep 2>/dev/null; chmod 0 x 2>/dev/null;"
        f" rmdir x/deep x y z 2>/dev/null; done"
    )
    arena.spawn(group.enter("timeout", "60", "sh", "-c", script), uid=0)
    start(arena, group, "bomb")
    code, kill, errors = end(arena, group, "--grace", 0)
    assert (code, errors, kill["proof"]) == (0, "", "cgroup")
    arena.assert_nothing_left()


def test_what_must_not_be_ended(arena: Arena, group: Group) -> None:
    out = arena.folder / "out"
    start(arena, group, "beat")
    gpuctl = [arena.binary, "kill", "--cgroup"]
    for place, words in (
        (group.path, "gpuctl itself or an ancestor"),
        ("/", "the root of the hierarchy"),
        ("/sys/fs/cgroup", "hierarchy"),
        ("/proc", "no such"),
        (f"{group.path}/../x", "`..`"),
        ("/no/such/group", "No such"),
        ("", "empty"),
    ):
        out.unlink(missing_ok=True)
        pid = arena.spawn(group.enter(*gpuctl, place), uid=0, stdout=out, stderr=out)
        assert arena.wait(pid) == 2, out.read_text()
        assert words.lower() in out.read_text().lower(), (place, out.read_text())
    before = arena.beats()
    arena.wait_for_beats(before)


def test_who_is_out_of_sight_protects_the_group(arena: Arena, group: Group) -> None:
    """Processes of another pid namespace read as 0: an ancestor of ours could be among them."""
    if arena.uid != 0:
        pytest.skip("needs root in the arena")
    outside = subprocess.Popen(["sleep", "60"])
    try:
        (group.path / "cgroup.procs").write_text(str(outside.pid))
        code, _, errors = end(arena, group, "--grace", 0)
        assert code == 2
        assert "another pid namespace" in errors
        assert outside.poll() is None
    finally:
        outside.kill()
        outside.wait()


def test_the_pilots_group_is_closed_to_a_user(user_arena: Arena) -> None:
    """A user's payload cannot end or freeze what root's group holds."""
    mount = v2_mount()
    if os.geteuid() != 0 or mount is None or not os.access(mount, os.W_OK):
        pytest.skip("needs root and a cgroup v2 hierarchy")
    made = Group(mount, 0)
    try:
        for name in ("cgroup.kill", "cgroup.freeze"):
            script = f"echo 1 2>/dev/null > {made.path}/{name} && exit 9; exit 0"
            job = user_arena.run([], ["sh", "-c", script])
            assert job.wait() == 0
    finally:
        made.remove()
