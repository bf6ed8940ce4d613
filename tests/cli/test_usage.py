"""The command line itself: what is refused, with which words and exit code, and whose flags are
whose."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]

USAGE = 2


@pytest.fixture
def run(gpuctl: Run, tmp_path: Path) -> Run:
    def call(*arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
        return gpuctl("run", "-q", "--state-dir", tmp_path / "state", *arguments, **settings)

    return call


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no verb"),
        ([""], "unknown verb ``"),
        (["rnu"], "did you mean `run`?"),
        (["RUN"], "unknown verb `RUN`"),
        (["run --"], "unknown verb `run --`"),
        (["frobnicate"], "unknown verb `frobnicate`; see"),
        (["-x"], "unknown flag `-x`"),
        (["--ttl", "5", "run", "--", "true"], "unknown flag `--ttl`"),
        (["run"], "no command to run"),
        (["run", "--"], "no command to run"),
        (["run", "--", ""], "no command to run"),
        (["run", ""], "no command to run"),
        (["run", "--ttl"], "`--ttl` needs a value"),
        (["run", "--job"], "`--job` needs a value"),
        (["run", "--gpuu", "x", "--", "true"], "did you mean `--gpus`?"),
        (["run", "--nothing-like-it", "--", "true"], "unknown flag `--nothing-like-it`; see"),
        (["run", "--json=yes", "--", "true"], "`--json` takes no value"),
        (["run", "--grace", "5", "--", "true"], "`--grace`"),
        (["run", "--ttl", "5", "--ttl", "6", "--", "true"], "given twice"),
        (["--state-dir", "/a", "run", "--state-dir", "/b", "--", "true"], "given twice"),
        (["run", "--tt", "5", "--", "true"], "did you mean `--ttl`?"),
        (["run", "--work=/tmp", "--", "true"], "`--work=/tmp`"),
        (["--vers"], "`--vers`"),
        (["run", "-qz", "--", "true"], "unknown flag `-z`"),
        (["config", "surplus"], "takes no operand"),
        (["kill"], "needs one of `--pid PID`"),
        (["kill", "--job", "x", "y"], "needs one of"),
        (["help", "frobnicate"], "frobnicate"),
        (["discover", "surplus"], "surplus"),
    ],
)
def test_refused(gpuctl: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    done = gpuctl(*arguments, env={"GPUCTL_STATE_DIR": str(tmp_path / "state")})
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert words in done.stderr
    assert done.stderr.startswith("gpuctl: ")
    assert not (tmp_path / "state").exists(), "something was done"


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--ttl", "", "duration"),
        ("--ttl", "-1", "duration"),
        ("--ttl", "1.5", "duration"),
        ("--ttl", " 5", "duration"),
        ("--ttl", "5 s", "duration"),
        ("--ttl", "5S", "duration"),
        ("--ttl", "99999999999999999999", "duration"),
        ("--ttl", "0", "before it starts"),
        ("--forced-kill-timeout", "601", "at most 600s"),
        ("--forced-kill-timeout", "soon", "duration"),
        ("--outer-grace", "x", "duration"),
        ("--leave-slot", "maybe", "auto, never"),
        ("--fence", "stricter", "expected one of advisory, best, strict"),
        ("--process-fence", "cage", "pid_namespace, session or runtime"),
        ("--job", "", "bad job id"),
        ("--job", "../x", "bad job id"),
        ("--job", "a/b", "bad job id"),
        ("--job", ".hidden", "bad job id"),
        ("--job", "-x", "bad job id"),
        ("--job", "a b", "bad job id"),
        ("--job", "x" * 65, "bad job id"),
        ("--job", "a\nb", "bad job id"),
        ("--job", "ä", "bad job id"),
        ("--resubmission", "-1", "a number"),
        ("--resubmission", "1000001", "a number of at most"),
        ("--resubmission", "0x1", "a number"),
        ("--env", "NAME", "NAME=VALUE"),
        ("--env", "=x", "NAME=VALUE"),
        ("--gpu", "0000:ff:1f.7", "no GPU"),
        ("--workdir", "", "a path"),
        ("--state-dir", "", "a path"),
        ("--report", "", "`--report`"),
        ("--events", "", "`--events`"),
        ("--events", "fd:", "fd:N"),
        ("--events", "fd:x", "fd:N"),
        ("--events", "fd:1", "above 2"),
        ("--events", "fd:9999", "not an open descriptor"),
        ("--keep", "*", "need `--workdir`"),
        ("--input", "x", "need `--workdir`"),
        ("--output", "x", "need `--workdir`"),
    ],
)
def test_bad_values(gpuctl: Run, tmp_path: Path, flag: str, value: str, words: str) -> None:
    arguments = [
        "run",
        "--state-dir",
        str(tmp_path / "state"),
        flag,
        value,
        "--",
        "touch",
        "started",
    ]
    if flag == "--state-dir":
        del arguments[1:3]
    done = gpuctl(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (USAGE, ""), done.stderr
    assert words in done.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("value", ["1", "1s", "01", "10m", "1h", "2d"])
def test_durations_that_are_right(run: Run, value: str) -> None:
    assert run("--ttl", value, "--", "true").returncode == 0


@pytest.mark.parametrize("job", ["1", "a", "A.b_c-9", "x" * 64, "1.2", "0"])
def test_ids_that_are_right(run: Run, job: str) -> None:
    done = run("--job", job, "--", "sh", "-c", "echo $ALIEN_PROC_ID")
    assert (done.returncode, done.stdout) == (0, job + "\n")


def test_flags_behind_the_command_are_the_commands(run: Run) -> None:
    for separator in ([], ["--"]):
        done = run(*separator, "echo", "--json", "--ttl", "-q", "--", "--help", "-x")
        assert (done.returncode, done.stdout) == (0, "--json --ttl -q -- --help -x\n")


def test_a_command_that_looks_like_a_flag(run: Run) -> None:
    done = run("--", "--no-such-program")
    assert done.returncode == 127


def test_global_flags_stand_before_or_after_the_verb(gpuctl: Run, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    for arguments in (
        ["--state-dir", state, "-q", "run", "--", "true"],
        ["run", "--state-dir", state, "-q", "--", "true"],
        [f"--state-dir={state}", "run", "--quiet", "true"],
        ["-q", "--state-dir", state, "run", "--state-dir", state, "--", "true"],
    ):
        done = gpuctl(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_separator_may_be_left_out(run: Run) -> None:
    assert run("sh", "-c", "exit 3").returncode == 3


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["help"], ["run", "--help"], ["help", "run"], ["kill", "-h"]]
)
def test_help_is_an_answer(gpuctl: Run, arguments: list[str]) -> None:
    done = gpuctl(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage: gpuctl" in done.stdout


def test_version(gpuctl: Run) -> None:
    done = gpuctl("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("gpuctl ")


def test_long_arguments_arrive_whole(run: Run) -> None:
    long = "x" * 100_000
    done = run("--env", f"LONG={long}", "--", "sh", "-c", 'echo "$LONG$1"', "sh", long)
    assert done.stdout == long + long + "\n"


def test_bytes_that_are_no_text(gpuctl_binary: Path, tmp_path: Path) -> None:
    """Arguments are bytes; the report shows what is no UTF-8 with U+FFFD and stays valid JSON."""
    report = tmp_path / "report.json"
    arguments: list[bytes] = [
        bytes(gpuctl_binary),
        b"run",
        b"-q",
        b"--state-dir",
        bytes(tmp_path / "state"),
    ]
    arguments += [
        b"--report",
        bytes(report),
        b"--env",
        b"V\xff=\xfe",
        b"--",
        b"printf",
        b"%s",
        b"\xff\x80\n",
    ]
    done = subprocess.run(arguments, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\xff\x80\n", b"")
    assert "\N{REPLACEMENT CHARACTER}" in report.read_text(encoding="utf-8")


def test_bad_bytes_in_complaints_are_shown_harmlessly(gpuctl_binary: Path) -> None:
    for word in (b"\x1b[31mred\xff", b"run\n"):
        done = subprocess.run(
            [bytes(gpuctl_binary), word], capture_output=True, check=False, timeout=60
        )
        assert done.returncode == USAGE
        assert b"\x1b" not in done.stderr
        assert done.stderr.decode("ascii")


def test_a_full_stdout_is_no_success(gpuctl_binary: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [str(gpuctl_binary), "--version"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 3


def test_a_python_verb_that_is_not_installed_says_so(gpuctl_binary: Path, tmp_path: Path) -> None:
    alone = tmp_path / "gpuctl"
    alone.write_bytes(gpuctl_binary.read_bytes())
    alone.chmod(0o755)
    done = subprocess.run([str(alone), "job", "x.jdl"], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert "pip install" in done.stderr


def test_a_python_verb_is_the_sibling_and_never_one_of_path(
    gpuctl_binary: Path, tmp_path: Path
) -> None:
    for name in ("here", "path"):
        (tmp_path / name).mkdir()
        sibling = tmp_path / name / "gpuctl-job"
        sibling.write_text(f'#!/bin/sh\necho {name} "$GPUCTL_STATE_DIR" "$@"\n')
        sibling.chmod(0o755)
    alone = tmp_path / "here" / "gpuctl"
    alone.write_bytes(gpuctl_binary.read_bytes())
    alone.chmod(0o755)
    path = f"{tmp_path}/path:/usr/bin:/bin"
    command = [str(alone), "--state-dir", "/x", "job", "--json", "a b", "--", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": path})
    assert (done.returncode, done.stdout) == (0, "here /x --json a b -- -q\n")
