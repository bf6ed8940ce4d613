"""The sanity check: computed for real on the CPU, and each way in which it can go wrong."""

from __future__ import annotations

import os
import re
from ctypes.util import find_library
from pathlib import Path
from typing import Any, Callable

import pytest
from compiled import FUTURE, library_for_newer_glibc
from nodes.compose import compose, has_device_nodes
from sanity_answers import detail, results

Sanity = Callable[..., "dict[str, Any]"]

CPU = ("--api", "opencl", "--cpu-device")
GPU = "0000:63:00.0"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return compose("epn-mi50x8", tmp_path / "node")


def lying(liar: Path, **how: str) -> dict[str, str | None]:
    return {"LD_LIBRARY_PATH": str(liar), **{f"SANITY_{k.upper()}": v for k, v in how.items()}}


def test_it_computes(sanity: Sanity, opencl: str) -> None:
    answer = sanity(*CPU)
    assert answer["verdict"] == "pass"
    found = results(answer)
    assert [found[each] for each in ("starts", "libraries", "devices", "memory", "compute")] == (
        ["pass"] * 5
    )
    (check,) = answer["checks"]
    (device,) = check["devices"]
    assert device["memory_bytes"] > 1 << 28
    assert detail(answer, "compute") == "1048576 elements on each"
    assert all(level["usec"] is not None for level in check["levels"] if level["result"] == "pass")


def test_the_wrapper_alone_changes_nothing(sanity: Sanity, liar: Path) -> None:
    assert sanity(*CPU, env=lying(liar))["verdict"] == "pass"


@pytest.mark.parametrize(
    ("wrong", "level", "words"),
    [
        ("result", "compute", "element 77777 is "),
        ("memory", "memory", "holds another value than was written"),
        ("no_memory", "memory", "16777216 bytes could not be allocated"),
        ("crash", "compute", "ended by SIGABRT"),
    ],
)
def test_a_gpu_that_does_not_compute(
    sanity: Sanity, liar: Path, wrong: str, level: str, words: str
) -> None:
    answer = sanity(*CPU, env=lying(liar, wrong=wrong))
    assert answer["verdict"] == "fail"
    assert results(answer)[level] == "fail"
    assert words in detail(answer, level)


def test_one_that_hangs_costs_its_deadline(sanity: Sanity, liar: Path) -> None:
    answer = sanity(*CPU, "--deadline", "4s", env=lying(liar, wrong="hang"))
    assert (answer["verdict"], results(answer)["compute"]) == ("fail", "fail")
    assert "no answer within" in detail(answer, "compute")


def test_the_wrong_gpu_is_found_out_by_its_address(
    sanity: Sanity, liar: Path, node: Path, tmp_path: Path
) -> None:
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU)
    right = sanity(*CPU, *places, env=lying(liar, bus="63"))
    assert right["verdict"] == "pass"
    wrong = sanity(*CPU, *places, env=lying(liar, bus="83"))
    assert wrong["verdict"] == "fail"
    assert results(wrong)["devices"] == "fail"
    assert "`0000:63:00.0` is not among the devices: 0000:83:00.0" in detail(wrong, "devices")
    more = sanity(*CPU, *places, "--gpu", "0000:03:00.0", env=lying(liar, bus="63"))
    assert detail(more, "devices") == "1 devices, assigned are 2"


APIS = ("cuda", "hip", "level_zero")
REAL = {"hip": "libamdhip64.so", "level_zero": "libze_loader.so"}


@pytest.mark.parametrize("api", APIS)
def test_each_vendors_interface(
    sanity: Sanity, stand_ins: Path, node: Path, tmp_path: Path, api: str
) -> None:
    """The calls, against a stand-in that objects to what a driver objects to."""
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU, "--api", api)
    env: dict[str, str | None] = {"LD_LIBRARY_PATH": str(stand_ins)}
    right = sanity(*places, "--min-memory", "16GiB", env=env)
    assert right["verdict"] == "pass", right
    lying = sanity(*places, env={**env, "SANITY_WRONG": "result"})
    assert (results(lying)["memory"], results(lying)["compute"]) == ("pass", "fail")
    assert "element 1048575 is " in detail(lying, "compute")
    other = sanity(*places, env={**env, "SANITY_BUS": "e3"})
    assert "0000:e3:00.0" in detail(other, "devices").lower()
    full = sanity(*places, "--write-memory", "9GiB", env=env)
    assert "could not be allocated" in detail(full, "memory")


@pytest.mark.parametrize("api", APIS)
def test_a_library_that_sees_no_device(
    sanity: Sanity, stand_ins: Path, node: Path, tmp_path: Path, api: str
) -> None:
    """It is there and loads; each interface says in its own way, and when it likes, that there is
    nothing."""
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU, "--api", api)
    env: dict[str, str | None] = {"LD_LIBRARY_PATH": str(stand_ins), "SANITY_WRONG": "no_device"}
    answer = sanity(*places, env=env)
    assert (answer["verdict"], results(answer)["libraries"]) == ("fail", "pass")
    assert results(answer)["devices"] == "fail"
    assert detail(answer, "devices") == "no device is seen, assigned are 1"


