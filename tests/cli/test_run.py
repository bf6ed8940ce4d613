"""`gpuctl run` for a payload that behaves: exit codes, descriptors, environment and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable

import pytest
from schemas import report_in

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["pid_namespace", "session"])
def fence(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ---- exit codes ----


@pytest.mark.parametrize("code", [0, 1, 2, 3, 42, 124, 125, 126, 127, 128, 255])
def test_the_payloads_own_code(gpuctl: Run, options: list[str], tmp_path: Path, code: int) -> None:
    done = gpuctl(*options, "--", "sh", "-c", f"exit {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    report = report_in(tmp_path)
    assert (report["state"], report["exit"]["code"], report["exit"]["signal"]) == (
        "done",
        code,
        None,
    )
    assert report["kill_reason"]["name"] == "OK"
    assert report["kill"] is None


@pytest.mark.parametrize("number", [1, 2, 6, 9, 11, 14, 15, 31, 34, 64])
def test_a_signal_is_128_and_its_number(
    gpuctl: Run, options: list[str], tmp_path: Path, number: int
) -> None:
    done = gpuctl(*options, "--", "sh", "-c", f"ulimit -c 0; kill -{number} $$; sleep 5")
    assert done.returncode == 128 + number
    report = report_in(tmp_path)
    assert (report["exit"]["code"], report["exit"]["signal"]) == (None, number)
    assert report["state"] == "done"


@pytest.mark.parametrize("_", range(5))
def test_not_found(gpuctl: Run, options: list[str], tmp_path: Path, fence: str, _: int) -> None:
    done = gpuctl(*options, "--process-fence", fence, "--", "no-such-program")
    assert done.returncode == 127
    assert "`no-such-program`" in done.stderr
    report = report_in(tmp_path)
    assert (report["state"], report["started_at"]) == ("never_started", None)


def test_not_executable(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("#!/bin/sh\n")
    for command in (plain, tmp_path):
        done = gpuctl(*options, "--", command)
        assert done.returncode == 126, command
        assert report_in(tmp_path)["state"] == "never_started"


def test_a_script_without_an_interpreter_line_is_the_shells(
    gpuctl: Run, options: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text("exit 5\n")
    script.chmod(0o755)
    assert gpuctl(*options, "--", script).returncode == 5


def test_a_missing_interpreter_is_not_found(
    gpuctl: Run, options: list[str], tmp_path: Path
) -> None:
    """As the shell has it: execve(2) says ENOENT."""
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert gpuctl(*options, "--", script).returncode == 127


def test_too_long_a_command_line(gpuctl: Run, options: list[str]) -> None:
    """One word above MAX_ARG_STRLEN cannot even reach gpuctl; one that fits reaches the payload."""
    assert gpuctl(*options, "--", "true", "x" * 131_000).returncode == 0


def test_the_path_of_the_payload_is_searched(
    gpuctl: Run, options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "my-tool"
    tool.write_text("#!/bin/sh\necho mine\n")
    tool.chmod(0o755)
    done = gpuctl(*options, "--env", f"PATH={tmp_path}/bin:/usr/bin:/bin", "--", "my-tool")
    assert done.stdout == "mine\n"


def test_strict_where_it_cannot_be_had(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    env = {"GPUCTL_TEST_WITHOUT": "private_dev,landlock,device_filter"}
    done = gpuctl(*options, "--fence", "strict", "--", "touch", tmp_path / "ran", env=env)
    assert done.returncode == 125
    report = report_in(tmp_path)
    assert (report["kill_reason"]["name"], report["state"]) == ("FENCE", "never_started")
    assert report["kill_reason"]["jalien_code"] == 301
    assert not (tmp_path / "ran").exists()


# ---- descriptors ----


def test_standard_descriptors_are_the_payloads(
    gpuctl_binary: Path, options: list[str], tmp_path: Path
) -> None:
    data = os.urandom(300_000)
    command = [str(gpuctl_binary), *options, "--", "sh", "-c", "cat; echo words >&2"]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, data, b"words\n")


def test_closed_descriptors(gpuctl_binary: Path, options: list[str], tmp_path: Path) -> None:
    """What the caller closed becomes /dev/null, so that no file of ours is taken for it."""
    listing = "readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >&9"
    gpuctl = " ".join([str(gpuctl_binary), *options])
    script = f"{gpuctl} -- sh -c 'ls -l /proc/self/fd/ > {tmp_path}/fds; {listing}' <&- >&- 2>&-"
    script = script.replace(listing, "true")
    done = subprocess.run(["sh", "-c", script], check=False, timeout=60)
    assert done.returncode == 0
    text = (tmp_path / "fds").read_text()
    assert text.count("/dev/null") == 2, text  # 0 and 2; 1 is the file of the listing


def test_the_payload_sees_no_descriptor_of_ours(
    gpuctl_binary: Path, options: list[str], fence: str
) -> None:
    """Neither gpuctl's own nor what its caller left open."""
    read_end, write_end = os.pipe()
    program = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"
    command = [
        str(gpuctl_binary),
        *options,
        "--process-fence",
        fence,
        "--",
        "python3",
        "-I",
        "-S",
        "-c",
        program,
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        pass_fds=(read_end, write_end),
        timeout=60,
        text=True,
    )
    os.close(read_end)
    os.close(write_end)
    assert done.stdout == "[0, 1, 2, 3]\n"  # 3 is the listing itself


