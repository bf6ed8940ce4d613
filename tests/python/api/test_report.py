"""`gpuctl.Report`: a typed view of the JSON, and its text for people."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gpuctl
import pytest
from gpuctl.errors import MalformedError
from nodes.compose import compose
from schemas import schema


@pytest.fixture(scope="module")
def report_json(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A real report, to be changed by tests."""
    folder = tmp_path_factory.mktemp("report")
    return gpuctl.run(["true"], job="5", state_dir=folder / "state").to_json()


def test_the_keys_are_those_of_the_schema_in_the_schemas_order(
    report_json: dict[str, Any],
) -> None:
    assert list(report_json) == schema("job-report.json")["required"]


def test_it_is_frozen_and_its_json_is_a_copy(report_json: dict[str, Any]) -> None:
    report = gpuctl.Report.from_json(report_json)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.state = "survivors"  # type: ignore[misc]
    report.to_json()["job"]["id"] = "changed"
    assert report.to_json() == report_json
    assert report == gpuctl.Report.from_json(report_json)


@pytest.mark.parametrize("change", [{"schema": "gpuctl.discover/1"}, {"exit": {}}, {"kept": None}])
def test_what_is_no_report_is_refused(report_json: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        gpuctl.Report.from_json({**report_json, **change})


def test_a_report_without_a_key_is_refused(report_json: dict[str, Any]) -> None:
    for key in schema("job-report.json")["required"]:
        if key in ("node", "memory_peak_source", "lease_id", "cgroup", "oom", "kill", "batch"):
            continue  # not in the typed view
        with pytest.raises(MalformedError):
            gpuctl.Report.from_json({k: v for k, v in report_json.items() if k != key})


def test_the_text_says_what_happened(report_json: dict[str, Any], tmp_path: Path) -> None:
    (gpu, *_) = gpuctl.Host(compose("epn-mi50x8", tmp_path / "n")).discover().gpus
    changed = {
        **report_json,
        "exit": {**report_json["exit"], "code": None, "signal": 15, "signal_name": "SIGTERM"},
        "kill_reason": {
            "code": 20,
            "name": "TTL",
            "jalien_code": 20,
            "detail": {"text": "too long"},
        },
        "memory_peak_bytes": 5 * 1024**3,
        "gpus": [gpu.to_json()],
        "workdir": "/w/alien-job-5",
        "output_dir": "/o",
        "kept": ["a", "b"],
        "left": ["/w/alien-job-5: busy"],
        "problems": ["one", "two\x1b[2J"],
    }
    text = gpuctl.Report.from_json(changed).render()
    lines = [line.split(None, 1) for line in text.splitlines()]
    assert lines[0] == ["job", "5"]
    for words in (
        "done, ended by SIGTERM",
        "TTL (20): too long",
        "5.0 GiB",
        "Radeon Instinct MI50 32GB",
        "/w/alien-job-5 (still there)",
        "2 files in /o: a, b",
        "/w/alien-job-5: busy",
        "two\\x1b[2J",
    ):
        assert words in text
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())


def test_the_values_are_aligned(report_json: dict[str, Any]) -> None:
    text = gpuctl.Report.from_json({**report_json, "problems": ["one", "two"]}).render()
    body = text.splitlines()[1:]
    column = body[0].index("done")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in body)
