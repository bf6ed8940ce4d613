"""A source whose child cannot be reaped is not asked again, by no process, until the child is gone.

State D cannot be made at will, so a living child stands in: what counts is that it is there.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpuctl import _core
from gpuctl.discovery.live import SOURCES, ask_sources
from gpuctl.discovery.stuck import StuckRegister

LSPCI = next(source for source in SOURCES if source.name == "lspci")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "120"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An lspci that leaves a trace of having been asked."""
    script = tmp_path / "lspci"
    script.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "asked"


def test_it_is_not_asked_while_the_child_is_there(
    tmp_path: Path, tool: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    StuckRegister(str(tmp_path)).hold("lspci", sleeper.pid)
    [asked] = ask_sources([LSPCI], 5.0, StuckRegister(str(tmp_path)))
    assert (asked.row["state"], tool.exists()) == ("stuck", False)
    assert [problem[1] for problem in asked.reading.problems] == ["probe_hung"]
    sleeper.kill()
    sleeper.wait()
    [asked] = ask_sources([LSPCI], 5.0, StuckRegister(str(tmp_path)))
    assert tool.exists()
    assert asked.row["state"] != "stuck"
    assert list(tmp_path.glob("probe-*/*.stuck")) == []


def test_a_reused_pid_is_nobody(tmp_path: Path, tool: Path) -> None:
    folder = tmp_path / f"probe-{os.getuid()}"
    folder.mkdir(mode=0o700)
    identity = {**_core.identify("/", os.getpid()), "start_ticks": 1, "pidfs_inode": None}
    (folder / "lspci.stuck").write_text(json.dumps(identity), encoding="utf-8")
    assert StuckRegister(str(tmp_path)).holder("lspci") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}', "[" * 5000])
def test_a_broken_record_stops_nobody(tmp_path: Path, text: str) -> None:
    folder = tmp_path / f"probe-{os.getuid()}"
    folder.mkdir(mode=0o700)
    (folder / "lspci.stuck").write_text(text, encoding="utf-8")
    assert StuckRegister(str(tmp_path)).holder("lspci") is None


def test_a_folder_that_others_may_write_is_not_believed(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    StuckRegister(str(tmp_path)).hold("lspci", sleeper.pid)
    (tmp_path / f"probe-{os.getuid()}").chmod(0o777)
    assert StuckRegister(str(tmp_path)).holder("lspci") is None


def test_the_state_folder_is_made_as_the_core_makes_it(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    state = tmp_path / "state"
    before = os.umask(0)
    try:
        StuckRegister(str(state)).hold("lspci", sleeper.pid)
    finally:
        os.umask(before)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert StuckRegister(str(state)).holder("lspci") == sleeper.pid


def test_a_state_folder_that_others_may_write_is_not_used(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    StuckRegister(str(state)).hold("lspci", sleeper.pid)
    assert list(state.iterdir()) == []


def test_without_a_folder_this_process_remembers(sleeper: subprocess.Popen[bytes]) -> None:
    register = StuckRegister("/proc/no/such/place")
    register.hold("lspci", sleeper.pid)
    assert register.holder("lspci") == sleeper.pid
