"""`gpuctl container-init`: exit status, signals and orphans, as process 1 of a pid namespace."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest


def wrapped(binary: Path, *command: str) -> list[str]:
    return [str(binary), "container-init", "--", *command]


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_status_is_the_payloads(gpuctl_binary: Path, script: str, code: int) -> None:
    done = subprocess.run(wrapped(gpuctl_binary, "sh", "-c", script), timeout=60, check=False)
    assert done.returncode == code


def test_what_cannot_be_executed(gpuctl_binary: Path, tmp_path: Path) -> None:
    for command, code in ((str(tmp_path / "none"), 127), (str(tmp_path), 126)):
        done = subprocess.run(
            wrapped(gpuctl_binary, command), timeout=60, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (code, "")
        assert "cannot execute" in done.stderr


def test_signals_are_handed_on(gpuctl_binary: Path) -> None:
    script = "trap 'echo got; exit 5' USR1; echo up; while :; do read line; done"
    with subprocess.Popen(
        wrapped(gpuctl_binary, "sh", "-c", script),
        stdin=subprocess.PIPE,  # nothing comes: the shell waits in `read`
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == "got\n"
        assert process.wait(60) == 5


def test_orphans_are_reaped(gpuctl_binary: Path) -> None:
    """As process 1: an orphan that nobody reaps would stay in /proc as a zombie."""
    script = (
        "sh -c 'sleep 0.1 & exit'; "
        "for try in $(seq 200); do set -- /proc/[0-9]*; [ $# -le 2 ] && break; sleep 0.05; done; "
        "echo $#"
    )
    space = ["unshare", "--pid", "--fork", "--mount-proc"]
    space += [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        [*space, *wrapped(gpuctl_binary, "sh", "-c", script)],
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and "unshare" in done.stderr:
        pytest.skip(f"no pid namespace here: {done.stderr.strip()}")
    assert done.stdout.strip() == "2", done.stderr


def test_no_command_is_a_mistake(gpuctl) -> None:
    done = gpuctl("container-init")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no command" in done.stderr
