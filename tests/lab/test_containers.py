"""Jobs in real containers: real Apptainer, real rootless Podman, stand-in device nodes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compiled import vendor_stand_ins

from lab.node import Node

pytestmark = pytest.mark.lab("ns", gpus="epn-mi50x8")
RUNTIMES = ("apptainer", "podman")
GPU, RENDER = "0000:03:00.0", "renderD128"  # the first: what a job gets
IMAGES = "/srv/images"

# ENXIO (no such device or address) comes from the driver that is not there: the fence let it pass
PAYLOAD = r"""#!/bin/sh
echo "nodes:" $(ls /dev/dri /dev/kfd)
for node in /dev/dri/renderD128 /dev/dri/renderD129 /dev/kfd; do
    (: <"$node") 2>&1 | sed "s|.*: |open $node: |"
done
mknod /tmp/other c 226 129 2>/dev/null && echo "made a node"
echo "mask: $ROCR_VISIBLE_DEVICES $CUDA_VISIBLE_DEVICES"
echo "place: $PWD $GPUCTL_JOB_WORKDIR $(cat /proc/1/comm)"
echo "lease: $GPUCTL_LEASE_FILE $(grep -c renderD128 "$GPUCTL_LEASE_FILE")"
(: >"$GPUCTL_LEASE_FILE") 2>/dev/null && echo "wrote the lease file"
echo "secret: ${PILOT_SECRET-none} ${ALIEN_SITE-none}"
echo kept > kept.txt
exit 7
"""
JDL = 'Executable = "payload.sh"; GPU = "MI50"; Output = {"kept.txt"};'


def job(
    node: Node,
    *options: str,
    script: str = PAYLOAD,
    jdl: str = JDL,
    more: dict[str, str] | None = None,
    state: str = "/tmp/state",
) -> dict[str, Any]:
    node.run("mkdir -p ~/job").check()
    node.put(jdl.encode(), "/home/pilot/job/job.jdl")
    node.put(script.encode(), "/home/pilot/job/payload.sh", mode=0o755)
    words = " ".join(options)
    done = node.run(
        f"cd ~/job && gpuctl job job.jdl --json --workdir /tmp --state-dir {state} {words}",
        env={"PILOT_SECRET": "token", "ALIEN_SITE": "LAB", **(more or {})},
        timeout=180,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["words"] = done.stderr
    return report


def output(node: Node, report: dict[str, Any], name: str = "stdout") -> str:
    return node.get(f"{report['output_dir']}/{name}").decode()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_job_sees_its_own_gpu_only(node: Node, runtime: str) -> None:
    report = job(node, f"--container {runtime} --image {IMAGES}/debian13 --fence strict")
    assert report["exit"]["code"] == 7, report["words"]
    said = output(node, report)
    assert f"nodes: /dev/kfd /dev/dri: {RENDER}\n" in said
    assert f"open /dev/dri/{RENDER}: No such device or address" in said
    assert "open /dev/kfd: No such device or address" in said
    assert "renderD129: No such file or directory" in said
    assert "made a node" not in said
    assert "mask: GPU-5a1b3c0021720000 -1" in said
    assert "place: /workdir /workdir" in said
    assert "lease: /run/gpuctl-lease.json 1\n" in said
    assert "wrote the lease file" not in said
    assert "secret: none LAB" in said
    assert output(node, report, "kept.txt") == "kept\n"
    assert report["container"]["runtime"] == runtime
    assert report["container"]["fence"]["proof"]["holds"] is True
    assert report["fence"]["process"] == "runtime"
    assert report["command"][0] == "/workdir/payload.sh"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_job_without_a_gpu_reaches_none(node: Node, runtime: str) -> None:
    jdl = 'Executable = "payload.sh"; GPU = "A100"; GPURequired = false;'
    report = job(node, f"--container {runtime} --image {IMAGES}/debian11", jdl=jdl)
    assert report["match"]["cpu_only"]
    said = output(node, report)
    for name in ("dri/renderD128", "dri/renderD129", "kfd"):
        assert f"open /dev/{name}: No such file or directory" in said
    assert "mask: -1 -1" in said


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_its_end_is_proven_whatever_the_runtime_left(node: Node, runtime: str) -> None:
    script = "#!/bin/sh\ntrap '' TERM\nsetsid sleep 4242 &\nsleep 4243\n"
    report = job(
        node,
        f"--container {runtime} --image {IMAGES}/busybox --ttl 5s --forced-kill-timeout 1s",
        script=script,
        jdl='Executable = "payload.sh";',
    )
    assert report["kill_reason"]["name"] == "TTL", report["words"]
    assert report["state"] == "done"
    assert report["kill"]["proof"] in ("subreaper", "cgroup"), report["kill"]
    assert node.run("pgrep -f 'conmon|sleep 424[23]'", user="root").code == 1


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("image", ["debian11", "busybox"])
def test_the_probe_runs_in_any_image_and_finds_no_other_gpu(
    node: Node, runtime: str, image: str
) -> None:
    """No GPU library is there, so nothing is proven of the GPU; busybox has not even a libc."""
    done = node.run(
        f"gpuctl sanity --json --gpu {GPU} --api hip --container {runtime} "
        f"--image {IMAGES}/{image} --state-dir /tmp/state",
        timeout=180,
    )
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    (check,) = answer["checks"]
    levels = {level["level"]: level for level in check["levels"]}
    if image == "busybox":
        assert (answer["verdict"], levels["starts"]["result"]) == ("unproven", "fail")
        return
    assert answer["verdict"] == "unproven"
    assert levels["starts"]["result"] == "pass"
    assert levels["others"]["result"] == "pass", levels["others"]
    assert levels["others"]["detail"] == "15 refused"  # seven render nodes, eight card nodes


LIBRARIES = "usr/lib/x86_64-linux-gnu"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_gpu_computes_in_the_very_container_before_the_job_starts(
    node: Node, runtime: str, tmp_path: Path
) -> None:
    """The vendor's library is the image's; behind it is a stand-in, the GPU at bus 27."""
    vendor_stand_ins(tmp_path)
    library = f"{IMAGES}/debian13/{LIBRARIES}/libamdhip64.so.6"
    node.put((tmp_path / "libamdhip64.so.6").read_bytes(), library, mode=0o755)
    options = f"--container {runtime} --image {IMAGES}/debian13 --sanity always"
    script = "#!/bin/sh\nls /dev/dri\n"
    report = job(node, options, script=script, more={"ALIEN_SANITY_BUS": "27"})
    assert report["exit"]["code"] == 0, report["words"]
    assert report["sanity"]["verdict"] == "pass"
    assert report["sanity"]["container"]["runtime"] == runtime
    assert [gpu["id"] for gpu in report["gpus"]] == ["0000:27:00.0"]  # the first one was not it
    assert output(node, report) == "renderD129\n"
    wrong = {"ALIEN_SANITY_BUS": "27", "ALIEN_SANITY_WRONG": "result"}
    jdl = JDL.replace('MI50";', 'MI50"; GPUCount = 8;')
    # a ledger of its own: above, the first GPU was drained
    refused = job(node, options, script=script, jdl=jdl, more=wrong, state="/tmp/other")
    assert refused["kill_reason"]["name"] == "GPU_SANITY"
    # in an image of the job's own a library may lie: it gets no GPU, and no GPU is drained for it
    named = JDL + f'JobContainer = "{IMAGES}/debian13";'
    options = f"--container {runtime} --sanity always"
    lied = job(node, options, script=script, jdl=named, more=wrong, state="/tmp/third")
    assert lied["kill_reason"]["name"] == "GPU_SANITY", lied["words"]
    status = node.run("gpuctl status --json --state-dir /tmp/third").stdout
    assert json.loads(status)["drains"] == []


def test_podman_takes_the_cdi_specification(node: Node) -> None:
    node.run("mkdir -p /etc/cdi && gpuctl export cdi > /etc/cdi/gpuctl.json", user="root").check()
    run = "podman --cgroup-manager=cgroupfs run --rm --cgroups=disabled --network none"
    done = node.run(
        f"{run} --device gpuctl.jalien/gpu=0000:63:00.0 --rootfs {IMAGES}/debian13 "
        "sh -c 'ls /dev/dri /dev/kfd; echo $NVIDIA_VISIBLE_DEVICES'",
        timeout=180,
    )
    assert done.code == 0, done.stderr
    assert done.stdout.split() == ["/dev/kfd", "/dev/dri:", "renderD131", "void"]
    wrong = node.run(
        f"{run} --device gpuctl.jalien/gpu=0000:ff:00.0 --rootfs {IMAGES}/debian13 true"
    )
    assert wrong.code != 0


INSIDE = """set -e
gpuctl -q run --lease "$1" --ledger-scope slot --state-dir /tmp/state -- sh -c '
    grep -o renderD... "$GPUCTL_LEASE_FILE"; ls /dev/dri'
