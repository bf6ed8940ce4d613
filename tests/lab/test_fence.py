"""The fence on real kernels, and a batch system's own filter as the fence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.node import Node

RUN = "gpuctl -q run --state-dir /tmp/state --report /tmp/report.json"
OPEN_ALL = "for n in /dev/nvidia*; do (: <$n) && echo open; done 2>/dev/null; true"


def report(node: Node) -> dict[str, Any]:
    fence: dict[str, Any] = json.loads(node.get("/tmp/report.json").decode())["fence"]
    return fence


def ladder(node: Node) -> dict[str, bool]:
    script = (
        "binary=$(command -v gpuctl); PATH=/nowhere $binary doctor --json --state-dir /tmp/state"
    )
    done = node.run(script)  # no runtime is found, so none is tried
    assert done.code in (0, 1), done.stderr
    return {each["name"]: each["has"] for each in json.loads(done.stdout)["ladder"]}


@pytest.mark.lab("vm")
def test_what_slurm_refuses_counts_when_it_is_proven(node: Node) -> None:
    bare = {"GPUCTL_TEST_WITHOUT": "private_dev,landlock,device_filter"}
    strict = f"{RUN} --fence strict -- true"
    node.wait_for_place("slurm")
    assert node.run(strict, place="slurm", env=bare).code == 0
    slot = report(node)
    assert (slot["device"], slot["proof"]["holds"]) == ("slot", True)
    assert {f"/dev/nvidia{n}" for n in range(4)} <= set(slot["proof"]["refused"])
    assert node.run(strict, env=bare).code == 125  # outside of the slot nobody refuses them
    assert report(node)["device"] == "advisory"
    # the job's own fence, in the slot and outside of it
    for place in ("slurm", None):
        done = node.run(f"{RUN} --fence strict -- sh -c '{OPEN_ALL}'", place=place).check()
        assert done.stdout == ""
        assert report(node)["device"] == "private_dev"
    assert ladder(node)["private_dev"]


@pytest.mark.lab("vm", kernel="5.10")
def test_an_old_kernel_has_a_private_dev_and_no_landlock(node: Node) -> None:
    done = node.run(f"{RUN} --fence strict -- sh -c '{OPEN_ALL}'").check()
    assert done.stdout == ""
    assert report(node)["device"] == "private_dev"
    found = ladder(node)
    assert (found["private_dev"], found["landlock_files"], found["seccomp"]) == (True, False, True)
    bare = f"{RUN} --fence strict --process-fence session -- true"
    assert node.run(bare).code == 125
    assert "Landlock" in " ".join(report(node)["notes"])
    node.run(f"{RUN} --process-fence session -- true").check()
    assert report(node)["seccomp"]
    root = node.run(bare, user="root")  # has a device filter, where it has a cgroup of its own
    assert (root.code, report(node)["device"]) in ((0, "device_filter"), (125, "advisory"))
