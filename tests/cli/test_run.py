"""`gpuctl run` for a payload that behaves: exit codes, descriptors, environment, report, events,
places."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import pytest
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["pid_namespace", "session"])
def fence(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    return [
        "run",
        "-q",
        "--state-dir",
        str(tmp_path / "state"),
        "--report",
        str(tmp_path / "report.json"),
    ]


def report_in(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    validate("job-report.json", report)
    return report


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


def test_strict_cannot_be_had_yet(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    done = gpuctl(*options, "--fence", "strict", "--", "touch", tmp_path / "ran")
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


def test_init_holds_nothing_open(gpuctl_binary: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to look into init")
    command = [
        str(gpuctl_binary),
        "run",
        "-q",
        "--state-dir",
        str(tmp_path / "s"),
        "--",
        "sh",
        "-c",
        "echo; cat",
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    [init] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    links = [os.readlink(each) for each in Path(f"/proc/{init}/fd").iterdir()]
    assert len(links) == 1, links
    assert links[0].startswith("socket:")
    process.stdin.close()
    assert process.wait(30) == 0
    process.stdout.close()


def test_memory_of_the_supervisor(gpuctl_binary: Path, tmp_path: Path) -> None:
    command = [
        str(gpuctl_binary),
        "run",
        "-q",
        "--state-dir",
        str(tmp_path / "s"),
        "--",
        "sh",
        "-c",
        "echo; cat",
    ]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    process.stdout.readline()
    status = Path(f"/proc/{process.pid}/status").read_text()
    sanitized = (
        "asan" in Path(f"/proc/{process.pid}/maps").read_text() if os.geteuid() == 0 else False
    )
    process.stdin.close()
    process.wait(30)
    process.stdout.close()
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


# ---- report ----


def test_a_report_holds_the_whole_story(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    env = {"SLURM_JOB_ID": "4711"}
    gpuctl(
        *options,
        "--job",
        "j1",
        "--resubmission",
        "2",
        "--",
        "sh",
        "-c",
        "head -c 20000000 /dev/zero | tail -c 1",
        env=env,
    )
    report = report_in(tmp_path)
    assert report["job"]["id"] == "j1"
    assert report["job"]["resubmission"] == 2
    assert report["batch"]["slurm_job_id"] == "4711"
    assert report["wall_usec"] > 0
    assert report["cpu_user_usec"] + report["cpu_system_usec"] > 0
    assert report["memory_peak_bytes"] > 1_000_000
    assert [each["event"] for each in report["timeline"]] == [
        "accepted",
        "started",
        "payload ended",
        "ended",
    ]
    times = [each["at"] for each in report["timeline"]]
    assert times == sorted(times)
    assert report["fence"]["process"] in ("pid_namespace", "session")


def test_condors_job_id_comes_from_its_ad(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    ad = tmp_path / "ad"
    ad.write_text('Owner = "alice"\nGlobalJobId = "ce503#12.0#1692475573"\n')
    gpuctl(*options, "--", "true", env={"_CONDOR_JOB_AD": str(ad)})
    assert report_in(tmp_path)["batch"]["htcondor_global_job_id"] == "ce503#12.0#1692475573"


def read_slowly(path: Path, into: list[str]) -> threading.Thread:
    def read() -> None:
        with open(path, encoding="utf-8") as stream:
            into.append(stream.read())

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_a_long_report_goes_through_a_pipe(gpuctl: Run, tmp_path: Path) -> None:
    """More than a pipe holds at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    texts: list[str] = []
    reader = read_slowly(fifo, texts)
    done = gpuctl(
        "run",
        "-q",
        "--state-dir",
        tmp_path / "s",
        "--report",
        fifo,
        "--",
        "true",
        *["x" * 1000] * 120,
    )
    reader.join(30)
    assert done.returncode == 0
    assert len(json.loads(texts[0])["command"]) == 121


