"""What the tests of whole programs share: places for a run, a folder for jobs, a node."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Callable

import pytest
from job_site import Site
from nodes.compose import compose, has_device_nodes

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """`gpuctl run` with its state and its report in the test's folder; see schemas.report_in."""
    places = ("--state-dir", tmp_path / "state", "--report", tmp_path / "report.json")
    return ["run", "-q", *(str(word) for word in places)]


@pytest.fixture
def site(tmp_path: Path, gpuctl: Run, gpuctl_binary: Path) -> Site:
    return Site(tmp_path, gpuctl, gpuctl_binary)


@pytest.fixture
def epn(tmp_path: Path) -> Path:
    """The root of a node with eight MI50."""
    root = compose("epn-mi50x8", tmp_path / "epn")
    if not has_device_nodes(root):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    return root
