"""`gpuctl discover` as a whole program: recorded nodes, composed nodes, broken trees."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

import jsonschema
import pytest
from gpuctl import Host, _core
from nodes.compose import NODES, Function, Node, compose, device_directory, has_device_nodes
from nodes.recorded import recorded_root
from nodes.stand_ins import put_mig, put_nodes

Run = Callable[..., "subprocess.CompletedProcess[str]"]

FOUND, NONE, USAGE, UNKNOWN, PARTIAL = 0, 1, 2, 3, 4

# The machine's own pci.ids may be newer than the names compiled in.
BUILT_IN_NAMES = {"GPUCTL_PCI_IDS": "none"}

SYSFS_CASES = (
    "sysfs-desktop-ryzen1600-radeon",
    "sysfs-drm-vega56",
    "sysfs-nfd-rootfs1",
    "sysfs-server-l5640-matrox",
    "sysfs-server-xeonphi-knc",
    "sysfs-vm-domain-32bit",
    "sysfs-vm-p100",
    "sysfs-vm-qemu-class12",
)
OTHER_CASES = (
    "procfs-power9-v100x6",
    "kfd-mi210x8",
    "kfd-mi300x-cpx",
    "kfd-vega10-old",
    "udev-desktop-intel-second-function",
    "udev-dgx-a100",
    "udev-laptop-amd-apu-phoenix",
    "udev-laptop-intel-amd-topaz",
    "udev-laptop-intel-nvidia-optimus",
    "udev-server-ast",
    "udev-vm-qemu-cirrus",
    "hwloc-corona-mi50x8",
    "hwloc-corona2-mi50x8",
    "hwloc-g4dn-t4x8",
    "hwloc-mixed-nvidia-amd",
    "hwloc-pascal-p100x2",
    "hwloc-sierra-v100x4",
    "hwloc-sl390s-fermi3-es1000",
    "hwloc-tuo-cpx-mi300a",
    "hwloc-tuo-spx-mi300a",
)
VENDORS = {"NVIDIA": "nvidia", "AMD": "amd", "Intel": "intel"}

GPU = Function("0000:01:00.0", "030200", "10de", "20b0", "10de:144e", "a1", "nvidia")
OTHER = Function("0000:02:00.0", "030200", "10de", "20b0", "10de:144e", "a1", "nvidia")
UNTOLD = ("uevent", "modalias")  # without these the plain files are all there is


@pytest.fixture(scope="session")
def schema(repository: Path) -> dict[str, Any]:
    loaded = json.loads((repository / "docs/schema/discover.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def discover(gpuctl: Run, schema: dict[str, Any]) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Run `discover --json` and give (exit code, answer), the answer checked by the schema."""

    def run(root: Path) -> tuple[int, dict[str, Any]]:
        done = gpuctl("discover", "--json", "--root", root, env=BUILT_IN_NAMES)
        assert done.stderr == ""
        answer = json.loads(done.stdout)
        check(answer, schema)
        return done.returncode, answer

    return run


def check(answer: dict[str, Any], schema: dict[str, Any]) -> None:
    """By the schema, and without a key that the schema does not name."""
    jsonschema.validate(answer, schema)
    assert set(answer) == set(schema["properties"])
    for gpu in answer["gpus"]:
        assert set(gpu) == set(schema["$defs"]["gpu"]["properties"])


def recorded(recordings: Path, case: str, directory: Path) -> tuple[Path, dict[str, Any]]:
    expected = json.loads((recordings / case / "expected.json").read_text(encoding="utf-8"))
    return recorded_root(recordings / case, directory), expected


def facts_of(expected: dict[str, Any]) -> dict[str, Any]:
    """One GPU of an expected.json, in our keys."""
    facts = {
        "pci_address": expected.get("pci"),
        "vendor_id": expected.get("vendor"),
        "device_id": expected.get("device"),
        "class_id": expected["class"][:4] if "class" in expected else None,
        "driver": expected.get("driver"),
        "revision": expected.get("rev"),
        "memory_total_bytes": expected.get("memory_bytes"),
        "isa": expected.get("gfx"),
    }
    if "vendor_name" in expected:
        facts["vendor"] = VENDORS[expected["vendor_name"]]
    if "subvendor" in expected:
        facts["subsystem_id"] = f"{expected['subvendor']}:{expected['subdevice']}"
    return {key: value for key, value in facts.items() if value is not None}


