"""`gpuctl.kill()`: what it ends, what it refuses, and what it says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gpuctl
import pytest
from gpuctl.errors import NotFoundError, UsageError


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], start_new_session=True)


def test_a_process_and_its_child() -> None:
    script = "sleep 60 & echo $!; wait"
    shell = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert shell.stdout is not None
    child = int(shell.stdout.readline())
    report = gpuctl.kill(pid=shell.pid, grace=5)
    assert report.ended
    assert (report.proof, report.signalled, report.killed) == ("identities", 2, 0)
    assert (report.survivors, report.refused) == ((), ())
    assert shell.wait(10) < 0
    shell.stdout.close()
    assert not lives(child)


def lives(pid: int) -> bool:
    """Whoever adopted it may leave it a zombie for a while."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rsplit(") ", 1)[1][0] not in "ZX"


def test_a_job(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "-c",
        f"import gpuctl; gpuctl.run(['sleep', '60'], job='j', state_dir={str(tmp_path)!r})",
    ]
    runner = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    folder = tmp_path / "jobs" / str(os.geteuid()) / "j.0"
    while not (folder / "payload.rec").exists():
        time.sleep(0.01)
    report = gpuctl.kill(job="j", grace=5, state_dir=tmp_path)
    assert report.ended
    assert report.proof in ("pid_namespace", "subreaper")
    assert runner.wait(20) == 0
    with pytest.raises(NotFoundError):
        gpuctl.kill(job="j", state_dir=tmp_path)


def test_the_spared_is_not_asked() -> None:
    spared = sleeper()
    report = gpuctl.kill(pid=spared.pid, grace=1, spare=[spared.pid])
    assert (report.signalled, report.killed) == (0, 1)
    assert spared.wait(10) == -9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give one of"),
        ({"pid": 7, "job": "x"}, "give one of"),
        ({"pid": "7"}, "give the number"),
        ({"pid": True}, "give the number"),
        ({"pid": 2**70}, "not a process"),
        ({"pid": 0}, "not a process"),
        ({"pid": -1}, "not a process"),
        ({"pid": 1}, "not a process"),
        ({"pid": os.getpid()}, "gpuctl itself or an ancestor"),
        ({"pid": os.getppid()}, "gpuctl itself or an ancestor|not a process"),  # pid 1: the latter
        ({"cgroup": "/a/../b"}, "`..`"),
        ({"job": ""}, "bad job id"),
        ({"pid": 7, "resubmission": 1}, "goes with `job`"),
        ({"job": "x", "resubmission": -1}, "not negative"),
        ({"pid": 7, "grace": 601}, "at most 600s"),
        ({"pid": 7, "grace": -1}, "`grace`"),
        ({"pid": 7, "spare": ["x"]}, "neither a pid nor"),
        ({"pid": 7, "spare": "7"}, "a list"),
    ],
)
def test_a_wrong_call_signals_nobody(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        gpuctl.kill(**arguments)


def test_what_is_not_there(tmp_path: Path) -> None:
    gone = sleeper()
    gone.kill()
    gone.wait()
    with pytest.raises(NotFoundError, match="no process"):
        gpuctl.kill(pid=gone.pid)
    with pytest.raises(NotFoundError):
        gpuctl.kill(cgroup="/there/is/no/such/group")
    with pytest.raises(NotFoundError):
        gpuctl.kill(job="nobody", state_dir=tmp_path)