def test_a_pipe_without_a_reader_is_told(gpuctl: Run, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    done = gpuctl(
        "run", "-q", "--state-dir", tmp_path / "s", "--report", fifo, "--", "sh", "-c", "exit 3"
    )
    assert done.returncode == 3
    assert "the report was not written" in done.stderr


def test_a_report_on_stdout_keeps_the_payloads_words(gpuctl_binary: Path, tmp_path: Path) -> None:
    """/dev/stdout is a link: neither it nor the file that stdout goes to is replaced."""
    out = tmp_path / "out"
    link = os.readlink("/dev/stdout")
    command = [
        str(gpuctl_binary),
        "run",
        "-q",
        "--state-dir",
        str(tmp_path / "s"),
        "--report",
        "/dev/stdout",
    ]
    with open(out, "wb") as stream:
        subprocess.run([*command, "--", "echo", "words"], stdout=stream, check=True, timeout=60)
    assert os.readlink("/dev/stdout") == link
    first, rest = out.read_text().split("\n", 1)
    assert first == "words"
    assert json.loads(rest)["state"] == "done"


def test_a_link_to_a_report_stays_a_link(gpuctl: Run, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "report.json"
    target.write_text("old")
    (tmp_path / "link").symlink_to(target)
    assert (
        gpuctl(
            "run", "-q", "--state-dir", tmp_path / "s", "--report", tmp_path / "link", "--", "true"
        ).returncode
        == 0
    )
    assert (tmp_path / "link").is_symlink()
    assert json.loads(target.read_text())["state"] == "done"


@pytest.mark.parametrize("place", [".", "/nowhere/report.json", "/proc/report.json"])
def test_a_place_that_takes_no_report(gpuctl: Run, tmp_path: Path, place: str) -> None:
    done = gpuctl(
        "run",
        "-q",
        "--state-dir",
        tmp_path / "s",
        "--report",
        place,
        "--",
        "sh",
        "-c",
        "exit 4",
        cwd=tmp_path,
    )
    assert done.returncode == 4
    assert "the report was not written" in done.stderr


# ---- events and trace ----


def test_events_tell_the_story(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    gpuctl(*options, "--events", tmp_path / "events", "--", "sh", "-c", "exit 2")
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    names = [each["event"] for each in events if each["event"] != "trace"]
    assert names == ["start", "end"]
    assert events[-1]["report"]["exit"]["code"] == 2


def test_events_to_a_descriptor(gpuctl_binary: Path, options: list[str]) -> None:
    read_end, write_end = os.pipe()
    command = [str(gpuctl_binary), *options, "--events", f"fd:{write_end}", "--", "true"]
    subprocess.run(command, check=True, pass_fds=(write_end,), timeout=60)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        assert [json.loads(line)["event"] for line in stream][-1] == "end"


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "never read"])
def test_a_bad_reader_of_events_holds_nothing_up(
    gpuctl_binary: Path, options: list[str], closed: bool
) -> None:
    read_end, write_end = os.pipe()
    if closed:
        os.close(read_end)
    else:
        os.set_blocking(write_end, False)
        try:
            while True:
                os.write(write_end, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(write_end, True)
    command = [
        str(gpuctl_binary),
        *options,
        "--events",
        f"fd:{write_end}",
        "--",
        "sh",
        "-c",
        "exit 6",
    ]
    assert subprocess.run(command, check=False, pass_fds=(write_end,), timeout=60).returncode == 6
    assert os.get_blocking(write_end), "the flag of the shared pipe was changed"
    os.close(write_end)
    if not closed:
        os.close(read_end)


def test_a_fifo_for_events_that_nobody_reads(
    gpuctl: Run, options: list[str], tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    done = gpuctl(*options, "--events", fifo, "--", "true", timeout=20)
    assert done.returncode == 125


def test_a_stderr_that_nobody_reads_holds_nothing_up(gpuctl_binary: Path, tmp_path: Path) -> None:
    """The payload has filled the pipe; its time to live still ends it."""
    read_end, write_end = os.pipe()
    command = [
        str(gpuctl_binary),
        "run",
        "--state-dir",
        str(tmp_path / "s"),
        "--ttl",
        "1",
        "--forced-kill-timeout",
        "1",
    ]
    process = subprocess.Popen(
        [*command, "--", "sh", "-c", "trap '' TERM; yes >&2"], stderr=write_end
    )
    os.close(write_end)
    assert process.wait(30) == 124
    os.close(read_end)


def test_the_trace_goes_to_stderr(gpuctl: Run, tmp_path: Path) -> None:
    done = gpuctl("run", "--state-dir", tmp_path / "s", "--", "true")
    assert done.stdout == ""
    assert "[trace]: payload started" in done.stderr
    assert "[trace]: job ended: exit code 0" in done.stderr


# ---- places ----


def test_nothing_is_left_in_the_state(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    gpuctl(*options, "--job", "j", "--", "true")
    assert list((tmp_path / "state" / "jobs" / str(os.geteuid())).iterdir()) == []
    assert (tmp_path / "state" / "jobs" / str(os.geteuid())).stat().st_mode & 0o777 == 0o700


def test_a_relative_work_directory(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    done = gpuctl(
        *options,
        "--workdir",
        ".",
        "--job",
        "r",
        "--keep",
        "a",
        "--",
        "sh",
        "-c",
        "pwd; echo x > a",
        cwd=tmp_path,
    )
    assert done.stdout.endswith("/alien-job-r\n")
    assert (tmp_path / "gpuctl-r" / "a").read_text() == "x\n"
    assert not (tmp_path / "alien-job-r").exists()


def test_a_work_directory_that_cannot_be(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    for place in ("/nowhere", "/proc", "/dev/null"):
        assert gpuctl(*options, "--workdir", place, "--", "true").returncode == 125
        assert report_in(tmp_path)["kill_reason"]["name"] == "SANDBOX_CREATE"


@pytest.mark.parametrize("kind", ["link", "file", "writable", "dangling"])
def test_a_state_directory_that_is_not_safe(gpuctl: Run, tmp_path: Path, kind: str) -> None:
    state = tmp_path / "state"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        state.symlink_to(elsewhere)
    elif kind == "dangling":
        state.symlink_to(tmp_path / "nothing")
    elif kind == "file":
        state.write_text("")
    else:
        state.mkdir()
        state.chmod(0o777)
    done = gpuctl("run", "--state-dir", state, "--", "touch", tmp_path / "ran")
    assert done.returncode == 125
    assert "--state-dir" in done.stderr or "chmod 1777" in done.stderr
    assert not (tmp_path / "ran").exists()
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "nothing").exists()


def test_a_users_folder_that_is_anothers(gpuctl: Run, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to make another user's folder")
    own = tmp_path / "state" / "jobs" / "0"
    own.mkdir(parents=True)
    os.chown(own, 65534, 65534)
    done = gpuctl("run", "--state-dir", tmp_path / "state", "--", "true")
    assert done.returncode == 125
    assert "belongs to somebody else" in done.stderr
