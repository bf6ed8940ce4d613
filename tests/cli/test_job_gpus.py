"""`gpuctl job` on composed nodes: which GPUs a job gets, and what it hears when there are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from job_site import NEVER_STARTED, Site
from nodes.compose import compose


@pytest.mark.parametrize("name", ["hello.jdl", "gpu.jdl", "gpu-or-cpu.jdl"])
def test_the_examples_run_on_a_node_with_gpus(
    site: Site, repository: Path, epn: Path, name: str
) -> None:
    report = site.report(repository / "examples" / name, "--root", epn)
    assert report["exit"]["code"] == 0
    assert len(report["gpus"]) >= 1
    assert report["jdl"]["warnings"] == []


def test_a_job_gets_the_first_gpus_that_fit_and_sees_no_others(site: Site, epn: Path) -> None:
    site.script('echo "$ROCR_VISIBLE_DEVICES"; echo "$CUDA_VISIBLE_DEVICES"')
    text = 'Executable = "payload.sh"; GPU = "MI50 32GB"; GPUCount = 2; GPUVendor = "amd";'
    report = site.report(site.jdl(text), "--root", epn)
    ids = [gpu["id"] for gpu in report["gpus"]]
    assert len(ids) == 2
    assert ids == sorted(ids) == report["match"]["chosen"]
    wanted = ",".join(f"GPU-{gpu['unique_id']}" for gpu in report["gpus"])
    assert site.kept(report, "stdout") == f"{wanted}\n-1\n"
    assert report["jdl"]["gpu"]["models"] == ["MI50 32GB"]


def test_a_job_whose_gpu_is_not_here_is_refused_with_reasons(site: Site, epn: Path) -> None:
    marker = site.folder / "ran"
    site.script(f"touch {marker}")
    jdl = site.jdl('Executable = "payload.sh"; GPU = "A100";')
    report = site.report(jdl, "--root", epn, "--events", "events", "--report", "report.json")
    reason = report["kill_reason"]
    assert (reason["name"], reason["code"], reason["jalien_code"]) == ("GPU_UNAVAILABLE", 901, 301)
    assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED
    assert report["state"] == "never_started"
    assert len(reason["detail"]["rejected"]) == 8
    assert report["match"]["rejected"] == reason["detail"]["rejected"]
    assert (report["match"]["chosen"], report["match"]["cpu_only"]) == ([], False)
    assert not marker.exists()
    assert json.loads((site.folder / "report.json").read_text("utf-8")) == report
    assert [event["event"] for event in site.events()][-2:] == ["verdict", "end"]
    words = site.job(jdl, "--root", epn).stderr
    assert "GPU_UNAVAILABLE (901, 301 in JAliEn)" in words
    assert words.count("will not do") == 8


def test_a_job_that_may_do_without_runs_on_the_cpu(site: Site, tmp_path: Path, epn: Path) -> None:
    site.script('echo "$ROCR_VISIBLE_DEVICES"')
    text = 'Executable = "payload.sh"; GPU = "A100"; GPURequired = false;'
    report = site.report(site.jdl(text), "--root", epn)
    assert report["exit"]["code"] == 0
    assert report["match"]["cpu_only"]
    assert report["gpus"] == []
    assert site.kept(report, "stdout") == "-1\n"
    assert any("CPU-only" in line["text"] for line in report["trace"])
    empty = compose("empty", tmp_path / "empty")
    done = site.job(site.jdl(text), "--root", empty)
    assert done.returncode == 0
    assert "no GPU on this node: the job runs CPU-only" in done.stderr


def test_broken_gpus_are_shown_and_passed_over(site: Site, tmp_path: Path) -> None:
    node = compose("mixed-broken", tmp_path / "node")
    site.script("true")
    jdl = site.jdl('Executable = "payload.sh"; GPUCount = 1;')
    report = site.report(jdl, "--root", node)
    (gpu,) = report["gpus"]
    assert gpu["usable"]
    assert report["match"]["rejected"]
    assert all(each["reason"] for each in report["match"]["rejected"])
    many = site.report(site.jdl('Executable = "payload.sh"; GPUCount = 50;'), "--root", node)
    assert many["kill_reason"]["name"] == "GPU_UNAVAILABLE"


def test_a_node_without_sysfs_gives_no_gpu_and_is_told_apart_from_one_without_gpus(
    site: Site, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    site.script("true")
    report = site.report(site.jdl('Executable = "payload.sh";'), "--root", bare)
    assert report["exit"]["code"] == 0
    assert any("not known" in line["text"] for line in report["trace"])
    wish = site.report(site.jdl('Executable = "payload.sh"; GPUCount = 1;'), "--root", bare)
    assert wish["kill_reason"]["name"] == "GPU_UNAVAILABLE"
