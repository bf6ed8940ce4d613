"""`gpuctl run -- true` with namespaces against `timeout 10 true` and against bubblewrap.

timeout(1) starts a child and waits for it; gpuctl also makes a pid and a mount namespace with an
own /proc, records the job, listens for requests, proves the end and reports. bubblewrap makes
namespaces and does none of the rest.

Not shown: how both behave under a payload that does something, and the one more wake-up of a run
whose trace somebody reads (no `-q`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

MOST_OF_TIMEOUT = 2.0


def succeed(*argv: str) -> None:
    assert subprocess.run(argv, check=False).returncode == 0


@pytest.fixture
def run_true(gpuctl_binary: Path, tmp_path: Path) -> tuple[str, ...]:
    """The command, after a check that it does run in a namespace here."""
    report = tmp_path / "report.json"
    command = (str(gpuctl_binary), "run", "-q")
    succeed(*command, "--report", str(report), "--", "true")
    assert json.loads(report.read_text())["fence"]["process"] == "pid_namespace"
    return (*command, "--", "true")


def test_against_timeout(compare, run_true: tuple[str, ...]) -> None:
    row = compare(
        "run -- true / timeout 10 true",
        lambda: succeed(*run_true),
        lambda: succeed("timeout", "10", "true"),
        100,
    )
    assert row.ratio <= MOST_OF_TIMEOUT


def test_against_bubblewrap(compare, run_true: tuple[str, ...]) -> None:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        pytest.skip("bubblewrap is not installed: `apt-get install bubblewrap`")
    peer = (
        bubblewrap,
        "--ro-bind",
        "/",
        "/",
        "--unshare-pid",
        "--new-session",
        "--proc",
        "/proc",
        "true",
    )
    compare("run -- true / bwrap true", lambda: succeed(*run_true), lambda: succeed(*peer), 60)


def test_unprivileged(compare, run_true: tuple[str, ...]) -> None:
    """The same as a user without any right, where namespaces need a user namespace."""
    if os.geteuid() != 0:
        pytest.skip("already unprivileged: the row above is this one")
    as_user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    ours = (*as_user, *run_true)
    succeed(*ours)
    row = compare(
        "run -- true / timeout 10 true, unprivileged",
        lambda: succeed(*ours),
        lambda: succeed(*as_user, "timeout", "10", "true"),
        60,
    )
    assert row.ratio <= MOST_OF_TIMEOUT
