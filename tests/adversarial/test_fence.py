"""Row 45: a payload tries every way to a GPU that is not its own, under every rung of the ladder.

GPUs are stand-in character devices of composed nodes, `--root` names them, and their numbers are
none that a job needs (docs/design/fence.md says what `--root` means for /dev).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from nodes.compose import NODES, KfdGpu, compose
from nodes.description import AMD, DISPLAY, Function, Node
from nodes.stand_ins import put_mig, put_nodes

from adversarial.arena import Arena, Job, v2_mount

FULL, ZERO, TUN, FUSE, ABSENT = (1, 7), (1, 5), (10, 200), (10, 229), (195, 3)


@dataclass(frozen=True)
class Rung:
    """`without`: what is taken away so that the ladder ends there."""

    device: str
    process: str
    without: str = ""

    @property
    def name(self) -> str:
        return f"{self.device}-{self.process}"


PRIVATE_DEV = Rung("private_dev", "pid_namespace")
RUNGS = [
    PRIVATE_DEV,
    Rung("landlock", "pid_namespace", "private_dev"),
    Rung("landlock", "session", "namespaces"),
    Rung("landlock", "session", "namespaces,landlock_scope,seccomp"),
    Rung("device_filter", "pid_namespace", "private_dev,landlock"),
    Rung("device_filter", "session", "namespaces,landlock"),
]


@dataclass(frozen=True)
class Scene:
    """A node, a GPU of it that the job gets, with its nodes, and the nodes of all others."""

    root: Path
    gpu: str
    own: Sequence[str]
    others: dict[str, tuple[int, int]]


def nvidia(root: Path) -> Scene:
    compose("perlmutter-a100x4", root, device_nodes=False)
    others = {"nvidia1": TUN, "nvidia2": FUSE, "nvidia3": ABSENT}
    put_nodes(root, {"nvidia0": FULL, "nvidiactl": ZERO, "nvidia-uvm": ZERO, **others})
    return Scene(root, "0000:03:00.0", ("nvidia0", "nvidia-uvm", "nvidiactl"), others)


def mig(root: Path) -> Scene:
    """An instance needs the card's node and two capabilities; its sister has two of her own."""
    compose("perlmutter-a100x4", root, device_nodes=False)
    put_mig(root, {(0, 1, 0): (12, 13), (0, 2, 0): (21, 22)})
    others = {"nvidia1": TUN, "nvidia-caps/nvidia-cap21": FUSE, "nvidia-caps/nvidia-cap22": ABSENT}
    shared = {"nvidiactl": ZERO, "nvidia-uvm": ZERO, "nvidia2": ABSENT, "nvidia3": ABSENT}
    own = ("nvidia0", "nvidia-caps/nvidia-cap12", "nvidia-caps/nvidia-cap13")
    put_nodes(root, {**dict.fromkeys(own, FULL), **shared, **others})
    return Scene(root, "0000:03:00.0.mig-gi1-ci0", (*own, "nvidia-uvm", "nvidiactl"), others)


def amd(root: Path) -> Scene:
    compose("epn-mi50x8", root, device_nodes=False)
    others = {f"dri/renderD{129 + at}": ABSENT for at in range(7)}
    others |= {"dri/renderD129": TUN, "dri/card1": FUSE, "dri/card0": ABSENT}
    put_nodes(root, {"kfd": ZERO, "dri/renderD128": FULL, **others})
    return Scene(root, "0000:03:00.0", ("dri/renderD128", "kfd"), others)


def partition(root: Path) -> Scene:
    """One card in two parts: each has a renderD of its own."""
    address, files = "0000:03:00.0", {"current_compute_partition": "DPX"}
    card = Function(address, DISPLAY, AMD, "74a1", driver="amdgpu", drm=("card1", "renderD128"))
    parts = [KfdGpu(address, "74a1", 90402, 7 + at, 128 + at, 1 << 36) for at in (0, 1)]
    card = Function(**{**card.__dict__, "files": files})
    compose(Node((card,), kfd=parts, cpu_nodes=1), root, device_nodes=False)
    others = {"dri/renderD129": TUN, "dri/card1": FUSE}
    put_nodes(root, {"kfd": ZERO, "dri/renderD128": FULL, **others})
    return Scene(root, f"{address}.dpx-0", ("dri/renderD128", "kfd"), others)


