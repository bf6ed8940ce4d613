"""`gpuctl kill --job`: which job is meant, and what it says when there is none. What it does:
tests/adversarial."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def kill(gpuctl: Run, tmp_path: Path) -> Run:
    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return gpuctl("kill", "--state-dir", tmp_path / "state", *arguments)

    return call


class Sleeper:
    """A job that sleeps."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        command = [str(binary), "run", "--state-dir", str(folder / "state"), *options]
        self.process = subprocess.Popen(
            [*command, "--", "sleep", "60"], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        while "payload started" not in (line := self.process.stderr.readline()):
            assert line, "the job did not start"

    def wait(self) -> int:
        assert self.process.stderr is not None
        self.process.stderr.read()
        self.process.stderr.close()
        return self.process.wait(30)


def test_a_job_by_id(kill: Run, gpuctl_binary: Path, tmp_path: Path) -> None:
    job = Sleeper(gpuctl_binary, tmp_path, "--job", "one")
    done = kill("--job", "one", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    validate("kill.json", answer)
    assert answer["kill"]["survivors"] == []
    assert answer["kill"]["signalled"] == 1
    assert answer["kill"]["killed"] == 0
    assert job.wait() == 143


def test_several_submissions_need_a_choice(kill: Run, gpuctl_binary: Path, tmp_path: Path) -> None:
    jobs = [
        Sleeper(gpuctl_binary, tmp_path, "--job", "one", "--resubmission", str(n)) for n in (0, 7)
    ]
    done = kill("--job", "one")
    assert done.returncode == 2
    assert "one.0 one.7" in done.stderr
    assert "--resubmission" in done.stderr
    assert kill("--job", "one", "--resubmission", "07").returncode == 0
    assert jobs[1].wait() == 143
    assert jobs[0].process.poll() is None
    assert kill("--job", "one").returncode == 0
    assert jobs[0].wait() == 143


def test_an_id_is_taken_whole(kill: Run, gpuctl_binary: Path, tmp_path: Path) -> None:
    """Neither a prefix nor an id with the submission in it."""
    job = Sleeper(gpuctl_binary, tmp_path, "--job", "a.1")
    for wrong in ("a", "a.1.0", "a.", "A.1"):
        assert kill("--job", wrong).returncode == 2
    assert kill("--job", "a.1").returncode == 0
    assert job.wait() == 143


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--job", "unknown"], "no job `unknown`"),
        (["--job", ""], "bad job id"),
        (["--job", "../x"], "`--job UID/ID`"),
        (["--job", "0/../x"], "bad job id"),
        (["--job", "-1/x"], "`--job UID/ID`"),
        (["--job", "x", "--grace", "-1"], "a duration"),
        (["--job", "x", "--grace", "601"], "at most 600s"),
        (["--job", "x", "--resubmission", "x"], "`--resubmission`"),
    ],
)
def test_what_is_no_job(kill: Run, arguments: list[str], words: str) -> None:
    done = kill(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_finished_job_is_not_on_record(kill: Run, gpuctl: Run, tmp_path: Path) -> None:
    assert (
        gpuctl("run", "--job", "done", "--state-dir", tmp_path / "state", "--", "true").returncode
        == 0
    )
    done = kill("--job", "done")
    assert done.returncode == 2
    assert "no job `done`" in done.stderr


def run_j(
    gpuctl: Run, tmp_path: Path, report: str | Path, *command: str
) -> subprocess.CompletedProcess[str]:
    """A job that is over at once; it stays on record when its report finds no place."""
    places = ("--state-dir", tmp_path / "state", "--report", report)
    return gpuctl("run", "--job", "j", *places, "--", *command)


def test_a_report_that_was_not_delivered_is_kept_true(
    kill: Run, gpuctl: Run, tmp_path: Path
) -> None:
    """The job is over and its report found no place: it stays on record, and a kill does not
    rewrite history."""
    place = tmp_path / "later" / "report.json"
    done = run_j(gpuctl, tmp_path, place, "sh", "-c", "exit 5")
    assert done.returncode == 5
    assert "the report was not written" in done.stderr
    [record] = (tmp_path / "state" / "jobs").glob("*/j.0/report.json")
    before = record.read_text()
    place.parent.mkdir()
    assert kill("--job", "j").returncode == 0
    assert place.read_text() == before
    assert json.loads(before)["exit"]["code"] == 5
    assert not record.exists()


def test_a_broken_record_is_left_alone(kill: Run, gpuctl: Run, tmp_path: Path) -> None:
    run_j(gpuctl, tmp_path, "/nowhere/r", "true")
    [folder] = (tmp_path / "state" / "jobs").glob("*/j.0")
    (folder / "job.rec").write_bytes(b"gpuctl job 1\nid=j\nchecksum=0000000000000000\n")
    done = kill("--job", "j")
    assert done.returncode == 1
    assert "checksum" in done.stderr
    assert folder.is_dir()