"""
AGENT = """set -e
sleep 600 & agent=$!; trap 'kill $agent' EXIT
gpuctl reserve --owner-pid $agent --job agent --gpu 0000:63:00.0 --ledger-scope slot >/dev/null
eval "$(gpuctl export {runtime} --lease agent)"
lease=$(sed -n 's/.*"lease_id": "\\(.*\\)".*/\\1/p' /dev/shm/gpuctl/leases/*/*/lease.json)
tools="$(readlink -f "$(command -v gpuctl)"):/usr/local/bin/gpuctl:ro /srv/inside.sh:/inside.sh:ro"
{start} sh /inside.sh $lease
"""
START = {
    "apptainer": "export APPTAINER_BINDPATH=$(echo $tools | tr ' ' ,); setsid --wait apptainer "
    f'--silent exec -C "$@" {IMAGES}/debian13',
    "podman": "setsid --wait podman --cgroup-manager=cgroupfs run --rm --cgroups=disabled "
    f"""--network none $(printf -- '--volume %s ' $tools) "$@" --rootfs {IMAGES}/debian13""",
}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_job_wrapper_inside_uses_the_agents_lease(node: Node, runtime: str) -> None:
    """The agent holds the lease. Its ledger is out of sight inside, where `gpuctl run --lease`
    goes by the lease file."""
    node.put(INSIDE.encode(), "/srv/inside.sh")
    done = node.run(AGENT.format(runtime=runtime, start=START[runtime]), timeout=180)
    assert done.code == 0, done.stderr
    assert done.stdout.split() == ["renderD131", "renderD131"]


def test_what_export_prints_is_what_apptainer_takes(node: Node) -> None:
    script = (
        "export APPTAINER_NV=1 HIP_VISIBLE_DEVICES=3; "
        'eval "$(gpuctl export apptainer --gpu 0000:63:00.0)" && '
        f'setsid --wait apptainer --silent exec -C "$@" {IMAGES}/debian13 '
        "sh -c 'ls /dev/dri; echo $ROCR_VISIBLE_DEVICES ${HIP_VISIBLE_DEVICES-unset}'"
    )
    done = node.run(script, timeout=180)
    assert done.code == 0, done.stderr
    assert done.stdout.split() == ["renderD131", "GPU-5a1b3c0021723333", "unset"]


def test_an_image_of_apptainer_in_one_file(node: Node) -> None:
    node.run(f"apptainer --silent build ~/small.sif {IMAGES}/busybox", timeout=180).check()
    report = job(node, "--container apptainer --image /home/pilot/small.sif --fence strict")
    assert report["exit"]["code"] == 7, report["words"]
    assert f"open /dev/dri/{RENDER}: No such device or address" in output(node, report)
    assert report["container"]["fence"]["proof"]["holds"] is True


@pytest.mark.parametrize("way", ["import", "load"])
def test_an_image_of_podman_by_name(node: Node, way: str) -> None:
    """Of its own storage, brought there as an archive of files, or as one of images."""
    bring = f"tar --create --directory {IMAGES}/busybox . | podman import --quiet - localhost/small"
    if way == "load":
        bring += " && podman save --quiet --output /tmp/small.tar localhost/small"
        bring += " && podman rmi localhost/small && podman load --quiet --input /tmp/small.tar"
    vfs = {"STORAGE_DRIVER": "vfs"}  # the node's own root is an overlay: none can be laid on it
    node.run(f"set -o pipefail; {bring}", env=vfs, timeout=180).check()
    options = "--container podman --image localhost/small --fence strict"
    report = job(node, options, more=vfs)
    assert report["exit"]["code"] == 7, report["words"]
    assert f"open /dev/dri/{RENDER}: No such device or address" in output(node, report)
    assert report["container"]["image"] == "localhost/small"
    assert report["container"]["fence"]["proof"]["holds"] is True
    missing = job(node, "--container podman --image localhost/none", more=vfs)
    assert missing["kill_reason"]["name"] == "CONTAINER"
