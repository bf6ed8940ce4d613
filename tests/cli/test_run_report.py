"""`gpuctl run` and what it writes: report, events, trace, and the places where it keeps things."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Callable

import pytest
from schemas import report_in

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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


def reporting_to(place: str | Path, tmp_path: Path) -> list[str]:
    return ["run", "-q", "--state-dir", str(tmp_path / "s"), "--report", str(place)]


def test_a_long_report_goes_through_a_pipe(gpuctl: Run, tmp_path: Path) -> None:
    """More than a pipe holds at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    texts: list[str] = []
    reader = read_slowly(fifo, texts)
    done = gpuctl(*reporting_to(fifo, tmp_path), "--", "true", *["x" * 1000] * 120)
    reader.join(30)
    assert done.returncode == 0
    assert len(json.loads(texts[0])["command"]) == 121


def test_a_pipe_without_a_reader_is_told(gpuctl: Run, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    done = gpuctl(*reporting_to(fifo, tmp_path), "--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert "the report was not written" in done.stderr


def test_a_report_on_stdout_keeps_the_payloads_words(gpuctl_binary: Path, tmp_path: Path) -> None:
    """Neither a link such as /dev/stdout nor the file that stdout goes to is replaced."""
    out, link = tmp_path / "out", tmp_path / "stdout"
    link.symlink_to("/proc/self/fd/1")  # not the machine's own: root could replace that
    command = [str(gpuctl_binary), *reporting_to(link, tmp_path)]
    with open(out, "wb") as stream:
        subprocess.run([*command, "--", "echo", "words"], stdout=stream, check=True, timeout=60)
    assert os.readlink(link) == "/proc/self/fd/1"
    first, rest = out.read_text().split("\n", 1)
    assert first == "words"
    assert json.loads(rest)["state"] == "done"


def test_a_link_to_a_report_stays_a_link(gpuctl: Run, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "report.json"
    target.write_text("old")
    (tmp_path / "link").symlink_to(target)
    assert gpuctl(*reporting_to(tmp_path / "link", tmp_path), "--", "true").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads(target.read_text())["state"] == "done"


@pytest.mark.parametrize("place", [".", "/nowhere/report.json", "/proc/report.json"])
def test_a_place_that_takes_no_report(gpuctl: Run, tmp_path: Path, place: str) -> None:
    done = gpuctl(*reporting_to(place, tmp_path), "--", "sh", "-c", "exit 4", cwd=tmp_path)
    assert done.returncode == 4
    assert "the report was not written" in done.stderr


def test_a_copy_is_one_more_report(gpuctl: Run, options: list[str], tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    assert gpuctl(*options, "--report-copy", copy, "--", "true").returncode == 0
    assert json.loads(copy.read_text()) == report_in(tmp_path)


def test_a_copy_that_finds_no_place_is_told_and_forgotten(
    gpuctl: Run, options: list[str], tmp_path: Path
) -> None:
    done = gpuctl(*options, "--report-copy", "/nowhere/copy", "--", "sh", "-c", "exit 4")
    assert done.returncode == 4
    assert "`/nowhere/" in done.stderr
    assert report_in(tmp_path)["state"] == "done"
    assert not list((tmp_path / "state" / "jobs").glob("*/*"))


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
