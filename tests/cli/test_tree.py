"""`gpuctl tree`: live trees, jobs and cgroups as a whole program, its drawing, its JSON, its
fallbacks, and everything that is no tree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import psutil
import pytest
from gpuctl import processes
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]

FAMILY = "sleep 60 & (sleep 61 & exec sleep 62) & wait"
KINDS = ["", "pidfd", "children", "pidfd,children", "foreign_proc"]


def wait_for_sleepers(pid: int, count: int) -> None:
    """Until `count` processes below `pid` are sleep(1): a fork has its parent's name until exec."""
    deadline = time.monotonic() + 30
    names: list[str] = []
    while names.count("sleep") != count:
        assert time.monotonic() < deadline, names
        names = [each.name() for each in psutil.Process(pid).children(recursive=True)]


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """sh with two children, one of which has one; all in a session that is ended at the end."""
    with subprocess.Popen(["sh", "-c", FAMILY], text=True, start_new_session=True) as process:
        wait_for_sleepers(process.pid, 3)
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def tree_of(gpuctl: Run, *arguments: object, code: int = 0, **settings: Any) -> dict[str, Any]:
    done = gpuctl("tree", "--json", *arguments, **settings)
    assert (done.returncode, done.stderr) == (code, "")
    document = json.loads(done.stdout)
    validate("tree.json", document)
    assert isinstance(document, dict)
    return document


def named(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in document["processes"] if each["name"] == name]


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_and_all_below_it(gpuctl: Run, family: subprocess.Popen[str], kind: str) -> None:
    document = tree_of(gpuctl, family.pid, env={"GPUCTL_TEST_WITHOUT": kind})
    assert document["of"] == {"by": "pid", "value": str(family.pid)}
    top, *others = document["processes"]
    assert (top["pid"], top["depth"], top["found_by"]) == (family.pid, 0, ["root"])
    assert len(others) == 3
    assert sorted(each["depth"] for each in others) == [1, 1, 2]
    for each in document["processes"]:
        assert each["sid"] == family.pid
        assert each["uid"] == os.geteuid()
        assert each["alive"]
        assert each["gpu_nodes"] == []
    assert len(named(document, "sleep")) == 3


def test_the_drawing(gpuctl: Run, family: subprocess.Popen[str]) -> None:
    ascii_lines = gpuctl("tree", family.pid, env={"LC_ALL": "C"}).stdout.splitlines()
    assert ascii_lines[0].split() == ["PID", "STATE", "CPU", "MEMORY", "PROCESS"]
    assert len(ascii_lines) == 5
    assert ascii_lines[1].endswith("MiB  sh")
    assert sum("`- " in line for line in ascii_lines) == 2  # the last of each parent
    assert sum("|- " in line for line in ascii_lines) == 1
    lines = gpuctl("tree", family.pid, env={"LC_ALL": "C.UTF-8"}).stdout.splitlines()
    drawn = [line.replace("└─ ", "`- ").replace("├─ ", "|- ").replace("│", "|") for line in lines]
    assert [line[45:] for line in drawn] == [line[45:] for line in ascii_lines]


def test_a_long_chain_stays_on_the_page(gpuctl: Run) -> None:
    chain = "f() { [ $1 = 0 ] && exec sleep 60; (f $(($1 - 1))) & wait; }; f 60"
    with subprocess.Popen(["sh", "-c", chain], start_new_session=True) as process:
        wait_for_sleepers(process.pid, 1)
        lines = gpuctl("tree", process.pid, env={"LC_ALL": "C"}).stdout.splitlines()
        os.killpg(process.pid, signal.SIGKILL)
    assert len(lines) == 62
    assert lines[-1].endswith(" (60) `- sleep")
    assert max(map(len, lines)) < 200


