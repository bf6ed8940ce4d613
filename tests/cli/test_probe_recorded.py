"""`gpuctl probe --from` on every recorded case: generated from the recordings' INDEX.tsv.

A case that is not read is a failure. Each is read in two ways: file by file with the kind that the
index names, and as a folder with the kind left to be guessed.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest
from nodes.cases import NO_RECORDING, Case, all_cases, recordings_folder
from nodes.facts import check_gpu, find_gpu
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Probe = Callable[..., "tuple[int, dict[str, Any]]"]

CASES = all_cases()
FOUND, NONE, UNKNOWN, PARTIAL = 0, 1, 3, 4
NO_LIST = "nvidia-smi error texts"  # kinds of which no GPU count is told


@pytest.fixture
def probe(gpuctl: Run) -> Probe:
    """`probe --json` with --from for each of `specs`; the answer checked by the schema."""

    def run(*specs: object) -> tuple[int, dict[str, Any]]:
        words = [word for spec in specs for word in ("--from", spec)]
        done = gpuctl("probe", "--json", *words, env={"GPUCTL_PCI_IDS": "none"})
        assert done.stdout, done.stderr
        answer = json.loads(done.stdout)
        validate("probe.json", answer)
        assert isinstance(answer, dict)
        return done.returncode, answer

    return run


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, recordings: Path) -> Case:
    found = request.param
    assert isinstance(found, Case)
    if found.name == NO_RECORDING:
        pytest.fail(f"`{recordings}` has no INDEX.tsv")
    return found


def whole(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [gpu for gpu in answer["gpus"] if gpu["kind"] == "gpu"]


def check(case: Case, answer: dict[str, Any], expected: dict[str, Any]) -> None:
    gpus = whole(answer)
    count = expected.get("gpu_count", expected.get("physical_gpus"))
    if count is not None:
        assert len(gpus) == count
    compared = 0
    listed = cards(expected) if case.name.startswith("kfd") else expected.get("gpus", [])
    for at, each in enumerate(listed):
        compared += check_gpu(find_gpu(gpus, each, at), each)
    assert compared >= len(listed)
    check_devices(answer, expected)
    check_others(answer, expected)


def cards(expected: dict[str, Any]) -> list[dict[str, Any]]:
    """The KFD nodes of one card are one GPU."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for each in expected["gpus"]:
        first.setdefault((each["pci"].rsplit(".", 1)[0], each.get("unique_id", "")), each)
    return list(first.values())


