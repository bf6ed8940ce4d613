"""`python -m gpuctl` is the binary of the same environment, whatever PATH says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from gpuctl.binary import find_binary
from gpuctl.errors import UnavailableError


def test_it_is_the_command(tmp_path: Path) -> None:
    stranger = tmp_path / "gpuctl"
    stranger.write_text("#!/bin/sh\necho stranger\n", encoding="utf-8")
    stranger.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "gpuctl", "--version"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("gpuctl ")


def test_exit_codes_and_streams_come_through() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpuctl", "fly"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "fly" in done.stderr


def test_the_binary_is_the_installed_one(gpuctl_binary: Path) -> None:
    if "GPUCTL_BINARY" in os.environ:
        pytest.skip("GPUCTL_BINARY names another one")
    assert Path(find_binary()).samefile(gpuctl_binary)


def test_an_installation_without_binary_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpuctl.binary.__file__", str(tmp_path / "site" / "gpuctl" / "binary.py"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(UnavailableError, match="pip install"):
        find_binary()


def test_an_installation_into_a_target_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "bin" / "gpuctl"
    binary.parent.mkdir()
    binary.write_text("#!/bin/sh\n", encoding="utf-8")
    binary.chmod(0o755)
    monkeypatch.setattr("gpuctl.binary.__file__", str(tmp_path / "gpuctl" / "binary.py"))
    assert find_binary() == str(binary)