def test_a_kernel_thread_can_be_looked_at(gpuctl: Run) -> None:
    if not Path("/proc/2").exists() or Path("/proc/2/cmdline").read_bytes():
        pytest.skip("no kernel threads in this pid namespace")
    document = tree_of(gpuctl, "2")
    assert document["processes"][0]["name"] == "kthreadd"
    assert all(each["gpu_nodes"] == [] for each in document["processes"])


def test_names_cannot_draw(gpuctl: Run, tmp_path: Path) -> None:
    """A name of control characters and line ends stays on its line, in JSON it is kept."""
    name = "\x1b[31m) Z 1\n"
    program = tmp_path / "named.py"
    program.write_text(
        "import ctypes, time\n"
        f"ctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"
        "print(1, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        text = gpuctl("tree", process.pid).stdout
        document = tree_of(gpuctl, process.pid)
        process.kill()
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2
    assert document["processes"][0]["name"] == name
    assert document["processes"][0]["state"] == "S"


def test_a_zombie_is_dead_and_shown(gpuctl: Run) -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert "true (dead, not reaped)" in gpuctl("tree", process.pid).stdout
        [row] = tree_of(gpuctl, process.pid)["processes"]
    assert (row["state"], row["alive"]) == ("Z", False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "needs one of PID"),
        (["1", "2"], "needs one of PID"),
        (["1", "--job", "x"], "needs one of PID"),
        (["--cgroup", "/", "--job", "x"], "needs one of PID"),
        (["0"], "`0` is not the number of a process"),
        (["-1"], "unknown flag `-1`"),
        (["--", "-1"], "`-1` is not the number of a process"),
        (["+1"], "`+1` is not the number"),
        ([" 1"], "` 1` is not the number"),
        (["1x"], "`1x` is not the number"),
        (["0x1"], "`0x1` is not the number"),
        ([""], "`` is not the number"),
        (["2147483648"], "`2147483648` is not the number"),
        (["99999999999999999999999"], "is not the number"),
        (["\x1b[31m"], "`\\x1b[31m` is not the number"),
        (["--cgroup", ""], "does not begin with `/`"),
        (["--cgroup", "job"], "does not begin with `/`"),
        (["--cgroup", "/a/../b"], "holds `..`"),
        (["--job", "../x"], "`--job UID/ID`"),
        (["--job", "no-such-job"], "no job `no-such-job`"),
        (["--job", "x", "--resubmission", "-1"], "`--resubmission`"),
        (["--pid", "1"], "unknown flag `--pid`"),
    ],
)
def test_what_is_refused(gpuctl: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    done = gpuctl("tree", *arguments, env={"GPUCTL_STATE_DIR": str(tmp_path / "state")})
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not (tmp_path / "state").exists()


def test_an_unknown_switch_of_tests_is_refused(gpuctl: Run) -> None:
    done = gpuctl("tree", "1", env={"GPUCTL_TEST_WITHOUT": "everything"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "`everything` is none of" in done.stderr


def test_nobody_there_is_an_empty_answer(gpuctl: Run) -> None:
    with subprocess.Popen(["true"]) as process:
        pass
    for arguments, words in [
        ([str(process.pid)], f"no process `{process.pid}`"),
        (["2147483647"], "no process `2147483647`"),
        (["--cgroup", "/no/such/group"], "no process in cgroup `/no/such/group`"),
    ]:
        done = gpuctl("tree", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr
        assert tree_of(gpuctl, *arguments, code=1)["processes"] == []


def test_a_thread_is_named_with_its_process(gpuctl: Run) -> None:
    program = (
        "import threading, time\n"
        "thread = threading.Thread(target=time.sleep, args=(60,), daemon=True); thread.start()\n"
        "print(thread.native_id, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        thread = int(process.stdout.readline())
        for kind in KINDS:
            done = gpuctl("tree", thread, env={"GPUCTL_TEST_WITHOUT": kind})
            assert (done.returncode, done.stdout) == (2, "")
            assert f"{thread} is a thread: name its process, {process.pid}" in done.stderr
        process.kill()


def test_itself_its_parent_and_process_1(gpuctl: Run) -> None:
    """To look is harmless: nobody is refused."""
    own = tree_of(gpuctl, os.getpid())
    assert named(own, "gpuctl")[0]["ppid"] == os.getpid()
    done = gpuctl("tree", "--json", "1")
    assert done.returncode in (0, 4)  # 4: somebody's open files may not be read
    document = json.loads(done.stdout)
    validate("tree.json", document)
    assert bool(document["problems"]) == (done.returncode == 4)


def test_a_job_with_its_supervisor(gpuctl: Run, gpuctl_binary: Path, tmp_path: Path) -> None:
    state = ["--state-dir", str(tmp_path / "state")]
    with subprocess.Popen(
        [str(gpuctl_binary), "run", "-q", *state, "--job", "j", "--", "sh", "-c", FAMILY]
    ) as job:
        wait_for_sleepers(job.pid, 3)
        document = tree_of(gpuctl, "--job", "j", *state)
        typed = processes.tree(job="j", state_dir=tmp_path / "state")
        assert gpuctl("kill", "--job", "j", "--grace", "0", *state).returncode == 0
    assert document["processes"][0]["pid"] == job.pid
    assert len(named(document, "sleep")) == 3
    for each in named(document, "sleep"):
        assert {"kinship", "marker"} <= set(each["found_by"])
    assert [each.pid for each in typed] == [each["pid"] for each in document["processes"]]
    done = gpuctl("tree", "--job", "j", *state)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no job `j`" in done.stderr


def test_who_left_a_job_is_found_by_its_nonce(
    gpuctl: Run, gpuctl_binary: Path, tmp_path: Path
) -> None:
    """The supervisor is killed, and its first process with it; what that had started lives on as
    somebody's child."""
    state = ["--state-dir", str(tmp_path / "state")]
    run = [str(gpuctl_binary), "run", "-q", "--process-fence", "session", "--no-cgroups"]
    payload = "setsid sleep 60 & echo $!; wait"
    with subprocess.Popen(
        [*run, *state, "--job", "j", "--", "sh", "-c", payload], stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        left = int(job.stdout.readline())
        wait_for_sleepers(job.pid, 1)
        job.kill()
        job.wait()
        while len((document := tree_of(gpuctl, "--job", "j", *state))["processes"]) > 1:
            assert psutil.pid_exists(left)
        text = gpuctl("tree", "--job", "j", *state).stdout
        assert gpuctl("kill", "--job", "j", "--grace", "0", *state).returncode == 0
    [row] = document["processes"]
    assert row["pid"] == left
    assert row["found_by"] == ["marker"]
    assert text.splitlines()[1].endswith("sleep (left the tree)")


def test_a_look_does_not_keep_a_dead_job_from_being_finished(
    gpuctl: Run, gpuctl_binary: Path, tmp_path: Path
) -> None:
    state = ["--state-dir", str(tmp_path / "state")]
    with subprocess.Popen(
        [str(gpuctl_binary), "run", "-q", *state, "--job", "j", "--", "sleep", "60"],
        stderr=subprocess.DEVNULL,
    ) as job:
        records = tmp_path / "state" / "jobs" / str(os.geteuid()) / "j.0"
        while not (records / "payload.rec").exists():
            assert job.poll() is None
        job.kill()
    before = sorted(each.name for each in records.iterdir())
    gpuctl("tree", "--job", "j", *state)
    assert sorted(each.name for each in records.iterdir()) == before
    assert gpuctl("kill", "--job", "j", "--grace", "0", *state).returncode == 0
    assert not records.exists()


def test_open_device_nodes_of_a_recording(gpuctl: Run, tmp_path: Path) -> None:
    node = tmp_path / "root"
    for pid, ppid in ((7, 1), (8, 7)):
        folder = node / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} (py) S {ppid} 7 7 " + "0 " * 13 + "1 0 500 0 9 0\n")
    (node / "dev" / "dri").mkdir(parents=True)
    for name in ("kfd", "dri/renderD128", "null"):
        (node / "dev" / name).touch()
        (node / "proc" / "8" / "fd" / str(len(name))).symlink_to(f"/dev/{name}")
    document = tree_of(gpuctl, "7", "--root", node)
    assert [each["gpu_nodes"] for each in document["processes"]] == [
        [],
        ["/dev/dri/renderD128", "/dev/kfd"],
    ]
    lines = gpuctl("tree", "7", "--root", node).stdout.splitlines()
    assert lines[2].endswith("py [/dev/dri/renderD128 /dev/kfd]")
    assert processes.tree(7, root=node).gpu_nodes == ("/dev/dri/renderD128", "/dev/kfd")
    done = gpuctl("tree", "--job", "x", "--root", node)
    assert (done.returncode, "leave `--root` out" in done.stderr) == (2, True)


def test_a_root_without_processes(gpuctl: Run, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "proc"):
        folder.mkdir(exist_ok=True)
        done = gpuctl("tree", "1", "--root", tmp_path)
        assert (done.returncode, done.stdout) == (1, "")


def test_too_few_descriptors_are_a_problem(
    gpuctl_binary: Path, family: subprocess.Popen[str]
) -> None:
    """With so few no more than the first process can be read: half an answer says so."""
    script = f"ulimit -n 5; exec {gpuctl_binary} tree --json {family.pid}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode in (3, 4), done
    if done.returncode == 4:
        document = json.loads(done.stdout)
        validate("tree.json", document)
        assert len(document["processes"]) < 4
        assert any("may be missing" in each["detail"] for each in document["problems"])


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a pid namespace")
@pytest.mark.parametrize("what", [["1"], ["--cgroup", "/"]])
def test_the_proc_of_another_namespace_is_no_answer(gpuctl_binary: Path, what: list[str]) -> None:
    """Its numbers are other processes than those that were meant."""
    command = ["unshare", "--pid", "--fork", str(gpuctl_binary), "tree", *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.returncode, done.stdout) == (3, "")
    assert "mount -t proc" in done.stderr


def test_a_full_disk_does_not_look_like_success(gpuctl_binary: Path) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [str(gpuctl_binary), "tree", "--json", str(os.getpid())],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 3


@pytest.fixture
def hidden_tools(gpuctl_binary: Path) -> Iterator[Path]:
    """A folder that every user may enter, with gpuctl and the process that hides."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    with tempfile.TemporaryDirectory(prefix="gpuctl-tree-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(gpuctl_binary, folder / "gpuctl")
        source = Path(__file__).with_name("hidden.c")
        subprocess.run([compiler, str(source), "-o", str(folder / "hidden")], check=True)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a /proc that hides processes")
def test_who_is_below_a_hidden_process_is_found(hidden_tools: Path) -> None:
    """With hidepid=2 the process in between has a number and no files, for its own user too: all
    that can be seen are searched for its children."""
    for tool in ("unshare", "setpriv", "mount"):
        if shutil.which(tool) is None:
            pytest.skip(f"`{tool}` is not installed")
    as_user = "setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all"
    stage = f"""
        mount -t proc -o hidepid=2 proc /proc || exit 77
        exec {as_user} --inh-caps=-all sh -c '
            sh -c "{hidden_tools}/hidden & wait" &
            top=$!
            for try in 1 2 3 4 5 6 7 8 9 10; do
                said=$({hidden_tools}/gpuctl tree --json $top)
                case $said in *\\"sleep\\"*) break ;; esac
                sleep 0.2
            done
            ls /proc | grep -c "^[0-9]" >&2
            printf "%s" "$said"'
    """
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", stage],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"no /proc with hidepid here: {done.stderr}")
    document = json.loads(done.stdout)
    validate("tree.json", document)
    assert sorted(each["name"] for each in document["processes"]) == ["sh", "sleep"], done.stderr
    assert [each["depth"] for each in document["processes"]] == [0, 0]
