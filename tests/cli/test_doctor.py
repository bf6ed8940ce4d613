"""`gpuctl doctor`: check by check, with the remedy; the worst gives the exit code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from nodes.compose import compose
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOTHING = "namespaces,private_dev,landlock,landlock_scope,seccomp,device_filter"
# the runtimes are tried for real elsewhere; an empty PATH has none
QUICK = {"PATH": "/nowhere"}


class Answer:
    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        assert done.stderr == ""
        self.code = done.returncode
        self.json: dict[str, Any] = json.loads(done.stdout)
        validate("doctor.json", self.json)
        self.checks = {each["id"]: each for each in self.json["checks"]}
        self.ladder = {each["name"]: each for each in self.json["ladder"]}


@pytest.fixture
def doctor(gpuctl: Run, tmp_path: Path) -> Callable[..., Answer]:
    def ask(*arguments: object, **env: str) -> Answer:
        state = () if "--state-dir" in arguments else ("--state-dir", tmp_path / "state")
        return Answer(gpuctl("doctor", "--json", *state, *arguments, env={**QUICK, **env}))

    return ask


def test_every_check_that_is_not_passed_has_a_remedy(doctor: Callable[..., Answer]) -> None:
    answer = doctor()
    assert answer.code == (1 if answer.json["status"] == "fail" else 0)
    for check in answer.checks.values():
        assert check["detail"] or check["status"] == "pass", check
        assert (check["remedy"] is not None) >= (check["status"] in ("warn", "fail")), check
        assert "\n" not in (check["remedy"] or "")
    wanted = {"fence.level", "cgroup.delegation", "state.directory", "ledger.leases", "config"}
    assert wanted <= set(answer.checks)


def test_what_it_says_of_the_fence_is_what_a_job_gets(
    doctor: Callable[..., Answer], gpuctl: Run, tmp_path: Path
) -> None:
    answer = doctor()
    report = tmp_path / "report.json"
    options = ("--state-dir", tmp_path / "state", "--report", report)
    assert gpuctl("run", "-q", *options, "--", "true").returncode == 0
    fence = json.loads(report.read_text())["fence"]
    assert answer.json["fence"] == {"process": fence["process"], "device": fence["device"]}


@pytest.mark.parametrize(
    ("without", "process", "device"),
    [
        ("private_dev", "pid_namespace", "landlock"),
        ("namespaces", "session", "landlock"),
        (NOTHING, "session", "advisory"),
    ],
)
def test_rungs_that_are_missing(
    doctor: Callable[..., Answer], without: str, process: str, device: str
) -> None:
    answer = doctor(GPUCTL_TEST_WITHOUT=without)
    if device == "landlock" and not answer.ladder["landlock_files"]["has"]:
        pytest.skip("no Landlock here")
    assert answer.json["fence"] == {"process": process, "device": device}
    for name in without.split(","):
        capability = {"namespaces": "pid_namespace", "landlock": "landlock_files"}.get(name, name)
        if capability in answer.ladder:
            assert not answer.ladder[capability]["has"]
            assert answer.ladder[capability]["detail"]


def test_a_level_that_cannot_be_had_fails(doctor: Callable[..., Answer]) -> None:
    answer = doctor(GPUCTL_TEST_WITHOUT=NOTHING, GPUCTL_FENCE="strict")
    assert (answer.code, answer.checks["fence.level"]["status"]) == (1, "fail")
    advisory = doctor(GPUCTL_TEST_WITHOUT=NOTHING, GPUCTL_FENCE="advisory")
    assert advisory.checks["fence.level"]["status"] == "warn"


def test_answers_are_kept_for_the_boot(doctor: Callable[..., Answer], tmp_path: Path) -> None:
    assert not doctor().json["ladder_from_cache"]
    assert doctor().json["ladder_from_cache"]
    assert not doctor("--fresh").json["ladder_from_cache"]
    kept = tmp_path / "state/probe" / str(os.geteuid())
    for broken in ("", "{}", '{"schema": "gpuctl.probe_cache/1", "key": "other"}', "\0" * 100):
        kept.write_text(broken)
        assert not doctor().json["ladder_from_cache"]
    assert doctor().json["ladder_from_cache"]
    assert [each.name for each in kept.parent.iterdir()] == [str(os.geteuid())]


def test_a_link_in_place_of_the_answers_is_not_followed(
    doctor: Callable[..., Answer], tmp_path: Path
) -> None:
    doctor()
    kept = tmp_path / "state/probe" / str(os.geteuid())
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    assert not doctor().json["ladder_from_cache"]


def test_no_state_directory_is_a_failure(doctor: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    answer = doctor("--state-dir", file)
    assert (answer.code, answer.checks["state.directory"]["status"]) == (1, "fail")
    assert str(file) in answer.checks["state.directory"]["detail"]


def test_broken_gpus_are_named(doctor: Callable[..., Answer], tmp_path: Path) -> None:
    root = compose("mixed-broken", tmp_path / "node", device_nodes=False)
    answer = doctor("--root", root)
    gpus = {name: each for name, each in answer.checks.items() if name.startswith("gpu.0")}
    assert {"pass", "fail"} <= {each["status"] for each in gpus.values()}
    assert answer.code == 1


def test_a_dead_job_is_named(doctor: Callable[..., Answer], gpuctl: Run, tmp_path: Path) -> None:
    state = tmp_path / "state"
    script = "kill -9 $PPID"  # outside of a namespace: its supervisor
    fence = ("--process-fence", "session", "--fence", "advisory")
    gpuctl("run", "-q", "--job", "dead", "--state-dir", state, *fence, "--", "sh", "-c", script)
    check = doctor().checks["jobs.dead"]
    assert (check["status"], "dead.0" in check["detail"]) == ("warn", True)
    assert "gpuctl kill --job" in check["remedy"]
    assert gpuctl("kill", "--job", "dead", "--state-dir", state).returncode == 0
    assert doctor().checks["jobs.dead"]["status"] == "pass"


def test_in_words(gpuctl: Run, tmp_path: Path) -> None:
    options = ("--state-dir", tmp_path / "state")
    done = gpuctl("doctor", *options, env={**QUICK, "GPUCTL_TTL": "1h"})
    assert "fence.level" in done.stdout
    assert "ttl = 1h  # environment GPUCTL_TTL" in done.stdout
    assert "skip" not in done.stdout
    assert "skip" in gpuctl("doctor", "-v", *options, env=QUICK).stdout


def test_the_runtimes_are_tried(gpuctl: Run, tmp_path: Path) -> None:
    """One that starts everything, one that cannot."""
    tools = tmp_path / "tools"
    tools.mkdir()
    scripts = {"bwrap": "exit 0", "podman": "echo cannot set up namespace >&2; exit 125"}
    for name, body in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    env = {"PATH": f"{tools}"}
    answer = Answer(gpuctl("doctor", "--json", "--state-dir", tmp_path / "state", env=env))
    assert answer.checks["container.bubblewrap"]["status"] == "pass"
    assert answer.checks["container.podman"]["status"] == "warn"
    assert "cannot set up namespace" in answer.checks["container.podman"]["detail"]
    assert answer.checks["container.apptainer"]["status"] == "skip"
