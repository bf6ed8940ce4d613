"""`gpuctl sitemap` and `gpuctl sonar` as whole programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from nodes.compose import compose
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]

DONE, USAGE, PARTIAL = 0, 2, 4


@pytest.fixture
def collector(gpuctl_binary: Path, tmp_path: Path) -> Iterator[str]:
    """`gpuctl sonar --serve` on a free port; its URL."""
    words = ("sonar", "--serve", "[::1]:0", "--database", tmp_path / "db", "--probe", "os")
    with subprocess.Popen(
        [gpuctl_binary, *map(str, words)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == DONE


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "ledger").mkdir()
    return {
        "CVMFS_PATH": str(tmp_path / "no"),
        "GPUCTL_STATE_DIR": str(tmp_path / "ledger"),
        "TMPDIR": str(tmp_path),
        "CPUCores": "8",
    }


def test_a_sitemap(gpuctl: Run, tmp_path: Path, env: dict[str, str]) -> None:
    root = compose("mixed-broken", tmp_path / "node")
    (tmp_path / "state").mkdir()
    places = ("--root", root, "--state-dir", tmp_path / "state")
    done = gpuctl("sitemap", "--json", *places, env={**env, "CE": "ALICE::CERN::EL9", "HOME": "/"})
    answer = json.loads(done.stdout)
    validate("sitemap.json", answer)
    assert (answer["CE"], answer["CPUCores"], answer["CVMFS"]) == ("ALICE::CERN::EL9", 8, 0)
    assert answer["GPUVendor"] == "nvidia,amd"  # Intel's is there and cannot be used
    assert done.returncode == (PARTIAL if answer["problems"] else DONE)
    text = gpuctl("sitemap", *places, env=env)
    assert text.stdout.splitlines()[0].split() == ["schema", "gpuctl.sitemap/1"]


def test_a_sitemap_is_what_match_reads(gpuctl: Run, tmp_path: Path, env: dict[str, str]) -> None:
    done = gpuctl("sitemap", "--json", env=env)
    (tmp_path / "node.json").write_text(done.stdout)
    job = tmp_path / "job.jdl"
    job.write_text('Executable = "x"; TTL = 5; WorkDirectorySize = "1MB"; Requirements = true;')
    done = gpuctl("match", job, "--node", tmp_path / "node.json", env=env)
    assert done.returncode == DONE, done.stdout


def test_constraints_come_with_the_collector(
    gpuctl: Run, collector: str, env: dict[str, str]
) -> None:
    done = gpuctl("sonar", "--collector", collector, "--json", env=env)
    answer = json.loads(done.stdout)
    validate("sonar.json", answer)
    assert (done.returncode, answer["problems"]) == (DONE, [])
    assert [row["uploaded"] for row in answer["probes"]] == [True]
    assert answer["constraints"]["OS_NAME"] == answer["probes"][0]["message"]["os_name"]
    settings = {**env, "GPUCTL_COLLECTOR": collector}
    told = json.loads(gpuctl("sitemap", "--json", env=settings).stdout)
    validate("sitemap.json", told)
    assert told["constraints"] == answer["constraints"]
    assert told["OS_NAME"] == answer["constraints"]["OS_NAME"]


def test_a_collector_that_is_not_there_costs_nothing(gpuctl: Run, env: dict[str, str]) -> None:
    url = "http://127.0.0.1:1/"
    done = gpuctl("sitemap", "--json", "--collector", url, env=env)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["constraints"]) == (PARTIAL, None)
    assert any("collector" in problem for problem in answer["problems"])
    done = gpuctl("sonar", "--json", "--collector", url, env=env)
    assert (done.returncode, json.loads(done.stdout)["probes"]) == (PARTIAL, [])
    assert "Traceback" not in done.stderr


def test_offline(gpuctl: Run, env: dict[str, str]) -> None:
    done = gpuctl("sonar", "--offline", "--probe", "os", "--probe", "gpu", "--json", env=env)
    answer = json.loads(done.stdout)
    validate("sonar.json", answer)
    assert [row["name"] for row in answer["probes"]] == ["os", "gpu"]
    text = gpuctl("sonar", "--offline", "--probe", "os", env=env)
    assert text.stdout.startswith('os: {"os_name": ')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sitemap", "x"], "is no option"),
        (["sitemap", "--collector", "x"], "is no collector"),
        (["sonar"], "there is no collector"),
        (["sonar", "x"], "is no option"),
        (["sonar", "--offline", "--collector", "http://a/"], "asks nobody"),
        (["sonar", "--offline", "--probe", "nothing"], "there is no probe"),
        (["sonar", "--offline", "--probe", "../os"], "there is no probe"),
        (["sonar", "--offline", "--probes", "/nothing"], "there are no probes"),
        (["sonar", "--offline", "--deadline", "0"], "no time"),
        (["sonar", "--offline", "--deadline", "soon"], "duration"),
        (["sonar", "--collector", "ftp://x/"], "is no collector"),
        (["sonar", "--serve", "8080"], "expected"),
        (["sonar", "--serve", "127.0.0.1:0"], "needs `--database FILE`"),
        (["sonar", "--serve", "example.org:0", "--database", "/nothing/x"], "cannot"),
    ],
)
def test_usage(gpuctl: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    done = gpuctl(*arguments, cwd=tmp_path, env={"GPUCTL_COLLECTOR": None})
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == USAGE or "/nothing/x" in arguments
    assert os.listdir(tmp_path) == []
