"""The host's driver libraries in real containers: exactly these, and only where they load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compiled import library_that_wants

from lab.node import Node

# As root: NVIDIA's kernel files need a mount over /proc/driver, and nobody else may then mount a
# /proc of his own.
pytestmark = pytest.mark.lab("ns", gpus="perlmutter-a100x4")
RUNTIMES = ("apptainer", "podman")
HOST = "/usr/lib/x86_64-linux-gnu"
OLD, NEW = ("GLIBC_2.2.5", "dlsym"), ("GLIBC_2.34", "dlsym")  # Debian 11 has up to GLIBC_2.30
JDL = 'Executable = "payload.sh"; GPUVendor = "nvidia";'
PAYLOAD = """#!/bin/sh
ls /opt/gpuctl/lib; echo "path: ${LD_LIBRARY_PATH-none}"
"""
STAND_IN = {"ALIEN_SANITY_BUS": "03", "ALIEN_SANITY_NO_UUID": "1"}


def bring(node: Node, folder: Path, wants: tuple[str, str], root: str = "") -> None:
    """The stand-in for libcuda.so.1 to the node, or to the image whose folder is `root`."""
    folder.mkdir()
    library = library_that_wants(folder, "libcuda.so.1", *wants)
    node.put(library.read_bytes(), f"{root}{HOST}/libcuda.so.1", mode=0o755)
    if not root:
        node.run("ldconfig", user="root").check()


def job(node: Node, runtime: str, image: str) -> tuple[dict[str, Any], str]:
    """The report, and what the payload printed."""
    node.put(JDL.encode(), "/srv/job/job.jdl")
    node.put(PAYLOAD.encode(), "/srv/job/payload.sh", mode=0o755)
    done = node.run(
        "mkdir -p ~/job && cd ~/job && gpuctl job /srv/job/job.jdl --json --workdir /tmp "
        f"--sanity always --state-dir /tmp/state --ledger-scope slot --container {runtime} "
        f"--image {image}",
        user="root",
        env=STAND_IN,
        timeout=180,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    if report["state"] == "never_started":
        return report, report["kill_reason"]["detail"]["text"]
    return report, node.get(f"{report['output_dir']}/stdout").decode()


def bound(report: dict[str, Any]) -> list[str]:
    return [Path(each).name for each in report["container"]["libraries"]]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_image_gets_what_loads_there(node: Node, tmp_path: Path, runtime: str) -> None:
    """It computes with the host's library, which the image has not."""
    bring(node, tmp_path / "host", OLD)
    report, said = job(node, runtime, "/srv/images/debian11")
    assert report["exit"]["code"] == 0, said
    assert bound(report) == ["libcuda.so.1"]
    assert said.startswith("libcuda.so.1\npath: /opt/gpuctl/lib")
    (check,) = report["sanity"]["checks"]
    assert (check["api"], check["verdict"]) == ("cuda", "pass")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_library_for_a_newer_glibc(node: Node, tmp_path: Path, runtime: str) -> None:
    """Debian 13 loads it. Debian 11 does not: it goes without where it brings its own, else the
    version is named."""
    bring(node, tmp_path / "host", NEW)
    report, said = job(node, runtime, "/srv/images/debian13")
    assert report["exit"]["code"] == 0, said
    assert bound(report) == ["libcuda.so.1"]
    refused, words = job(node, runtime, "/srv/images/debian11")
    assert refused["kill_reason"]["name"] == "GPU_SANITY"
    assert "`libcuda.so.1` needs GLIBC_2.34 of libc.so.6, the image has up to GLIBC_2.30" in words
    bring(node, tmp_path / "own", OLD, "/srv/images/debian11")
    report, said = job(node, runtime, "/srv/images/debian11")
    assert report["exit"]["code"] == 0, said
    assert bound(report) == []
    assert "GLIBC_2.34" in report["container"]["missing_versions"][0]
    assert "/opt/gpuctl/lib" not in said
    assert report["sanity"]["verdict"] == "pass"


def test_an_image_that_is_a_file_is_told_by_its_start(node: Node, tmp_path: Path) -> None:
    """A SIF, made of the folder here: that it cannot load the library is found in the check."""
    build = "apptainer --silent build /srv/small.sif /srv/images/debian11"
    node.run(build, user="root", timeout=180).check()
    bring(node, tmp_path / "host", NEW)
    refused, words = job(node, "apptainer", "/srv/small.sif")
    assert refused["kill_reason"]["name"] == "GPU_SANITY"
    assert "GLIBC_2.34" in words
    bring(node, tmp_path / "old", OLD)
    report, said = job(node, "apptainer", "/srv/small.sif")
    assert report["exit"]["code"] == 0, said
    assert report["container"]["image"] == "/srv/small.sif"
    assert said.startswith("libcuda.so.1\npath: /opt/gpuctl/lib")