def whole_gpus(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [gpu for gpu in answer["gpus"] if gpu["kind"] == "gpu"]


def assert_gpus(answer: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    gpus = whole_gpus(answer)
    assert [gpu["pci_address"] for gpu in gpus] == [each.get("pci") for each in expected]
    for gpu, each in zip(gpus, expected):
        facts = facts_of(each)
        assert {key: gpu[key] for key in facts} == facts
        if each.get("pci_ids_name"):
            assert each["pci_ids_name"] in gpu["names"]
        assert gpu["numa_node"] != -1


def physical(expected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Partitions of one card are one GPU; ordered as the answer is."""
    first: dict[str, dict[str, Any]] = {}
    for each in expected:
        first.setdefault(each["unique_id"], each)
    return sorted(first.values(), key=lambda each: str(each["pci"]))


def assert_partitions(answer: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    """Each KFD node of a divided card, with its own render node; the card is not offered."""
    parts = [gpu for gpu in answer["gpus"] if gpu["kind"] == "partition"]
    by_card: dict[str, list[dict[str, Any]]] = {}
    for each in expected:
        by_card.setdefault(each["unique_id"], []).append(each)
    divided = [each for nodes in by_card.values() if len(nodes) > 1 for each in nodes]
    assert sorted(part["device_nodes"][0] for part in parts) == sorted(
        f"/dev/dri/renderD{each['render_minor']}" for each in divided
    )
    assert {part["compute_units"] for part in parts} == {each["cu"] for each in divided}
    parents = {part["parent_id"] for part in parts}
    for gpu in whole_gpus(answer):
        codes = [reason["code"] for reason in gpu["health"]["reasons"]]
        assert ("partitioned" in codes) == (gpu["id"] in parents)
        assert not (gpu["usable"] and gpu["id"] in parents)


@pytest.mark.parametrize("case", SYSFS_CASES + OTHER_CASES)
def test_recorded_node(
    case: str, recordings: Path, tmp_path: Path, discover: Callable[..., Any]
) -> None:
    root, expected = recorded(recordings, case, tmp_path / "root")
    code, answer = discover(root)
    gpus = physical(expected["gpus"]) if case.startswith("kfd") else expected["gpus"]
    count = expected.get("gpu_count", expected.get("physical_gpus"))
    assert len(whole_gpus(answer)) == count
    assert code == (FOUND if count else NONE)
    assert answer["problems"] == []
    assert_gpus(answer, gpus)
    if case.startswith("kfd"):
        assert_partitions(answer, expected["gpus"])
    ignored = {each["pci_address"]: each for each in answer["ignored"]}
    for each in expected.get("not_gpus", []):
        found = ignored[each["pci"]]
        assert f"{found['vendor_id']}:{found['device_id']}" == each["id"]
        assert found["class_id"] == each["class"][:4]


def test_every_sysfs_recording_is_tested(recordings: Path) -> None:
    """A new recording must not go by unseen."""
    assert sorted(path.name for path in recordings.glob("sysfs-*")) == sorted(SYSFS_CASES)


@pytest.mark.parametrize("case", ["sysfs-server-xeonphi-knc", "sysfs-vm-domain-32bit"])
def test_agrees_with_lspci(
    case: str, recordings: Path, tmp_path: Path, discover: Callable[..., Any]
) -> None:
    """Display, accelerator and co-processor functions: all in the answer, none invented."""
    root, _ = recorded(recordings, case, tmp_path / "root")
    _, answer = discover(root)
    lines = (recordings / case / "derived-lspci-Dn.txt").read_text(encoding="utf-8").splitlines()
    listed = {line.split()[0]: line.split()[1][:4] for line in lines if line}
    wanted = {at for at, code in listed.items() if code[:2] in ("03", "12") or code == "0b40"}
    told = [each["pci_address"] for each in answer["gpus"] + answer["ignored"]]
    assert set(told) == wanted
    assert answer["pci_function_count"] == len(listed)


@pytest.mark.parametrize("name", sorted(NODES))
def test_composed_node(
    name: str, repository: Path, tmp_path: Path, discover: Callable[..., Any]
) -> None:
    """Whole answers, as they were reviewed. GPUCTL_GOLDEN=write takes the present ones."""
    root = compose(name, tmp_path / "root")
    code, answer = discover(root)
    text = json.dumps({"exit_code": code, "answer": answer}, indent=2, ensure_ascii=False)
    text = text.replace(str(root), "ROOT") + "\n"
    golden = repository / "tests/golden/discover" / f"{name}.json"
    if os.environ.get("GPUCTL_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(golden.read_text(encoding="utf-8"))


def test_text_of_a_mixed_node(repository: Path, tmp_path: Path, gpuctl: Run) -> None:
    root = compose("mixed-broken", tmp_path / "root")
    done = gpuctl("discover", "-v", "--root", root, env=BUILT_IN_NAMES)
    golden = repository / "tests/golden/discover/mixed-broken.txt"
    if os.environ.get("GPUCTL_GOLDEN") == "write":
        golden.write_text(done.stdout, encoding="utf-8")
    assert done.returncode == PARTIAL
    assert done.stdout == golden.read_text(encoding="utf-8")
    assert re.fullmatch(r"gpuctl: `.*/0000:b4:00\.0/vendor`: .*\n", done.stderr)


def test_text_without_a_gpu(tmp_path: Path, gpuctl: Run) -> None:
    root = compose(Node(functions=[replace(GPU, class_id="020000")]), tmp_path / "root")
    done = gpuctl("discover", "--root", root)
    told = "no GPU found (1 PCI device seen, 1 left out: not_display 1)\n"
    assert (done.returncode, done.stdout, done.stderr) == (NONE, told, "")


def two_gpus(directory: Path, **broken: Any) -> Path:
    """A GPU that some test breaks, beside one that must stay."""
    return compose(Node(functions=[replace(GPU, **broken), OTHER]), directory)


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [gpu["id"] for gpu in answer["gpus"]]


def reasons_of(answer: dict[str, Any]) -> dict[str, str]:
    return {each["pci_address"]: each["reason"]["code"] for each in answer["ignored"]}


def test_roots_that_are_none(tmp_path: Path, gpuctl: Run) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no directory", encoding="utf-8")
    for root in (plain, tmp_path / "absent", "", "\x01"):
        done = gpuctl("discover", "--json", "--root", root)
        assert (done.returncode, done.stdout) == (USAGE, ""), root
        assert done.stderr.startswith("gpuctl: ")


def test_a_root_without_sysfs_gives_no_answer(tmp_path: Path, gpuctl: Run) -> None:
    for folder in ("empty", "half/sys", "half-again/sys/nothing"):
        (tmp_path / folder).mkdir(parents=True)
        done = gpuctl("discover", "--json", "--root", tmp_path / folder.split("/")[0])
        assert (done.returncode, done.stdout) == (UNKNOWN, "")
        assert "no sysfs" in done.stderr


def test_a_machine_without_pci_has_no_gpu(tmp_path: Path, discover: Callable[..., Any]) -> None:
    (tmp_path / "sys/bus/platform").mkdir(parents=True)
    code, answer = discover(tmp_path)
    assert (code, answer["gpus"], answer["pci_function_count"]) == (NONE, [], 0)


@pytest.mark.parametrize(
    "text", ["", "garbage", "0x", "0x10de0", "10de", "-1", "0x10de\n0x1002", "\0"]
)
def test_a_vendor_that_is_no_number(
    text: str, tmp_path: Path, discover: Callable[..., Any]
) -> None:
    root = two_gpus(tmp_path / "root", missing=UNTOLD, driver=None, files={"vendor": text})
    code, answer = discover(root)
    assert code == PARTIAL
    assert ids_of(answer) == [OTHER.address]
    assert reasons_of(answer) == {GPU.address: "unreadable"}
    assert [each["code"] for each in answer["problems"]] == ["malformed"]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_huge(path: Path) -> None:
    path.write_bytes(b"0x10de\n" * (10 * 2**20 // 7))


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_link_outside(path: Path) -> None:
    """To a file that says 0x10de, but is not the device's own."""
    outside = path.parent.parent / "outside"
    outside.write_text("0x10de\n", encoding="utf-8")
    path.symlink_to(outside)


@pytest.mark.parametrize(
    "spoil", [make_fifo, make_directory, make_huge, make_loop, make_link_outside]
)
def test_a_vendor_that_is_no_plain_file(
    spoil: Callable[[Path], None], tmp_path: Path, discover: Callable[..., Any]
) -> None:
    root = two_gpus(tmp_path / "root", missing=(*UNTOLD, "vendor"), driver=None)
    spoil(device_directory(root, GPU.address) / "vendor")
    code, answer = discover(root)
    assert code == PARTIAL
    assert ids_of(answer) == [OTHER.address]
    assert reasons_of(answer) == {GPU.address: "unreadable"}


def test_missing_files_are_no_failure(tmp_path: Path, discover: Callable[..., Any]) -> None:
    root = two_gpus(tmp_path / "root", missing=(*UNTOLD, "vendor", "device"), driver=None)
    code, answer = discover(root)
    assert code == FOUND
    assert ids_of(answer) == [OTHER.address]
    assert reasons_of(answer) == {GPU.address: "incomplete"}


@pytest.mark.parametrize("left", [("modalias",), ("uevent",)])
def test_one_file_is_enough(
    left: tuple[str, ...], tmp_path: Path, discover: Callable[..., Any]
) -> None:
    names = (
        "uevent",
        "modalias",
        "vendor",
        "device",
        "class",
        "subsystem_vendor",
        "subsystem_device",
    )
    missing = tuple(name for name in names if name not in left)
    code, answer = discover(two_gpus(tmp_path / "root", missing=missing))
    assert code == FOUND
    gpu = answer["gpus"][0]
    assert (gpu["device_id"], gpu["class_id"], gpu["subsystem_id"]) == ("20b0", "0302", "10de:144e")


def test_a_gpu_without_a_device_id_is_a_gpu(tmp_path: Path, discover: Callable[..., Any]) -> None:
    root = two_gpus(tmp_path / "root", missing=(*UNTOLD, "device"))
    code, answer = discover(root)
    assert code == FOUND
    assert ids_of(answer) == [GPU.address, OTHER.address]
    gpu = answer["gpus"][0]
    assert (gpu["device_id"], gpu["usable"], gpu["health"]["state"]) == (None, False, "unknown")


def test_links_that_lead_nowhere(tmp_path: Path, discover: Callable[..., Any]) -> None:
    root = two_gpus(tmp_path / "root")
    devices = root / "sys/bus/pci/devices"
    (devices / "0000:03:00.0").symlink_to("../../../devices/pci0000:03/0000:03:00.0")
    (devices / "0000:04:00.0").symlink_to("0000:04:00.0")
    (devices / "0000:05:00.0").symlink_to("../../../../../../../../../../etc")
    (devices / "0000:06:00.0").write_text("a file", encoding="utf-8")
    code, answer = discover(root)
    assert code == PARTIAL
    assert ids_of(answer) == [GPU.address, OTHER.address]
    assert reasons_of(answer) == {
        "0000:03:00.0": "incomplete",
        "0000:04:00.0": "unreadable",
        "0000:05:00.0": "incomplete",
        "0000:06:00.0": "incomplete",
    }


def test_names_that_are_no_addresses(tmp_path: Path, discover: Callable[..., Any]) -> None:
    root = two_gpus(tmp_path / "root")
    for name in ("README", "0000:01:00", "0000:01:00.9", "\x1b[31m", "é", "x" * 255):
        (root / "sys/bus/pci/devices" / name).mkdir()
    code, answer = discover(root)
    assert code == PARTIAL
    assert ids_of(answer) == [GPU.address, OTHER.address]
    assert len(answer["problems"]) == 6


def without_override() -> list[str]:
    """What makes root obey file modes; anyone else does already."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("`setpriv` (util-linux) is not here, and root reads everything")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search"]


def run_restricted(binary: Path, root: Path) -> tuple[int, dict[str, Any] | None, str]:
    done = subprocess.run(
        [*without_override(), str(binary), "discover", "--json", "--root", str(root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def test_files_that_may_not_be_read(tmp_path: Path, gpuctl_binary: Path) -> None:
    root = two_gpus(tmp_path / "root", missing=UNTOLD)
    (device_directory(root, GPU.address) / "numa_node").chmod(0)
    code, answer, _ = run_restricted(gpuctl_binary, root)
    assert answer is not None
    assert (code, ids_of(answer)) == (PARTIAL, [GPU.address, OTHER.address])
    assert answer["problems"][0]["code"] == "permission"
    assert answer["problems"][0]["pci_address"] == GPU.address


def test_ids_that_may_not_be_read(tmp_path: Path, gpuctl_binary: Path) -> None:
    """The driver tells that it is a GPU; it is in the inventory and not usable."""
    root = two_gpus(tmp_path / "root", missing=UNTOLD)
    for name in ("vendor", "device", "class"):
        (device_directory(root, GPU.address) / name).chmod(0)
    code, answer, _ = run_restricted(gpuctl_binary, root)
    assert answer is not None
    assert (code, ids_of(answer)) == (PARTIAL, [GPU.address, OTHER.address])
    assert [gpu["usable"] for gpu in answer["gpus"]] == [False, True]


def test_a_device_that_may_not_be_entered(tmp_path: Path, gpuctl_binary: Path) -> None:
    root = two_gpus(tmp_path / "root")
    folder = device_directory(root, GPU.address)
    folder.chmod(0)
    try:
        code, answer, _ = run_restricted(gpuctl_binary, root)
    finally:
        folder.chmod(0o755)  # so that pytest can remove it
    assert answer is not None
    assert (code, ids_of(answer)) == (PARTIAL, [OTHER.address])
    assert reasons_of(answer) == {GPU.address: "unreadable"}


def test_a_bus_that_may_not_be_listed(tmp_path: Path, gpuctl_binary: Path) -> None:
    root = two_gpus(tmp_path / "root")
    devices = root / "sys/bus/pci/devices"
    devices.chmod(0)
    try:
        code, answer, words = run_restricted(gpuctl_binary, root)
    finally:
        devices.chmod(0o755)
    assert (code, answer) == (UNKNOWN, None)
    assert "Permission denied" in words


def test_names_from_a_newer_pci_ids(tmp_path: Path, gpuctl: Run) -> None:
    root = two_gpus(tmp_path / "root")
    ids = tmp_path / "pci.ids"
    ids.write_text(
        "#\n# Version: 2099.01.01\n\n10de  NVIDIA\n\t20b0  GA100 [New Name]\n", encoding="utf-8"
    )
    done = gpuctl("discover", "--json", "--root", root, env={"GPUCTL_PCI_IDS": str(ids)})
    assert json.loads(done.stdout)["gpus"][0]["model"] == "New Name"
    done = gpuctl("discover", "--root", root, env={"GPUCTL_PCI_IDS": str(tmp_path / "absent")})
    assert (done.returncode, done.stdout) == (USAGE, "")


def test_names_cannot_drive_the_terminal(tmp_path: Path, gpuctl: Run) -> None:
    files = {"mem_info_vram_total": "1", "product_name": "\x1b[2J evil"}
    card = Function("0000:01:00.0", "038000", "1002", "fffe", driver="amdgpu", files=files)
    root = compose(Node(functions=[card]), tmp_path / "root")
    done = gpuctl("discover", "-v", "--root", root, env=BUILT_IN_NAMES)
    assert done.returncode == FOUND
    assert "\x1b" not in done.stdout
    assert "evil" in done.stdout


def test_it_takes_no_operand(gpuctl: Run) -> None:
    done = gpuctl("discover", "everything")
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "`everything`" in done.stderr


def test_the_live_machine_agrees_with_lspci(gpuctl: Run, schema: dict[str, Any]) -> None:
    lspci = shutil.which("lspci")
    if lspci is None:
        pytest.skip("`lspci` (pciutils) is not installed")
    listed = subprocess.run([lspci, "-Dn"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("`lspci` finds no PCI bus here")
    done = gpuctl("discover", "--json")
    answer = json.loads(done.stdout)
    check(answer, schema)
    assert answer["pci_function_count"] == len(listed.stdout.splitlines())
    told = {each["pci_address"] for each in answer["gpus"] + answer["ignored"]}
    shown = {line.split()[0] for line in listed.stdout.splitlines() if line.split()[1][:2] == "03"}
    assert shown <= told


def add_process(root: Path, pid: int, name: str, nodes: Sequence[str]) -> None:
    """A process of a recorded node: its name, and what its descriptors are."""
    folder = root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(name + "\n", encoding="utf-8")
    for number, node in enumerate(nodes):
        (folder / "fd" / str(number)).symlink_to(node)


def test_who_holds_a_gpu(tmp_path: Path, discover: Callable[..., Any]) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root")
    if not has_device_nodes(root):
        pytest.skip("making device nodes needs CAP_MKNOD")
    add_process(root, 4711, "python3", ["/dev/null", "/dev/nvidiactl", "/dev/nvidia1"])
    add_process(root, 4712, "nvidia-persiste", [f"/dev/nvidia{minor}" for minor in range(4)])
    add_process(root, 4713, "bash", ["/dev/pts/0", "/dev/nvidiactl"])
    _, answer = discover(root)
    held = {gpu["id"]: [each["pid"] for each in gpu["busy_by"]] for gpu in answer["gpus"]}
    assert held == {
        "0000:03:00.0": [4712],
        "0000:41:00.0": [4711, 4712],
        "0000:82:00.0": [4712],
        "0000:c1:00.0": [4712],
    }
    by_pid = {each["pid"]: each for gpu in answer["gpus"] for each in gpu["busy_by"]}
    assert by_pid[4711]["nodes"] == ["/dev/nvidia1"]
    assert not by_pid[4711]["service"]
    assert by_pid[4712]["service"] == (os.geteuid() < 1000)
    assert answer["holders"] == {"processes_read": 3, "processes_unreadable": 0}


@pytest.mark.parametrize(
    ("environment", "allotted"),
    [
        ({}, [True] * 4),
        ({"CUDA_VISIBLE_DEVICES": "2"}, [False, False, True, False]),
        ({"CUDA_VISIBLE_DEVICES": ""}, [False] * 4),
        ({"CUDA_VISIBLE_DEVICES": "GPU-c0ffee01"}, [False, True, False, False]),
        ({"SLURM_JOB_GPUS": "0,3"}, [True, False, False, True]),
        ({"_CONDOR_AssignedGPUs": "GPU-c0ffee03"}, [False, False, False, True]),
        ({"ROCR_VISIBLE_DEVICES": "0", "ZE_AFFINITY_MASK": "0"}, [True] * 4),
    ],
)
def test_the_slot_is_respected(
    environment: dict[str, str], allotted: list[bool], tmp_path: Path, gpuctl: Run
) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root", device_nodes=False)
    unset = dict.fromkeys(_core.slot_variables())
    done = gpuctl("discover", "--json", "--root", root, env={**unset, **environment})
    gpus = json.loads(done.stdout)["gpus"]
    assert [gpu["allotted"] for gpu in gpus] == allotted
    assert [gpu["orders"]["cuda"] for gpu in gpus] == [0, 1, 2, 3]
    in_python = Host(root=root).discover(environment).gpus
    assert [gpu.allotted for gpu in in_python] == allotted
    assert [reason.code for gpu in in_python for reason in gpu.allotment_reasons] == [
        "mask" for each in allotted if not each
    ]


def test_what_the_slot_may_not_open_is_not_allotted(tmp_path: Path, gpuctl_binary: Path) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root")
    if not has_device_nodes(root):
        pytest.skip("making device nodes needs CAP_MKNOD")
    (root / "dev/nvidia0").chmod(0)
    (root / "dev/nvidia2").chmod(0)
    _, answer, _ = run_restricted(gpuctl_binary, root)
    assert answer is not None
    assert [gpu["allotted"] for gpu in answer["gpus"]] == [False, True, False, True]
    assert [gpu["orders"]["cuda"] for gpu in answer["gpus"]] == [None, 0, None, 1]
    codes = [reason["code"] for reason in answer["gpus"][0]["allotment_reasons"]]
    assert codes == ["node_forbidden"]


def test_a_capability_of_mig_is_for_reading_alone(tmp_path: Path, gpuctl_binary: Path) -> None:
    root = compose("perlmutter-a100x4", tmp_path / "root")
    if not has_device_nodes(root):
        pytest.skip("making device nodes needs CAP_MKNOD")
    put_mig(root, {(0, 1, 0): (12, 13), (0, 2, 0): (21, 22)})
    put_nodes(root, {f"nvidia-caps/nvidia-cap{minor}": (1, 3) for minor in (12, 13, 21, 22)})
    (root / "dev/nvidia-caps/nvidia-cap22").chmod(0)
    _, answer, _ = run_restricted(gpuctl_binary, root)
    assert answer is not None
    _, given, other, *_ = answer["gpus"]
    assert given["kind"] == "partition" and given["usable"] and given["allotted"]
    assert [reason["code"] for reason in other["allotment_reasons"]] == ["node_forbidden"]