def intel(root: Path) -> Scene:
    functions = [each for each in NODES["mixed-broken"]().functions if each.vendor == "8086"]
    card = next(each for each in functions if "renderD" in "".join(each.drm))
    render = next(each for each in card.drm if each.startswith("renderD"))
    compose(Node((card,)), root, device_nodes=False)
    others = {"dri/card0": TUN, "dri/renderD199": FUSE, "accel/accel0": ABSENT}
    put_nodes(root, {f"dri/{render}": FULL, **others})
    return Scene(root, card.address, (f"dri/{render}",), others)


# The vendors differ by the names of their nodes: for the others two rungs will do.
CASES = [(rung, nvidia) for rung in RUNGS]
CASES += [(rung, make) for rung in RUNGS[:2] for make in (mig, amd, partition, intel)]


@pytest.fixture
def dev_folder(arena: Arena) -> Iterator[Path]:
    """Where device nodes can be made and opened."""
    folder = arena.folder / "node"
    try:
        os.mknod(arena.folder / "probe", 0o20666, os.makedev(1, 3))
        os.close(os.open(arena.folder / "probe", os.O_RDWR))
    except PermissionError:
        pytest.skip("making device nodes needs CAP_MKNOD and a file system without nodev")
    yield folder


def run_ways(
    arena: Arena, scene: Scene, rung: Rung, other: str, number: tuple[int, int], inside: str = ""
) -> Job:
    """The job, with `ways` for one of the other nodes, after it has used its own.

    `inside`: what the payload puts around `ways`.
    """
    scratch = arena.make_user_folder(f"scratch{arena.jobs}")
    private = rung.device == "private_dev"
    own = " ".join(f"/dev/{n}" if private else str(scene.root / "dev" / n) for n in scene.own)
    ways = arena.tools / "ways"
    node = scene.root / "dev" / other
    script = f"""for own in {own}; do head -c 1 $own >{scratch}/read || exit 9; done
exec {inside} {ways} {node} $PILOT {scratch} {node.parent} {number[0]} {number[1]}"""
    env = {"GPUCTL_TEST_WITHOUT": rung.without}
    inner = ["--workdir", arena.folder, "--root", scene.root, "--gpu", scene.gpu]
    inner += ["--job", f"w{os.getpid()}-{arena.jobs}"]
    wrapper = ("sh", "-c", f'PILOT=$PPID; export PILOT; exec "$@" <{scene.root}/dev', "sh")
    return arena.run(inner, ["sh", "-c", script], env=env, wrapper=wrapper)


def skip_where_it_cannot_be(rung: Rung, arena: Arena) -> None:
    if rung.device != "device_filter":
        return
    mount = v2_mount()
    if arena.uid != 0 or mount is None or not os.access(mount, os.W_OK):
        pytest.skip("a device filter needs root and a cgroup v2 hierarchy that it may write")


@pytest.mark.parametrize(
    ("rung", "make"), CASES, ids=[f"{rung.name}-{make.__name__}" for rung, make in CASES]
)
def test_no_way_to_anothers_gpu(
    arena: Arena, dev_folder: Path, rung: Rung, make: Callable[[Path], Scene]
) -> None:
    skip_where_it_cannot_be(rung, arena)
    scene = make(dev_folder)
    for other, number in list(scene.others.items())[:2]:
        job = run_ways(arena, scene, rung, other, number)
        assert job.wait() == 0, job.stderr
        fence = job.report["fence"]
        assert (fence["device"], fence["process"]) == (rung.device, rung.process), fence
        assert fence["proof"]["holds"]
        assert {Path(each).name for each in fence["proof"]["opened"]} == {
            Path(each).name for each in scene.own
        }
        refused = {str(scene.root / "dev" / each) for each in scene.others}
        assert refused <= set(fence["proof"]["refused"])
        *opened, last = job.stdout.splitlines()
        assert opened == []
        assert int(last.split()[1]) >= 15
        arena.assert_bystanders_live(job)


