"""Site Sonar probes on Debian 11 and 13 and in busybox, and the runner in a pilot's place."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from lab.node import Node

SCHEMAS = Path(__file__).resolve().parents[2] / "sitesonar/schema"
# each probe's object in a line, with its name before it
ALL = """for probe in /opt/lab/lib/python3*/site-packages/gpuctl/sonar/sitesonar.d/*.sh; do
    name=${probe##*/}
    printf '%s ' "${name%.sh}"
    sh "$probe" || exit 9
done"""


def checked(stdout: str) -> dict[str, dict[str, object]]:
    """What each probe said; it is what its schema says."""
    found = {}
    for line in stdout.splitlines():
        name, text = line.split(" ", 1)
        assert len(text) < 3000
        found[name] = json.loads(text)
        schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
        jsonschema.Draft202012Validator(schema).validate(found[name])
    assert sorted(found) == sorted(path.stem for path in SCHEMAS.glob("*.json"))
    return found


@pytest.mark.lab("ns", gpus="epn-mi50x8")
def test_on_a_worker(node: Node) -> None:
    for user in ("pilot", "other", "root"):
        done = node.run(["sh", "-c", ALL], user=user)
        assert (done.code, done.stderr) == (0, "")
        found = checked(done.stdout)
        assert (found["gpu"]["count"], found["gpu"]["vendors"]) == (8, ["amd"])
        assert found["gpu"]["devices"] == {"1002:66a1": 8}
        assert (found["os"]["os_name"], found["os"]["os_version"]) == ("debian", "13")
        assert found["lingering"]["lingering"] == (user == "pilot")


@pytest.mark.lab("ns")
def test_in_images(node: Node) -> None:
    for image, version in {"debian11": "11", "debian13": "13", "busybox": None}.items():
        done = node.run(["sh", "-c", ALL], place="apptainer", image=image)
        assert (done.code, done.stderr) == (0, ""), image
        found = checked(done.stdout)
        assert found["os"]["os_version"] == version
        assert found["gpu"]["source"] in ("sysfs", "none")  # no lspci in there


@pytest.mark.lab("ns", gpus="perlmutter-a100x4")
def test_the_runner_with_a_hung_nvidia_smi(node: Node) -> None:
    node.put(
        b"#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n", "/usr/bin/nvidia-smi", mode=0o755
    )
    done = node.run("gpuctl sonar --offline --probe gpu --json")
    assert done.code == 0, done.stderr
    (row,) = json.loads(done.stdout)["probes"]
    assert row["message"]["tools"]["nvidia-smi"] == "hung"
    assert row["message"]["count"] == 4
    assert row["execution_usec"] < 50_000_000