def check_devices(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    """Partitions, virtual functions, sleeping and failed cards."""
    gpus, parts = whole(answer), [gpu for gpu in answer["gpus"] if gpu["kind"] == "partition"]
    for each in expected.get("suspended_devices", []):
        gpu = next(gpu for gpu in gpus if gpu["pci_address"] == each["pci"])
        assert gpu["device_id"] == f"{each['DeviceID']:04x}"
        assert each["DeviceName"] in gpu["names"]
        assert gpu["device_nodes"] == [each["render"]]
    for address in expected.get("failed", []):
        gpu = next(gpu for gpu in gpus if gpu["pci_address"] == address)
        assert (gpu["health"]["state"], gpu["usable"]) == ("lost", False)
    if "usable" in expected:
        assert sum(gpu["usable"] for gpu in gpus) == expected["usable"]
    if "virtual_functions" in expected:
        vfs = [gpu for gpu in answer["gpus"] if gpu["kind"] == "vf"]
        assert len(vfs) == expected["virtual_functions"]
        assert {gpu["parent_id"] for gpu in vfs} == {gpus[0]["id"]}
    if "shares" in expected:
        assert [gpu["shares"] for gpu in gpus] in ([expected["shares"]], [None])
    mig = expected.get("mig_devices")
    if isinstance(mig, int):
        assert len(parts) == mig
    elif mig and isinstance(mig[0], str):
        assert sorted(gpu["mig_profile"] for gpu in parts) == sorted(mig)
    for each in [row for gpu in expected.get("gpus", []) for row in gpu.get("mig_devices", [])]:
        part = next(p for p in parts if p["id"].endswith(f".mig-gi{each['gi']}-ci{each['ci']}"))
        assert part["memory_total_bytes"] == int(each["fb_total"].split()[0]) << 20
    if parts:
        parents = {gpu["id"]: gpu for gpu in gpus}
        assert all(not parents[part["parent_id"]]["usable"] for part in parts)


def check_others(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    """What is no GPU, versions, and what the runtimes call the devices."""
    ignored = {each["pci_address"]: each for each in answer["ignored"]}
    for each in expected.get("not_gpus", []):
        found = ignored[each["pci"]]
        assert found["class_id"] == each["class"][:4]
        if found["device_id"] is not None:
            assert f"{found['vendor_id']}:{found['device_id']}" == each["id"]
    for each in expected.get("osdevs", []):
        gpu = next(gpu for gpu in answer["gpus"] if gpu["pci_address"] == each["pci"])
        assert each["name"] in gpu["details"]["hwloc"]["os_devices"]
        model = each.get("GPUModel")
        assert not model or model in gpu["names"]
        if "NVIDIAUUID" in each:
            assert gpu["uuid"] == each["NVIDIAUUID"]
        if each.get("AMDUUID", "0000000000000000").strip("0"):
            assert gpu["unique_id"] == each["AMDUUID"].zfill(16)
        if "RSMIVRAMSize" in each:
            assert gpu["memory_total_bytes"] == int(each["RSMIVRAMSize"]) << 10
    driver = expected.get("driver_version")
    for gpu in whole(answer) if driver else []:
        assert gpu["driver_version"] == driver
    if expected.get("cuda_version"):
        assert answer["node"]["cuda_version"] == expected["cuda_version"]
    hidden = int(expected.get("attached_gpus", 0)) - len(expected.get("gpus", []))
    if hidden > 0:
        assert [row["code"] for row in answer["problems"]] == ["incomplete"]


def test_each_file_by_the_kind_of_the_index(case: Case, recordings: Path, probe: Probe) -> None:
    expected = case.expected(recordings)
    if case.kind == NO_LIST:
        for file in case.files(recordings):
            code, answer = probe(f"{case.kind}={file}")
            assert code == (FOUND if answer["gpus"] else UNKNOWN)
            assert not any(gpu["usable"] for gpu in answer["gpus"])
            assert answer["gpus"] or [row["code"] for row in answer["problems"]] == ["tool_failed"]
        return
    if case.kind == "nvidia-smi capture":  # many files, of which some are none of ours
        _, answer = probe(f"{case.kind}={recordings / case.name}")
    else:
        files = [f for f in case.files(recordings) if not f.name.startswith("dmi-")]
        _, answer = probe(
            *(f"{case.kind}={file}" for file in files if file.name != "lspci.stderr.txt")
        )
    check(case, answer, expected)


def test_the_folder_with_the_kind_guessed(case: Case, recordings: Path, probe: Probe) -> None:
    code, answer = probe(recordings / case.name)
    expected = case.expected(recordings)
    check(case, answer, expected)
    if case.kind != NO_LIST:
        problems = [row for row in answer["problems"] if row["code"] != "incomplete"]
        assert problems == []
        assert code in ((PARTIAL,) if answer["problems"] else (FOUND, NONE))


def derived() -> list[tuple[str, str]]:
    """lspci's own other forms of a recorded tree."""
    folder = recordings_folder()
    found = sorted(folder.glob("*/derived-lspci-*")) if folder.is_dir() else []
    return [(path.parent.name, path.name) for path in found]


@pytest.mark.parametrize(("name", "file"), derived())
def test_every_form_of_lspci(name: str, file: str, recordings: Path, probe: Probe) -> None:
    expected = Case(name, "lspci").expected(recordings)
    _, answer = probe(f"lspci={recordings / name / file}")
    assert len(whole(answer)) == expected["gpu_count"]
    for each in expected["gpus"]:
        gpu = find_gpu(whole(answer), each, 0)
        assert (gpu["vendor_id"], gpu["device_id"]) == (each["vendor"], each["device"])
    assert {each["pci"] for each in expected["not_gpus"]} <= {
        each["pci_address"] for each in answer["ignored"]
    }