@pytest.mark.parametrize(("api", "library"), REAL.items(), ids=REAL)
def test_the_real_library_sees_no_device_either(
    sanity: Sanity, node: Path, tmp_path: Path, api: str, library: str
) -> None:
    """Where one is installed, or is in the folder REAL_GPU_LIBRARIES, and no GPU is here."""
    folder = os.environ.get("REAL_GPU_LIBRARIES", "")
    env: dict[str, str | None] = {"LD_LIBRARY_PATH": folder or None}
    found = list(Path(folder).glob(f"{library}*")) if folder else find_library(library[3:-3])
    if not found:
        pytest.skip(f"no `{library}`: libamdhip64-5 and libze1 of Debian 12 have them")
    if Path("/dev/kfd").exists() or Path("/dev/dri").exists():
        pytest.skip("there is a GPU")
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU, "--api", api)
    answer = sanity(*places, env=env)
    assert (answer["verdict"], results(answer)["libraries"]) == ("fail", "pass"), answer
    assert detail(answer, "devices") == "no device is seen, assigned are 1"


def test_the_interface_is_that_of_the_vendor(
    sanity: Sanity, stand_ins: Path, node: Path, tmp_path: Path
) -> None:
    env: dict[str, str | None] = {"LD_LIBRARY_PATH": str(stand_ins)}
    answer = sanity("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU, env=env)
    (check,) = answer["checks"]
    assert (check["api"], check["gpus"], check["versions"]["runtime"]) == ("hip", [GPU], "6.2")


def test_a_missing_library_proves_nothing(sanity: Sanity, node: Path, tmp_path: Path) -> None:
    """Of those that this machine has not."""
    libraries = {**REAL, "cuda": "libcuda.so"}
    missing = [api for api, name in libraries.items() if not find_library(name[3:-3])]
    if not missing:
        pytest.skip("this machine has the libraries of all vendors")
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU)
    answer = sanity("--api", missing[-1], *places)
    assert answer["verdict"] == "unproven"
    words = detail(answer, "libraries")
    assert libraries[missing[-1]] in words
    assert "cannot open shared object file" in words


def test_a_library_for_a_newer_glibc_is_named(sanity: Sanity, node: Path, tmp_path: Path) -> None:
    """It is there and does not load: that is a failure, and not a library that nobody installed."""
    folder = tmp_path / "host"
    folder.mkdir()
    library_for_newer_glibc(folder, "libcuda.so.1")
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU)
    answer = sanity("--api", "cuda", *places, env={"LD_LIBRARY_PATH": str(folder)})
    assert answer["verdict"] == "fail"
    assert f"version `{FUTURE}' not found (required by {folder}/libcuda.so.1)" in detail(
        answer, "libraries"
    )


def test_demands_on_memory_and_versions(sanity: Sanity, opencl: str) -> None:
    asked = ("--min-memory", "1MiB", "--min-runtime", "1.2")
    assert results(sanity(*CPU, *asked))["requirements"] == "pass"
    answer = sanity(*CPU, "--min-memory", "80TB", "--min-runtime", "12.10", "--min-driver", "5.1")
    assert answer["verdict"] == "fail"
    words = detail(answer, "requirements")
    assert "asked for are 80000000000000" in words
    assert re.search(r"runtime is [123]\.\d, asked for is 12\.10", words), words
    assert "driver is not known" in words


def test_other_gpus_that_can_be_opened_are_told(
    sanity: Sanity, liar: Path, node: Path, tmp_path: Path
) -> None:
    if not has_device_nodes(node):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    places = ("--root", node, "--state-dir", tmp_path / "state", "--gpu", GPU)
    answer = sanity(*CPU, *places, "--fence", "advisory", env=lying(liar, bus="63"))
    assert "/dev/dri/" in detail(answer, "others") or results(answer)["others"] == "pass"


def test_a_node_without_gpus(sanity: Sanity, tmp_path: Path) -> None:
    root = compose("empty", tmp_path / "empty")
    answer = sanity("--root", root, "--state-dir", tmp_path / "state")
    assert (answer["verdict"], answer["checks"]) == ("unproven", [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--api", "vulkan"), "expected auto, cuda"),
        (("--gpu", "0000:ff:00.0"), "no GPU `0000:ff:00.0`"),
        (("--min-driver", "new"), "expected a version"),
        (("--deadline", "0"), "above 0"),
        (("--container", "docker"), "expected one of"),
        (("gpu0",), "is no option"),
    ],
)
def test_what_makes_no_sense_is_refused(gpuctl, arguments: tuple[str, ...], words: str) -> None:
    done = gpuctl("sanity", *arguments, env={"PATH": os.environ["PATH"]})
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
