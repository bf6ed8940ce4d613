"""The lease file: readable in every fence, although the state directory that it lies in is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from nodes.compose import compose
from nodes.stand_ins import put_nodes
from schemas import validate

from adversarial.arena import Arena

GPU, OTHER = "0000:63:00.0", "0000:03:00.0"
# What the file says, whether it can be changed, and what else of the state is to be seen.
PAYLOAD = """cat $GPUCTL_LEASE_FILE
{ chmod 666 $GPUCTL_LEASE_FILE && : >$GPUCTL_LEASE_FILE; } 2>/dev/null
{ rm -f $GPUCTL_LEASE_FILE || mv $GPUCTL_LEASE_FILE x; } 2>/dev/null
find $STATE -type f >&2"""


@pytest.fixture
def node(arena: Arena) -> Path:
    return compose("epn-mi50x8", arena.folder / "node", device_nodes=False)


@pytest.mark.parametrize("fence", ["pid_namespace", "session"])
def test_it_is_there_in_every_fence(arena: Arena, node: Path, fence: str) -> None:
    keep = "cat $GPUCTL_LEASE_FILE; find $STATE -type f >&2"
    job = arena.run(
        ["--root", node, "--gpu", GPU, "--process-fence", fence, "--env", f"STATE={arena.state}"],
        ["sh", "-c", PAYLOAD if fence == "pid_namespace" else keep],
    )
    assert job.wait() == 0, job.stderr
    assert job.report["fence"]["process"] == fence
    lease = json.loads(job.stdout)
    validate("lease-file.json", lease)
    assert lease["lease_id"] == job.report["lease_id"]
    assert [gpu["id"] for gpu in lease["gpus"]] == [GPU]
    assert not list((arena.state / "leases").rglob("*.json"))  # it went with its lease
    if fence == "pid_namespace":
        seen = [line for line in job.stderr.splitlines() if line.startswith(str(arena.state))]
        assert [Path(line).name for line in seen] == ["lease.json"]


def test_a_part_of_a_lease_has_a_file_of_its_own(arena: Arena, node: Path) -> None:
    """Two jobs on the two GPUs of one lease, at the same time, each told of its own."""
    gpus = ("--root", node, "--gpu", GPU, "--gpu", OTHER)
    code, out, err = arena.gpuctl("reserve", "--json", "--owner-pid", arena.neighbour, *gpus)
    assert code == 0, err
    lease = json.loads(out)["lease"]["id"]
    go = arena.make_user_folder("go")
    script = f"touch {go}/$1; while ! [ -e {go}/{GPU} -a -e {go}/{OTHER} ]; do sleep 0.01; done; "
    jobs = {
        gpu: arena.run(
            ["--root", node, "--lease", lease, "--gpu", gpu],
            ["sh", "-c", script + "cat $GPUCTL_LEASE_FILE", "sh", gpu],
        )
        for gpu in (GPU, OTHER)
    }
    for gpu, job in jobs.items():
        assert job.wait() == 0, job.stderr
        told = json.loads(job.stdout)
        assert (told["lease_id"], [each["id"] for each in told["gpus"]]) == (lease, [gpu])


def test_a_job_without_a_gpu_is_told_of_none(arena: Arena, node: Path) -> None:
    """What the agent's environment names is the agent's."""
    job = arena.run(
        ["--root", node],
        ["sh", "-c", "echo ${GPUCTL_LEASE_FILE-none}"],
        env={"GPUCTL_LEASE_FILE": "/etc/hostname"},
    )
    assert (job.wait(), job.stdout) == (0, "none\n")


@pytest.mark.parametrize("lease", ["right", "another", "forged", "missing"])
def test_inside_of_a_container_the_file_stands_for_the_ledger(
    arena: Arena, node: Path, lease: str
) -> None:
    """`gpuctl run --lease ID` where the agent's ledger is out of sight: a state of its own."""
    put_nodes(node, {"kfd": (1, 5), "dri/renderD131": (1, 7), "dri/renderD128": (10, 200)})
    file = arena.folder / "lease.json"
    record = {"id": GPU, "pci_address": GPU, "uuid": None, "parent_id": None}
    told = {"schema": "gpuctl.lease-file/1", "lease_id": "1234567890abcdef", "gpus": [record]}
    if lease == "another":
        told["lease_id"] = "fedcba0987654321"
    if lease == "forged":
        told["gpus"] = [{**record, "id": "0000:ff:00.0"}]
    if lease != "missing":
        file.write_text(json.dumps(told), encoding="utf-8")
    job = arena.run(
        ["--root", node, "--lease", "1234567890abcdef"],
        ["sh", "-c", "cat $GPUCTL_LEASE_FILE; ls /dev/dri"],
        env={"GPUCTL_LEASE_FILE": str(file)},
    )
    if lease != "right":
        assert job.wait() == 125
        assert job.report["kill_reason"]["name"] == "GPU_UNAVAILABLE"
        return
    assert job.wait() == 0, job.stderr
    assert job.report["problems"] == []
    assert job.stdout.splitlines() == [file.read_text(encoding="utf-8") + "renderD131"]
    assert [gpu["id"] for gpu in job.report["gpus"]] == [GPU]


def test_inside_of_a_container_a_part_of_a_lease_has_a_file_too(arena: Arena, node: Path) -> None:
    file = arena.folder / "lease.json"
    records = [
        {"id": each, "pci_address": each, "uuid": None, "parent_id": None} for each in (GPU, OTHER)
    ]
    told = {"schema": "gpuctl.lease-file/1", "lease_id": "1234567890abcdef", "gpus": records}
    file.write_text(json.dumps(told), encoding="utf-8")
    job = arena.run(
        ["--root", node, "--lease", "1234567890abcdef", "--gpu", OTHER],
        ["sh", "-c", "cat $GPUCTL_LEASE_FILE"],
        env={"GPUCTL_LEASE_FILE": str(file)},
    )
    assert job.wait() == 0, job.stderr
    assert job.report["problems"] == []
    part = json.loads(job.stdout)
    assert (part["lease_id"], [each["id"] for each in part["gpus"]]) == (
        "1234567890abcdef",
        [OTHER],
    )
    assert not list((arena.state / "leases").glob("*/*"))


def test_of_somebody_elses_lease_the_caller_names_the_file(arena: Arena, node: Path) -> None:
    """Only a lease's user writes where the ledger takes the file away again."""
    if os.geteuid() != 0 or arena.uid == 0:
        pytest.skip("needs root, who is not the lease's user")
    gpus = ("--root", node, "--gpu", GPU)
    code, out, err = arena.gpuctl("reserve", "--json", "--owner-pid", arena.neighbour, *gpus)
    assert code == 0, err
    lease = json.loads(out)["lease"]["id"]
    export = ("export", "apptainer", "--json", "--root", node, "--lease", lease)
    code, out, err = arena.gpuctl(*export, uid=0)
    assert (code, out) == (2, "")
    assert "--lease-file" in err
    file = arena.folder / "file"
    code, out, err = arena.gpuctl(*export, "--lease-file", file, uid=0)
    assert code == 0, err
    assert json.loads(out)["files"][0]["host_path"] == str(file)
    assert not (arena.state / "leases").exists()
