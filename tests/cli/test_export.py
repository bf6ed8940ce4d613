"""`gpuctl export`: what exposes GPUs to a container, for agents in any language."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from nodes.compose import compose
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]
GPU, OTHER = "0000:63:00.0", "0000:03:00.0"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return compose("epn-mi50x8", tmp_path / "node", device_nodes=False)


@pytest.fixture
def export(gpuctl: Run, node: Path) -> Callable[..., dict[str, Any]]:
    def run(kind: str, *arguments: object) -> dict[str, Any]:
        done = gpuctl("export", kind, "--json", "--root", node, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        validate("cdi.json" if kind == "cdi" else "export.json", answer)
        return answer

    return run


def test_apptainer_binds_the_leases_nodes_and_no_others(export, node: Path) -> None:
    answer = export("apptainer", "--gpu", GPU)
    binds = [answer["argv"][i + 1] for i, w in enumerate(answer["argv"]) if w == "--bind"]
    assert binds == [f"{node}/dev/dri/renderD131:/dev/dri/renderD131", f"{node}/dev/kfd:/dev/kfd"]
    assert not {"--nv", "--rocm", "--nvccli"} & set(answer["argv"])
    assert answer["environment"]["APPTAINERENV_ROCR_VISIBLE_DEVICES"] == "GPU-5a1b3c0021723333"
    assert answer["environment"]["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == "-1"
    assert {"APPTAINER_NV", "APPTAINER_ROCM", "HIP_VISIBLE_DEVICES"} <= set(answer["unset"])
    assert not set(answer["unset"]) & set(answer["environment"])
    assert answer["gpus"] == [GPU]


def test_podman_has_all_in_its_options(export, node: Path) -> None:
    answer = export("podman", "--gpu", GPU)
    devices = [word for word in answer["argv"] if word.startswith("--device=")]
    assert devices == [
        f"--device={node}/dev/dri/renderD131:/dev/dri/renderD131:rw",
        f"--device={node}/dev/kfd:/dev/kfd:rw",
    ]
    assert "--env=ROCR_VISIBLE_DEVICES=GPU-5a1b3c0021723333" in answer["argv"]
    assert "--env=NVIDIA_VISIBLE_DEVICES=void" in answer["argv"]
    assert (answer["environment"], answer["unset"]) == ({}, [])


@pytest.mark.parametrize("mode", [None, "0", "1"])
def test_labels_are_off_where_selinux_is_on(export, node: Path, mode: str | None) -> None:
    """A container's domain may not open the host's nodes; elsewhere there is nothing to switch."""
    if mode is not None:
        (node / "sys/fs/selinux").mkdir(parents=True)
        (node / "sys/fs/selinux/enforce").write_text(mode, encoding="ascii")
    option = "--security-opt=label=disable"
    assert (option in export("podman", "--gpu", GPU)["argv"]) == (mode is not None)
    assert option not in export("apptainer", "--gpu", GPU)["argv"]


def test_env_is_for_a_process_without_a_container(export) -> None:
    answer = export("env", "--gpu", GPU, "--gpu", OTHER)
    assert answer["argv"] == []
    masks = "GPU-5a1b3c0021723333,GPU-5a1b3c0021720000"
    assert answer["environment"]["ROCR_VISIBLE_DEVICES"] == masks
    assert "GPU_DEVICE_ORDINAL" in answer["unset"]


def test_as_text_it_is_for_eval(gpuctl: Run, node: Path) -> None:
    done = gpuctl("export", "apptainer", "--root", node, "--gpu", GPU)
    shell = subprocess.run(
        [
            "sh",
            "-euc",
            'eval "$1"; printf "%s\\n" "$APPTAINERENV_ROCR_VISIBLE_DEVICES" "$#" "$@"; '
            'echo "${APPTAINER_NV-unset}"',
            "sh",
            done.stdout,
        ],
        env={**os.environ, "APPTAINER_NV": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = shell.stdout.splitlines()
    assert lines[0] == "GPU-5a1b3c0021723333"
    assert int(lines[1]) == len(lines) - 3
    assert lines[2:4] == ["--no-nv", "--no-rocm"]
    assert lines[-1] == "unset"


def test_the_lease_file_is_read_only_and_shown_inside(export, tmp_path: Path) -> None:
    file = tmp_path / "lease.json"
    for _ in range(2):  # again: replaced, not refused
        answer = export("apptainer", "--gpu", GPU, "--lease-file", file)
    inside = answer["environment"]["APPTAINERENV_GPUCTL_LEASE_FILE"]
    assert f"{file}:{inside}:ro" in answer["argv"]
    assert answer["files"] == [{"path": inside, "host_path": str(file)}]
    lease = json.loads(file.read_text(encoding="utf-8"))
    assert lease["schema"] == "gpuctl.lease-file/1"
    assert [gpu["id"] for gpu in lease["gpus"]] == [GPU]
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert list(tmp_path.glob("lease.json.*")) == []


@pytest.fixture
def leased(gpuctl: Run, node: Path, tmp_path: Path) -> dict[str, Any]:
    """Two GPUs of job 4711, recorded for this process."""
    words = ("--owner-pid", os.getpid(), "--job", "4711", "--gpus", 2)
    state = tmp_path / "state"
    done = gpuctl("reserve", "--json", "--root", node, "--state-dir", state, *words)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return {**answer["lease"], "state_dir": str(state)}


def test_a_lease_by_its_id_or_its_jobs(export, leased: dict[str, Any]) -> None:
    for name in (leased["id"], "4711"):
        answer = export("apptainer", "--lease", name, "--state-dir", leased["state_dir"])
        assert answer["lease_id"] == leased["id"]
        assert answer["gpus"] == [unit["id"] for unit in leased["units"]]
        masks = answer["environment"]["APPTAINERENV_ROCR_VISIBLE_DEVICES"]
        assert len(masks.split(",")) == 2
    spec = export("cdi", "--lease", leased["id"], "--state-dir", leased["state_dir"])
    assert spec["kind"] == "gpuctl.jalien/lease"
    assert [device["name"] for device in spec["devices"]] == [leased["id"]]


@pytest.mark.parametrize("kind", ["apptainer", "podman", "env", "cdi"])
def test_a_lease_comes_with_its_file(
    export, gpuctl: Run, node: Path, leased: dict[str, Any], kind: str
) -> None:
    """In the state directory, for as long as the lease lasts."""
    answer = export(kind, "--lease", leased["id"], "--state-dir", leased["state_dir"])
    (file,) = (Path(leased["state_dir"]) / "leases").rglob("*.json")
    if kind == "cdi":
        edits = answer["devices"][0]["containerEdits"]
        inside, host = edits["mounts"][0]["containerPath"], edits["mounts"][0]["hostPath"]
        assert f"GPUCTL_LEASE_FILE={inside}" in edits["env"]
    else:
        inside, host = answer["files"][0]["path"], answer["files"][0]["host_path"]
        words = [*answer["argv"], *(f"{k}={v}" for k, v in answer["environment"].items())]
        named = host if kind == "env" else inside
        assert any(word.endswith(f"GPUCTL_LEASE_FILE={named}") for word in words), words
    assert host == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    told = json.loads(file.read_text(encoding="utf-8"))
    validate("lease-file.json", told)
    assert told["lease_id"] == leased["id"]
    assert [gpu["id"] for gpu in told["gpus"]] == [unit["id"] for unit in leased["units"]]
    state = ("--root", node, "--state-dir", leased["state_dir"])
    assert gpuctl("release", leased["id"], *state).returncode == 0
    assert not file.exists()


def test_a_lease_file_where_the_caller_wants_it(
    export, leased: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    words = ("--lease", leased["id"], "--state-dir", leased["state_dir"], "--lease-file", file)
    assert export("apptainer", *words)["files"][0]["host_path"] == str(file)
    assert not (Path(leased["state_dir"]) / "leases").exists()


def test_the_state_directory_may_be_named_relatively(
    gpuctl: Run, node: Path, tmp_path: Path
) -> None:
    words = ("--root", node, "--state-dir", "state", "--gpu", GPU)
    done = gpuctl("run", *words, "--", "sh", "-c", "cat $GPUCTL_LEASE_FILE", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [gpu["id"] for gpu in json.loads(done.stdout)["gpus"]] == [GPU]


def test_a_lease_that_is_over_exposes_nothing(
    gpuctl: Run, node: Path, leased: dict[str, Any]
) -> None:
    places = ("--root", node, "--state-dir", leased["state_dir"])
    assert gpuctl("release", leased["id"], *places).returncode == 0
    for name in (leased["id"], "4711", "none"):
        done = gpuctl("export", "apptainer", "--lease", name, *places)
        assert (done.returncode, done.stdout) == (1, "")
        assert name in done.stderr


def test_cdi_of_a_node_and_of_chosen_gpus(export, node: Path) -> None:
    spec = export("cdi")
    assert spec["kind"] == "gpuctl.jalien/gpu"
    assert len(spec["devices"]) == 8
    one = export("cdi", "--gpu", GPU)
    (device,) = one["devices"]
    nodes = [each["hostPath"] for each in device["containerEdits"]["deviceNodes"]]
    assert nodes == [f"{node}/dev/dri/renderD131", f"{node}/dev/kfd"]


@pytest.mark.parametrize("name", ["perlmutter-a100x4", "mixed-broken", "empty"])
def test_cdi_of_other_nodes(gpuctl: Run, tmp_path: Path, name: str) -> None:
    root = compose(name, tmp_path / "node", device_nodes=False)
    done = gpuctl("export", "cdi", "--root", root)
    spec = json.loads(done.stdout)
    validate("cdi.json", spec)
    inventory = json.loads(gpuctl("discover", "--json", "--root", root).stdout)
    usable = {gpu["id"] for gpu in inventory["gpus"] if gpu["usable"] and gpu["device_nodes"]}
    assert {device["name"] for device in spec["devices"]} == usable


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "one FORMAT"),
        (("docker",), "expected apptainer, podman, env"),
        (("apptainer",), "`--lease` or `--gpu`"),
        (("apptainer", "--gpu", "0000:ff:00.0"), "no GPU `0000:ff:00.0`"),
        (("apptainer", "--gpu", GPU, "--lease-file", ""), "expected a path"),
        (("apptainer", "podman"), "one FORMAT"),
    ],
)
def test_what_makes_no_sense(gpuctl: Run, node: Path, arguments, words: str) -> None:
    done = gpuctl("export", *arguments, "--root", node)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_lease_file_that_cannot_be_written(gpuctl: Run, node: Path, tmp_path: Path) -> None:
    file = tmp_path / "none" / "lease.json"
    done = gpuctl("export", "apptainer", "--root", node, "--gpu", GPU, "--lease-file", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(file.parent) in done.stderr
