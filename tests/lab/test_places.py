"""gpuctl, copied in, does its work in the places where pilots and payloads live."""

from __future__ import annotations

import json
import textwrap

import pytest

from lab.node import Node
from lab.vfio_user import PciDevice

PLACES = [None, "scope", "slurm", "condor", "apptainer", "podman"]
IN_CONTAINERS = ("apptainer", "podman")
RUN = "gpuctl -q run --state-dir /tmp/state --"
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place or "plain")

HELLO = textwrap.dedent("""\
    Executable = "hello.sh";
    Arguments = "from the lab";
    GPUCount = 1;
    GPURequired = false;
    TTL = 600;
    """)


def discovered(node: Node, place: str | None) -> list[dict[str, object]]:
    """4: something could not be read, and is among the problems; nothing is lost for it."""
    done = node.run("gpuctl discover --json", place=place)
    assert done.code in (0, 1, 4), done.stderr
    gpus: list[dict[str, object]] = json.loads(done.stdout)["gpus"]
    return gpus


@pytest.mark.lab("ns", gpus="epn-mi50x8")
@places
def test_discover_on_the_epn(node: Node, place: str | None) -> None:
    gpus = discovered(node, place)
    assert len(gpus) == 8
    assert {(gpu["isa"], gpu["memory_total_bytes"]) for gpu in gpus} == {("gfx906", 34342961152)}
    # a container that was given no device has the hardware in /sys, but no node in /dev
    assert {gpu["usable"] for gpu in gpus} == {place not in IN_CONTAINERS}


@pytest.mark.lab("ns", gpus="perlmutter-a100x4")
def test_discover_on_perlmutter(node: Node) -> None:
    gpus = discovered(node, None)
    assert [gpu["model"] for gpu in gpus] == ["A100 SXM4 40GB"] * 4
    assert all(gpu["usable"] for gpu in gpus)


@pytest.mark.lab("ns", gpus="mixed-broken")
def test_discover_beside_a_broken_device(node: Node) -> None:
    gpus = discovered(node, None)
    assert len({gpu["vendor"] for gpu in gpus}) == 3
    assert any(gpu["usable"] for gpu in gpus)
    assert any(not gpu["usable"] for gpu in gpus)


@pytest.mark.lab("ns")
@places
def test_run(node: Node, place: str | None) -> None:
    """The payload's own output and exit code, whatever is around it."""
    done = node.run(
        "gpuctl -q run --state-dir /tmp/state -- sh -c 'echo payload; exit 7'", place=place
    )
    assert (done.code, done.stdout) == (7, "payload\n"), done.stderr


@pytest.mark.lab("ns")
@places
def test_run_ends_what_the_payload_leaves(node: Node, place: str | None) -> None:
    script = (
        "gpuctl -q run --state-dir /tmp/state -- sh -c 'setsid sleep 4242 & sleep 4243 & exit 0'"
    )
    done = node.run(script, place=place)
    assert done.code == 0, done.stderr
    assert node.run("pgrep -fx 'sleep 424[23]'", user="root").code == 1


@pytest.mark.lab("ns", gpus="epn-mi50x8")
def test_where_the_ledger_is_not_the_nodes_no_gpu_is_given(node: Node) -> None:
    """The node is a network namespace, from which nobody outside sees a lock on a GPU."""
    node.put(b'Executable = "/bin/true"; GPUCount = 1;', "/home/pilot/job.jdl")
    node.put(b'Executable = "/bin/true"; GPUCount = 1; GPURequired = false;', "/home/pilot/cpu.jdl")
    job = "gpuctl job ~/{}.jdl --json --workdir /tmp --state-dir /tmp/state --ledger-scope node"
    refused, alone = (node.run(job.format(name), user="pilot") for name in ("job", "cpu"))
    assert refused.code == 125, refused.stderr
    assert json.loads(refused.stdout)["kill_reason"]["name"] == "GPU_UNAVAILABLE"
    assert "--ledger-scope slot" in refused.stderr
    assert alone.code == 0, alone.stderr
    assert json.loads(alone.stdout)["gpus"] == []
    run = "gpuctl run --gpus 1 --state-dir /tmp/state --ledger-scope node -- true"
    assert node.run(run, user="pilot").code == 125


@pytest.mark.lab("ns", gpus="epn-mi50x8")
@pytest.mark.parametrize("place", [None, "scope", "slurm", "condor"], ids=lambda p: p or "plain")
def test_job(node: Node, place: str | None) -> None:
    node.run("mkdir -p ~/job", user="pilot").check()
    node.put(HELLO.encode(), "/home/pilot/job/hello.jdl")
    node.put(
        b'#!/bin/sh\necho "hello $*"\nenv | grep -c ROCR_VISIBLE\n',
        "/home/pilot/job/hello.sh",
        mode=0o755,
    )
    done = node.run(
        "cd ~/job && gpuctl job hello.jdl --json --workdir /tmp --state-dir /tmp/state", place=place
    )
    assert done.code == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["exit"]["code"] == 0
    if place == "condor":  # whose job did not ask for one: the masks of its slot leave none
        assert report["gpus"] == []
        reasons = {each["reason"] for each in report["match"]["rejected"]}
        assert reasons == {"it is not allotted to this slot"}
    else:
        assert len(report["gpus"]) == 1
    ids = (report["batch"]["slurm_job_id"], report["batch"]["htcondor_global_job_id"])
    assert [bool(each) for each in ids] == [place == "slurm", place == "condor"]


@pytest.mark.lab("ns")
def test_import_in_the_nodes_own_python(node: Node) -> None:
    """The wheel was built in the image's userland: another Python than the tests run under."""
    script = "import gpuctl, sys; print(sys.version_info[:2], len(gpuctl.Host().discover().gpus))"
    done = node.run(["python3", "-c", script])
    assert done.stdout == "(3, 13) 0\n", done.stderr


@pytest.mark.lab("vm")
@places
def test_run_on_a_whole_machine(node: Node, place: str | None) -> None:
    done = node.run(
        "gpuctl -q run --state-dir /tmp/state -- sh -c 'echo payload; exit 7'", place=place
    )
    assert (done.code, done.stdout) == (7, "payload\n"), done.stderr


@pytest.mark.lab("vm", kernel="5.10")
def test_run_on_an_old_kernel(node: Node) -> None:
    done = node.run(f"uname -r; {RUN} sh -c 'sleep 4242 & exit 7'")
    assert (done.code, done.stdout[:5]) == (7, "5.10."), done.stderr
    assert node.run("pgrep -fx 'sleep 4242'", user="root").code == 1


DEVICES = (
    PciDevice("10de", "20b0", "030200", "10de:144e", "a1"),
    PciDevice("1002", "740c", "038000"),
    PciDevice("8086", "56c0", "038000"),
)


@pytest.mark.lab("vm", devices=DEVICES)
def test_discover_real_pci_devices(node: Node) -> None:
    """Three vendors' devices on a real PCI bus, without a driver; the kernel tells their ids."""
    gpus = discovered(node, None)
    by_id = {(gpu["vendor_id"], gpu["device_id"]): gpu for gpu in gpus}
    for wanted in (("10de", "20b0"), ("1002", "740c"), ("8086", "56c0")):
        assert by_id[wanted]["health"]["state"] == "no_driver"  # type: ignore[index]
        assert by_id[wanted]["usable"] is False
    assert by_id["10de", "20b0"]["architecture"] == "Ampere"
    lspci = node.run("lspci -Dnn").stdout
    for gpu in gpus:
        assert f"[{gpu['vendor_id']}:{gpu['device_id']}]" in lspci
