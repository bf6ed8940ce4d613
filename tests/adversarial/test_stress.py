"""Random trees of processes, killed at random moments in every way there is: `./dev test --stress`.

Nothing of them may count on, and none of the strangers around may be missed. A failure names its
seed; `--stress-seed N` runs the same trees again.
"""

from __future__ import annotations

import random
import signal
import struct
import time
from pathlib import Path

import pytest

from adversarial.arena import Arena, Job, make_arena

ROUNDS = 200
STRANGERS = 4


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    if not request.config.getoption("--stress"):
        pytest.skip("only with --stress")
    given = request.config.getoption("--stress-seed")
    return int(given) if given is not None else random.SystemRandom().randrange(1 << 30)


class Stranger:
    """A process like the payload's, in the same arena and of the same user, that is nobody's."""

    def __init__(self, arena: Arena, number: int) -> None:
        self.path = arena.folder / f"stranger{number}"
        self.pid = arena.spawn([arena.tools / "villain", "beat", self.path])

    def beats(self) -> int:
        return int(struct.unpack("Q", self.path.read_bytes()[:8])[0]) if self.path.exists() else 0


def grow(arena: Arena, dice: random.Random, fence: str, beats: Path) -> Job:
    command = [arena.tools / "villain", "forest", beats, dice.randrange(1 << 31)]
    options = ["--process-fence", fence, "--job", "tree", "--forced-kill-timeout", "1"]
    job = arena.run(options, command)
    arena.wait_until(beats.exists, "the tree")
    time.sleep(dice.random() * 0.06)
    return job


def fell(arena: Arena, dice: random.Random, job: Job) -> str:
    """One way to end it; its name."""
    way = dice.choice(["kill", "kill-at-once", "term", "int", "supervisor"])
    if way == "supervisor":
        arena.send(job.supervisor)
        job.wait()
    elif way in ("term", "int"):
        arena.send(job.supervisor, signal.SIGTERM if way == "term" else signal.SIGINT)
    if way in ("kill", "kill-at-once", "supervisor"):
        grace = "1" if way == "kill" else "0"
        code, words, errors = arena.gpuctl("kill", "--job", "tree", "--grace", grace)
        over = code == 2 and "no job `tree`" in errors
        assert code == 0 or over, (way, words, errors)
    job.wait()
    return way


def count(beats: Path) -> int:
    return int(struct.unpack("Q", beats.read_bytes()[:8])[0])


@pytest.mark.slow
@pytest.mark.parametrize("who", ["root", "user"])
def test_random_trees(tools: Path, arena_reason: str | None, seed: int, who: str) -> None:
    dice = random.Random(f"{seed} {who}")
    survivors = hit = 0
    ways: dict[str, int] = {}
    with make_arena(tools, arena_reason, who) as arena:
        strangers = [Stranger(arena, number) for number in range(STRANGERS)]
        for round_ in range(ROUNDS // 2):
            if round_ % 20 == 19:  # each lives for a minute
                for each in strangers:
                    arena.send(each.pid)
                strangers = [Stranger(arena, round_ * 10 + i) for i in range(STRANGERS)]
            beats = arena.folder / f"beats{round_}"
            job = grow(arena, dice, dice.choice(["pid_namespace", "session"]), beats)
            way = fell(arena, dice, job)
            ways[way] = ways.get(way, 0) + 1
            arena.wait_until(lambda: not arena.alive(job.supervisor), "the supervisor's end")  # noqa: B023
            if way == "supervisor":  # init dies with it, not before it
                known = {job.pilot, arena.neighbour, *(each.pid for each in strangers)}
                arena.wait_until(
                    lambda: {each["pid"] for each in arena.processes()} <= known,  # noqa: B023
                    "the namespace's end",
                )
            before, theirs = count(beats), [each.beats() for each in strangers]
            time.sleep(0.03)
            survivors += count(beats) != before
            hit += sum(not arena.alive(each.pid) for each in strangers)
            hit += sum(each.beats() < was for each, was in zip(strangers, theirs))
            arena.send(job.pilot)
            arena.wait(job.pilot)
            assert (survivors, hit) == (0, 0), f"seed {seed}, round {round_}, {way}"
    print(f"{who}: {sum(ways.values())} trees, 0 survivors, 0 strangers hit; {ways}")