@pytest.mark.parametrize("rung", RUNGS[:3], ids=lambda rung: rung.name)
def test_a_bubblewrap_of_the_payload_leads_nowhere(
    arena: Arena, dev_folder: Path, rung: Rung
) -> None:
    """Its container has what it has itself, whatever rights it gives itself there."""
    scene = nvidia(dev_folder)
    (other, number), *_ = scene.others.items()
    wrap = "bwrap --dev-bind / / --unshare-user --cap-add ALL --proc /proc"
    if rung.device == "landlock":
        wrap = f"sh -c '{wrap} true || echo refused >&2; exec \"$@\"' sh"  # it forbids mounts
    job = run_ways(arena, scene, rung, other, number, wrap)
    assert job.wait() == 0, job.stderr
    assert ("refused" in job.stderr) == (rung.device == "landlock")
    *opened, last = job.stdout.splitlines()
    assert opened == []
    assert int(last.split()[1]) >= 15


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_a_neighbour_that_has_it_leads_nowhere(arena: Arena, dev_folder: Path, rung: Rung) -> None:
    """Another job of the same user has the GPU, open, in namespaces of its own."""
    skip_where_it_cannot_be(rung, arena)
    scene = nvidia(dev_folder)
    ready = arena.make_user_folder("ready") / "now"
    holds = f"exec 9<>/dev/nvidia1; touch {ready}; exec sleep 60"
    options = ("--root", scene.root, "--gpu", "0000:41:00.0", "--job", "neighbour")
    arena.run(options, ["sh", "-c", holds])
    arena.wait_file(ready)
    job = run_ways(arena, scene, rung, "nvidia1", TUN)
    assert job.wait() == 0, job.stderr
    assert job.report["fence"]["device"] == rung.device
    *opened, last = job.stdout.splitlines()
    assert opened == []
    assert int(last.split()[1]) >= 15


def test_a_neighbour_leads_to_it_without_a_fence(arena: Arena, dev_folder: Path) -> None:
    """So that the test above could fail."""
    if not (arena.uid == 0 or os.geteuid() == 0):
        pytest.skip("two jobs of one user, whom nothing keeps apart")
    scene = nvidia(dev_folder)
    scratch = arena.make_user_folder("scratch")
    holder = arena.spawn(["sh", "-c", f"exec 9<>{scene.root}/dev/nvidia1; exec sleep 60"])
    out = arena.folder / "out"
    argv = [arena.tools / "ways", scene.root / "dev/nvidia1", "1", scratch, scene.root / "dev"]
    arena.wait_until(lambda: "9" in arena.descriptors(holder), "the neighbour's node")
    assert arena.wait(arena.spawn([*argv, *TUN], stdout=out)) == 0
    lines = set(out.read_text().splitlines())
    assert "OPEN a neighbour's descriptor, opened anew" in lines


def test_the_ways_do_work_without_a_fence(arena: Arena, dev_folder: Path) -> None:
    """So that a test above could fail."""
    scene = nvidia(dev_folder)
    scratch = arena.make_user_folder("scratch")
    node = scene.root / "dev/nvidia1"
    out = arena.folder / "out"
    argv = [arena.tools / "ways", node, "1", scratch, node.parent, *TUN]
    assert arena.wait(arena.spawn(argv, stdout=out)) == 0
    lines = out.read_text().splitlines()
    assert {"OPEN its path", "OPEN O_PATH, opened again", "OPEN a symbolic link"} <= set(lines)


@pytest.mark.parametrize("rung", RUNGS[:3], ids=lambda rung: rung.name)
def test_a_job_without_gpus_reaches_none(arena: Arena, dev_folder: Path, rung: Rung) -> None:
    scene = nvidia(dev_folder)
    script = (
        f"cat {scene.root}/dev/nvidiactl {scene.root}/dev/nvidia* /dev/nvidia*; ls /dev/nvidia*"
    )
    job = arena.run(
        ["--root", scene.root, "--fence", "strict"],
        ["sh", "-c", script],
        env={"GPUCTL_TEST_WITHOUT": rung.without},
    )
    assert job.wait() != 0
    assert job.stdout == ""
    assert job.report["state"] == "done"
    assert job.report["fence"]["device"] == rung.device
    assert len(job.report["fence"]["proof"]["refused"]) == 6


