"""Row 45 of tests/adversarial in real containers: every way to a GPU that is not the job's.

In rootless and rootful Podman, and in Apptainer of a user and of root. The stand-in nodes have
their drivers' numbers: ENXIO means that the driver was asked.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from compiled import compiler

from lab.node import Node

pytestmark = pytest.mark.lab("ns", gpus="epn-mi50x8")
HERE = Path(__file__).resolve().parent
RUNTIMES = ("apptainer", "podman")
OWN, OTHERS = "renderD128", {"renderD129": 129, "card1": 1}
JDL = 'Executable = "payload.sh"; GPU = "MI50";'
PAYLOAD = f"""#!/bin/sh
(: </dev/dri/{OWN}) 2>&1 | sed 's/.*: /own: /'
mkdir -p /tmp/scratch
"""


@pytest.fixture(scope="session")
def ways(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The program that tries them, for an image without any libc."""
    target = tmp_path_factory.mktemp("ways") / "ways"
    source = HERE.parent / "adversarial/payloads/ways.c"
    subprocess.run([compiler(), "-static", "-O1", "-o", target, source], check=True, timeout=120)
    return target.read_bytes()


def tried(node: Node, ways: bytes, user: str, options: str) -> tuple[dict[str, Any], list[str]]:
    """The job's report, and what it printed."""
    script = PAYLOAD + "".join(
        f"/ways /dev/dri/{name} 1 /tmp/scratch /dev/dri 226 {minor}\n"
        for name, minor in OTHERS.items()
    )
    node.put(ways, "/srv/ways", mode=0o755)
    node.put(JDL.encode(), "/srv/job/job.jdl")
    node.put(script.encode(), "/srv/job/payload.sh", mode=0o755)
    done = node.run(
        f"mkdir -p ~/ways && cd ~/ways && gpuctl job /srv/job/job.jdl --json --workdir /tmp "
        f"--state-dir /tmp/state-{user} --ledger-scope slot {options}",
        user=user,
        env={"ADDITIONAL_BINDS": "/srv/ways:/ways"},
        timeout=180,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["exit"]["code"] == 0, done.stderr
    said = node.get(f"{report['output_dir']}/stdout").decode()
    return report, said.splitlines()


@pytest.mark.parametrize("image", ["debian11", "busybox"])
@pytest.mark.parametrize("user", ["pilot", "root"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_way_to_anothers_gpu(
    node: Node, ways: bytes, runtime: str, user: str, image: str
) -> None:
    options = f"--container {runtime} --image /srv/images/{image} --fence strict"
    report, said = tried(node, ways, user, options)
    assert report["container"]["fence"]["proof"]["holds"] is True
    own, *lines = said
    assert own == "own: No such device or address"
    assert [line for line in lines if line.startswith("OPEN")] == []
    counts = [int(line.split()[1]) for line in lines if line.startswith("tried")]
    assert len(counts) == len(OTHERS)
    assert min(counts) >= 15


@pytest.mark.parametrize("user", ["pilot", "root"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_ways_do_work_in_a_container_that_has_all(
    node: Node, ways: bytes, runtime: str, user: str
) -> None:
    """So that the test above could fail: a container with all of /dev/dri and no entry program."""
    node.put(ways, "/srv/ways", mode=0o755)
    words = "/ways /dev/dri/renderD129 1 /tmp /dev/dri 226 129"
    privileges = "--no-privs" if user == "root" else ""
    start = {
        "apptainer": f"apptainer --silent exec -C {privileges} --bind /dev/dri "
        "--bind /srv/ways:/ways",
        "podman": "podman --cgroup-manager=cgroupfs run --rm --cgroups=disabled --network host "
        "--device /dev/dri --volume /srv/ways:/ways:ro --rootfs",
    }[runtime]
    done = node.run(f"setsid --wait {start} /srv/images/debian11 {words}", user=user, timeout=180)
    assert done.code == 0, done.stderr
    lines = set(done.stdout.splitlines())
    assert {"OPEN its path", "OPEN O_PATH, opened again", "OPEN a symbolic link"} <= lines