def test_a_reader_that_left(gpuctl_binary: Path, options: list[str]) -> None:
    """SIGPIPE ends the payload, as in any pipeline, even when the caller ignores it."""
    command = [str(gpuctl_binary), *options, "--", "yes"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(30) == 128 + signal.SIGPIPE


@contextmanager
def running(gpuctl_binary: Path, tmp_path: Path) -> Iterator[int]:
    """The pid of a supervisor whose payload has started, and ends with the block."""
    command = [str(gpuctl_binary), "run", "-q", "--state-dir", str(tmp_path / "s")]
    process = subprocess.Popen(
        [*command, "--", "sh", "-c", "echo; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    yield process.pid
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()


def test_init_holds_nothing_open(gpuctl_binary: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to look into init")
    with running(gpuctl_binary, tmp_path) as supervisor:
        [init] = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        links = [""] * 2
        deadline = time.monotonic() + 20
        while (
            len(links) > 1 and time.monotonic() < deadline
        ):  # the payload may be quicker than init
            with suppress(FileNotFoundError):  # closed while we look
                links = [os.readlink(each) for each in Path(f"/proc/{init}/fd").iterdir()]
    assert len(links) == 1, links
    assert links[0].startswith("socket:")


def test_memory_of_the_supervisor(gpuctl_binary: Path, tmp_path: Path) -> None:
    with running(gpuctl_binary, tmp_path) as supervisor:
        status = Path(f"/proc/{supervisor}/status").read_text()
        sanitized = (
            "asan" in Path(f"/proc/{supervisor}/maps").read_text() if os.geteuid() == 0 else False
        )
    peak_kib = int(status.split("VmHWM:")[1].split()[0])
    if not sanitized:
        assert peak_kib < 6 * 1024


# ---- environment and signals ----


def test_environment(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    env = {
        "GPUCTL_TTL": "1h",
        "GPUCTL_SECRET": "x",
        "MINE": "kept",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "ALIEN_PROC_ID": "77",
    }
    done = gpuctl(*options, "--env", "ADDED=a=b", "--env", "MINE=over", "--", "env", env=env)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    ours = {name for name in found if name.startswith("GPUCTL_")}
    assert ours == {"GPUCTL_JOB_NONCE"}
    assert found["GPUCTL_JOB_NONCE"] == report_in(tmp_path)["job"]["nonce"]
    assert len(found["GPUCTL_JOB_NONCE"]) == 32
    assert (found["ADDED"], found["MINE"]) == ("a=b", "over")
    assert found["ALIEN_PROC_ID"] == "77"
    assert found["CUDA_VISIBLE_DEVICES"] == "-1"
    assert found["ROCR_VISIBLE_DEVICES"] == "-1"


def test_the_work_directory_has_a_name_that_is_no_setting(
    gpuctl: Run, options: list[str], tmp_path: Path
) -> None:
    env = {"GPUCTL_WORKDIR": str(tmp_path)}
    done = gpuctl(*options, "--job", "j", "--", "env", env=env)
    found = [line for line in done.stdout.splitlines() if "WORKDIR=" in line]
    assert found == [f"GPUCTL_JOB_WORKDIR={tmp_path}/alien-job-j"]


@pytest.mark.parametrize("workdir", [None, "$GPUCTL_JOB_WORKDIR"])
def test_a_run_in_a_run_makes_a_work_directory_only_when_told(
    gpuctl: Run, gpuctl_binary: Path, options: list[str], tmp_path: Path, workdir: str | None
) -> None:
    told = "" if workdir is None else f'--workdir "{workdir}"'
    inner = f"{gpuctl_binary} run -q --state-dir {tmp_path}/inner --job in {told} -- pwd"
    outer = ("--workdir", tmp_path, "--job", "out", "--", "sh", "-c", f"{inner}; ls")
    done = gpuctl(*options, *outer)
    place = tmp_path / "alien-job-out"
    assert done.stdout == f"{place if workdir is None else place / 'alien-job-in'}\n", done.stderr
    assert not place.exists()


def test_a_named_job_names_its_processes(gpuctl: Run, options: list[str]) -> None:
    done = gpuctl(
        *options,
        "--job",
        "1234",
        "--",
        "sh",
        "-c",
        "echo $ALIEN_PROC_ID",
        env={"ALIEN_PROC_ID": "77"},
    )
    assert done.stdout == "1234\n"


def test_each_run_has_its_own_nonce(gpuctl: Run, options: list[str]) -> None:
    nonces = {gpuctl(*options, "--", "sh", "-c", "echo $GPUCTL_JOB_NONCE").stdout for _ in range(3)}
    assert len(nonces) == 3


def test_signals_are_as_they_should_be(gpuctl_binary: Path, options: list[str]) -> None:
    """Dispositions are default; the mask is the caller's."""

    def before() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    command = [
        str(gpuctl_binary),
        *options,
        "--",
        "grep",
        "-E",
        "^Sig(Blk|Ign|Cgt)",
        "/proc/self/status",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=before, timeout=60
    )
    values = {line.split()[0]: int(line.split()[1], 16) for line in done.stdout.splitlines()}
    assert values["SigBlk:"] == 1 << (signal.SIGUSR2 - 1)
    assert values["SigIgn:"] == 0


def test_the_callers_other_children_live(gpuctl_binary: Path, options: list[str]) -> None:
    gpuctl = " ".join([str(gpuctl_binary), *options])
    script = f"sleep 60 >/dev/null & echo $!; exec {gpuctl} -- sh -c 'exit 7'"
    done = subprocess.run(
        ["sh", "-c", script], stdout=subprocess.PIPE, text=True, check=False, timeout=30
    )
    sleeper = int(done.stdout)
    assert done.returncode == 7
    assert Path(f"/proc/{sleeper}/comm").read_text() == "sleep\n"
    os.kill(sleeper, signal.SIGKILL)


def test_a_relayed_run_passes_signals_on(gpuctl_binary: Path, options: list[str]) -> None:
    gpuctl = " ".join([str(gpuctl_binary), *options])
    script = f"sleep 60 >/dev/null & echo $!; exec {gpuctl} -- sh -c 'trap \"exit 9\" TERM; echo up; while :; do sleep 0.1; done'"  # noqa: E501
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    sleeper = int(process.stdout.readline())
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 9
    os.kill(sleeper, signal.SIGKILL)
    process.stdout.close()