@pytest.mark.parametrize(
    ("level", "gpus", "code"),
    [
        ("strict", True, 125),
        ("strict", False, 125),
        ("best", True, 125),
        ("best", False, 0),
        ("advisory", True, 0),
    ],
)
def test_it_fails_closed_as_the_site_demands(
    arena: Arena, dev_folder: Path, level: str, gpus: bool, code: int
) -> None:
    scene = nvidia(dev_folder)
    wish = ["--gpu", scene.gpu] if gpus else []
    ran = arena.folder / "ran"
    job = arena.run(
        ["--root", scene.root, "--fence", level, *wish],
        ["sh", "-c", f"echo >{ran}"],
        env={"GPUCTL_TEST_WITHOUT": "private_dev,landlock,device_filter"},
    )
    assert job.wait() == code, job.stderr
    report = job.report
    assert (report["state"] == "never_started") == (code == 125) != ran.exists()
    assert report["fence"]["device"] == "advisory"
    assert "can be opened" in report["fence"]["proof"]["failure"]
    if code:
        assert report["kill_reason"]["name"] == "FENCE"
        assert report["kill_reason"]["detail"]["text"]
    arena.assert_nothing_left(job)


@pytest.mark.parametrize(
    ("level", "entry", "code"),
    [
        ("best", "best", 0),
        ("strict", "strict", 0),
        ("strict", "best", 125),
        ("best", None, 125),
        ("advisory", None, 0),
    ],
)
def test_a_runtimes_fence_is_put_up_inside(
    arena: Arena, dev_folder: Path, level: str, entry: str | None, code: int
) -> None:
    """Outside it gets a session; what is inside must be the entry program, at the level wanted."""
    scene = nvidia(dev_folder)
    command: list[object] = ["sh", "-c", "exit 0"]
    if entry is not None:
        command = [arena.binary, "fence-entry", f"--fence={entry}", "--", *command]
    options = ["--root", scene.root, "--gpu", scene.gpu, "--fence", level]
    env = {"GPUCTL_TEST_WITHOUT": "device_filter"}
    job = arena.run(["--process-fence", "runtime", *options], ["env", *command], env=env)
    assert job.wait() == code, job.stderr
    assert job.report["fence"]["process"] == "runtime"


def test_its_own_node_must_be_there(arena: Arena, dev_folder: Path) -> None:
    """Where it is missing the GPU is not given at all; one that does not open is the fence's to
    find (tests/cpp/fence/device_fence_test.cpp)."""
    scene = nvidia(dev_folder)
    (scene.root / "dev/nvidia0").unlink()
    job = arena.run(["--root", scene.root, "--gpu", scene.gpu], ["true"])
    assert job.wait() == 125
    assert job.report["kill_reason"]["name"] == "GPU_UNAVAILABLE"


def test_the_filter_of_the_slot_counts_when_it_is_proven(arena: Arena, dev_folder: Path) -> None:
    """What a batch system keeps from the slot is kept from the job: here by the nodes' rights."""
    if arena.uid == 0:
        pytest.skip("rights do not keep root off")
    scene = nvidia(dev_folder)
    for name in scene.others:
        (scene.root / "dev" / name).chmod(0o600)
    put_nodes(scene.root, {"nvidia-modeset": ZERO})  # which batch systems leave open
    job = arena.run(
        ["--root", scene.root, "--gpu", scene.gpu],
        ["true"],
        env={"GPUCTL_TEST_WITHOUT": "private_dev,landlock"},
    )
    assert job.wait() == 0, job.stderr
    assert job.report["fence"]["device"] == "slot"
    refused = {Path(each).name for each in job.report["fence"]["proof"]["refused"]}
    assert refused == set(scene.others)
