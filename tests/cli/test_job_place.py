"""`gpuctl job`: the container that it runs in, and GPUs that have to compute before it starts."""

from __future__ import annotations

import json
import re
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import pytest
from compiled import FUTURE, library_for_newer_glibc, vendor_stand_ins
from job_site import NEVER_STARTED, Site

JDL = 'Executable = "payload.sh"; GPU = "MI50";'
NO_HIP = pytest.mark.skipif(
    find_library("amdhip64") is not None, reason="the real HIP of this machine is found"
)


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stand-ins")
    vendor_stand_ins(folder)
    return folder


def words_of(report: dict[str, Any]) -> str:
    return "\n".join(line["text"] for line in report["trace"])


def test_a_gpu_that_does_not_compute_is_passed_over(site: Site, epn: Path, stand_ins: Path) -> None:
    """The stand-in is the GPU at bus 63: the three before it are not what was promised."""
    site.script('echo "$ROCR_VISIBLE_DEVICES"')
    env = {"LD_LIBRARY_PATH": str(stand_ins)}
    report = site.report(site.jdl(JDL), "--root", epn, "--sanity", "always", env=env)
    assert report["exit"]["code"] == 0, words_of(report)
    assert [gpu["id"] for gpu in report["gpus"]] == ["0000:63:00.0"]
    assert report["sanity"]["verdict"] == "pass"
    failed = [each for each in report["match"]["rejected"] if "sanity" in each["reason"]]
    assert [each["id"] for each in failed] == ["0000:03:00.0", "0000:27:00.0", "0000:43:00.0"]
    records = "".join(path.read_text("utf-8", "replace") for path in site.state.rglob("drain.*"))
    drained = re.findall(r"^[0-9]+\.unit=(.*)$", records, re.MULTILINE)
    assert sorted(drained) == ["0000:03:00.0", "0000:27:00.0", "0000:43:00.0"]


def test_when_none_computes_the_job_goes_back(site: Site, epn: Path, stand_ins: Path) -> None:
    marker = site.folder / "ran"
    site.script(f"touch {marker}")
    env = {"LD_LIBRARY_PATH": str(stand_ins), "SANITY_WRONG": "result", "SANITY_BUS": "03"}
    one = 'Executable = "payload.sh"; GPU = "MI50"; GPUCount = 8;'
    report = site.report(site.jdl(one), "--root", epn, "--sanity", "always", env=env)
    reason = report["kill_reason"]
    assert (reason["name"], reason["code"], reason["jalien_code"]) == ("GPU_SANITY", 902, 301)
    assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED
    assert "1 devices, assigned are 8" in reason["detail"]["text"]
    assert len(reason["detail"]["gpus"]) == 8
    assert not marker.exists()


def test_a_job_that_may_runs_on_the_cpu_instead(site: Site, epn: Path, stand_ins: Path) -> None:
    site.script('echo "$ROCR_VISIBLE_DEVICES"')
    env = {"LD_LIBRARY_PATH": str(stand_ins), "SANITY_WRONG": "result"}
    text = 'Executable = "payload.sh"; GPU = "MI50"; GPUCount = 8; GPURequired = false;'
    report = site.report(site.jdl(text), "--root", epn, "--sanity", "always", env=env)
    assert report["exit"]["code"] == 0
    assert report["match"]["cpu_only"]
    assert site.kept(report, "stdout") == "-1\n"


def test_nothing_is_started_for_a_recorded_node(site: Site, epn: Path) -> None:
    site.script("true")
    report = site.report(site.jdl(JDL), "--root", epn)
    assert report["sanity"] is None
    assert report["container"] is None


@NO_HIP
def test_a_library_that_is_not_there_stops_the_job_only_where_proof_is_demanded(
    site: Site, epn: Path
) -> None:
    site.script("true")
    report = site.report(site.jdl(JDL), "--root", epn, "--sanity", "always")
    assert report["kill_reason"]["name"] == "GPU_SANITY"
    assert "cannot open shared object file" in report["kill_reason"]["detail"]["text"]
    assert list(site.state.rglob("drain.*")) == []


@NO_HIP
def test_a_library_for_a_newer_glibc_is_no_gpus_fault(
    site: Site, epn: Path, tmp_path: Path
) -> None:
    """The job goes back with the version by name; no GPU is drained for it."""
    folder = tmp_path / "host"
    folder.mkdir()
    library_for_newer_glibc(folder, "libamdhip64.so.6")
    site.script("true")
    env = {"LD_LIBRARY_PATH": str(folder)}
    report = site.report(site.jdl(JDL), "--root", epn, "--sanity", "always", env=env)
    assert report["kill_reason"]["name"] == "GPU_SANITY"
    assert f"version `{FUTURE}' not found" in report["kill_reason"]["detail"]["text"]
    assert list(site.state.rglob("drain.*")) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--container", "apptainer", "--image", "/srv/none"), "`apptainer` is not installed"),
        (("--container", "podman"), "name one with `--image`"),
    ],
)
def test_a_container_that_was_demanded_must_be_had(
    site: Site, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    site.script("true")
    env = {"PATH": "/nowhere", "GPUCTL_RUNTIME_DIR": str(tmp_path), "GPUCTL_IMAGE_DIR": "/none"}
    report = site.report(site.jdl('Executable = "payload.sh";'), *options, env=env)
    reason = report["kill_reason"]
    assert (reason["name"], reason["code"], reason["jalien_code"]) == ("CONTAINER", 905, 301)
    assert words in reason["detail"]["text"]
    assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED


def test_the_jdls_container_is_a_demand(site: Site, tmp_path: Path) -> None:
    site.script("true")
    env = {"PATH": "/nowhere", "GPUCTL_RUNTIME_DIR": str(tmp_path)}
    jdl = site.jdl('Executable = "payload.sh"; JobContainer = "/srv/image";')
    assert site.report(jdl, env=env)["kill_reason"]["name"] == "CONTAINER"
    allowed = site.report(jdl, env={**env, "DISABLE_NESTED_CONTAINERS": "1"})
    assert allowed["exit"]["code"] == 0


def test_a_site_can_enforce_the_check(site: Site, epn: Path, tmp_path: Path) -> None:
    site.script("true")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"enforce": {"sanity": "always"}}), encoding="utf-8")
    env = {"GPUCTL_CONFIG": str(config)}
    refused = site.job(site.jdl(JDL), "--root", epn, "--sanity", "never", env=env)
    assert refused.returncode == 2
    assert "`always` is enforced" in refused.stderr
