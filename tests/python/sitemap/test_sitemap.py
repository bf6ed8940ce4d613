"""The SiteMap: from the environment, the machine and a composed node; and in a broker's table."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from gpuctl.host import Host
from gpuctl.match.node import Node
from gpuctl.sitemap import sitemap
from gpuctl.sitemap.gpus import of_inventory
from gpuctl.sitemap.ledger import Ledger, of_status
from gpuctl.sitemap.machine import cores, disk, platform_of
from gpuctl.sitemap.slot import close_storage, place, ttl_seconds, users, work_folder
from gpuctl.sitemap.software import cvmfs, platforms_for
from gpuctl.sitemap.whole import merged
from nodes.compose import compose, has_device_nodes
from schemas import validate

SLOT = {
    "ALIEN_CM_AS_LDAP_PROXY": "voalice.example.org:10000",
    "site": "CERN",
    "CE": "ALICE::CERN::EL9",
    "CEhost": "vobox.example.org",
    "TTL": "72000",
    "cerequirements": '(other.user == "alidaq") || (other.user=="aliprod") && other.cpucores >= 8',
    "partition": ",prod,,gpu,",
    "closeSE": "ALICE::CERN::EOS, ALICE::LBL::EOS,rubbish",
    "CPUCores": "8",
    "HOME": "/home/alice",
}


def told(problems: list[str]) -> Any:
    return problems.append


def test_the_environment_of_a_ce() -> None:
    problems: list[str] = []
    found = {
        **place(SLOT, "wn1"),
        **close_storage(SLOT, told(problems)),
        **users(SLOT),
        "TTL": ttl_seconds(SLOT, 0, told(problems)),
    }
    assert found == {
        "Localhost": "wn1",
        "alienCm": "voalice.example.org:10000",
        "Host": "voalice.example.org",
        "CE": "ALICE::CERN::EL9",
        "CEhost": "vobox.example.org",
        "Site": "CERN",
        "Partition": ",prod,,gpu,",
        "closeSE": ["ALICE::CERN::EOS", "ALICE::LBL::EOS", "rubbish"],
        "Extrasites": ["CERN", "LBL"],
        "Users": ["alidaq", "aliprod"],
        "NoUsers": None,
        "RequiredCpusCe": ">=8",
        "cpuIsolation": None,
        "TTL": 72000,
    }
    assert problems == ["`closeSE` names `rubbish`, which is no `VO::SITE::STORAGE`"]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, 43200),
        ({"TTL": "100"}, 100),
        ({"TTL": "soon"}, 43200),
        ({"TTL": "-5"}, 43200),
        ({"SLURM_JOB_END_TIME": "5000"}, 4000),
        ({"TTL": "100", "SLURM_JOB_END_TIME": "5000"}, 100),
        ({"SLURM_JOB_END_TIME": "10"}, 0),
    ],
)
def test_what_is_left_of_the_slot(environ: dict[str, str], expected: int) -> None:
    assert ttl_seconds(environ, 1000, told([])) == expected


def test_machine_features(tmp_path: Path) -> None:
    (tmp_path / "shutdowntime").write_text("1700\n")
    (tmp_path / "log_cores").write_text("1")
    environ = {"MACHINEFEATURES": str(tmp_path), "CPUCores": "0"}
    assert ttl_seconds(environ, 1000, told([])) == 700
    assert cores(environ, None, told([])) == {"CPUCores": 1, "WholeNode": True}
    problems: list[str] = []
    (tmp_path / "shutdowntime").write_bytes(b"\xff soon")
    assert ttl_seconds(environ, 1000, told(problems)) == 43200
    assert problems
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "shutdowntime").unlink()
    (tmp_path / "shutdowntime").symlink_to(tmp_path / "fifo")
    assert ttl_seconds(environ, 1000, told([])) == 43200  # not waited for


def test_cores_and_disk(tmp_path: Path) -> None:
    assert cores({"CPUCores": "8"}, None, told([])) == {"CPUCores": 8, "WholeNode": False}
    whole = cores({"CPUCores": "0"}, 2 << 30, told([]))
    assert whole == {"CPUCores": 1, "WholeNode": True}  # 2 GB carry one core
    free = disk({}, str(tmp_path), told([]))["Disk"]
    assert free > 0
    assert disk({"Disk": "5"}, str(tmp_path), told([]))["Disk"] == 5
    assert disk({"RESERVED_DISK": "99999999999"}, str(tmp_path), told([]))["Disk"] == 0
    problems: list[str] = []
    assert disk({}, str(tmp_path / "no"), told(problems))["Disk"] is None
    assert problems


@pytest.mark.parametrize(
    ("environ", "setting", "expected"),
    [
        ({}, None, "/tmp"),
        ({"TMPDIR": "/t"}, None, "/t"),
        ({"TMPDIR": "/t", "HOME": "/h"}, None, "/t"),
        ({"TMPDIR": "/t", "HOME": "/h", "CE": "x"}, None, "/h"),
        ({"HOME": "/h", "CE": "x", "WORKDIR": "/w"}, None, "/w"),
        ({"HOME": "/h", "CE": "x", "WORKDIR": "/w", "TMPBATCH": "/b"}, None, "/b"),
        ({"TMPBATCH": "/b"}, "/set", "/set"),
    ],
)
def test_where_jobs_work(environ: dict[str, str], setting: str | None, expected: str) -> None:
    assert work_folder(environ, setting) == expected


@pytest.mark.parametrize(
    ("release", "machine", "expected"),
    [
        ({"ID": '"almalinux"', "VERSION_ID": '"9.4"'}, "x86_64", "el9-x86_64"),
        ({"ID": '"rhel"', "VERSION_ID": '"8.10"'}, "aarch64", "el8-aarch64"),
        ({"ID": "centos", "VERSION_ID": "7"}, "x86_64", "el7-x86_64"),
        ({"ID": "mine", "ID_LIKE": "rhel fedora", "VERSION_ID": "9"}, "x86_64", "el9-x86_64"),
        ({"ID": "fedora", "VERSION_ID": "41"}, "x86_64", "fedora41-x86_64"),
        ({"ID": "debian", "VERSION_ID": "12"}, "riscv64", "debian12-riscv64"),
        ({"ID": "ubuntu", "VERSION_ID": "22.04"}, "x86_64", "ubuntu2204-x86_64"),
        ({"ID": '"sles"', "VERSION_ID": '"15.5"'}, "x86_64", "sles15-x86_64"),
        ({}, "x86_64", None),
    ],
)
def test_platforms(release: dict[str, str], machine: str, expected: str | None) -> None:
    assert platform_of(release, machine) == expected


def test_cvmfs_of_mixed_architectures(tmp_path: Path) -> None:
    for name in ("el9-x86_64", "slc7-x86_64", "el9-aarch64", "el9-riscv64"):
        (tmp_path / name / "Packages").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    os.setxattr(tmp_path, "user.revision", b"30512")
    found = {}
    for machine in ("x86_64", "aarch64", "riscv64", "ppc64le"):
        told_of = cvmfs({"CVMFS_PATH": str(tmp_path)}, machine, told([]))
        assert (told_of["CVMFS"], told_of["CVMFS_revision"]) == (1, 30512)
        found[machine] = told_of["platforms"]
    assert found == {
        "x86_64": ["el9-x86_64", "slc7-x86_64"],
        "aarch64": ["el9-aarch64"],
        "riscv64": ["el9-riscv64"],
        "ppc64le": [],
    }
    assert cvmfs({"CVMFS_PATH": str(tmp_path / "no")}, "x86_64", told([]))["CVMFS"] == 0
    assert platforms_for(["el9-x86_64-v3"], "x86_64") == []


def test_a_composed_node(tmp_path: Path) -> None:
    root = compose("epn-mi50x8", tmp_path / "epn")
    (tmp_path / "state").mkdir()
    environ = {**SLOT, "CVMFS_PATH": str(tmp_path / "no"), "WORKDIR": str(tmp_path)}
    answer = sitemap(root=str(root), state_dir=str(tmp_path / "state"), environ=environ)
    validate("sitemap.json", answer)
    assert (answer["GPU"], answer["GPUVendor"], answer["GPUArchitecture"]) == (
        *("Radeon Instinct MI50 32GB", "amd"),
        "GCN5",
    )
    assert answer["GPUCount"] == 8
    assert answer["workdir"] == str(tmp_path)
    node = Node.from_json(json.loads(json.dumps(answer)))
    assert node.problems == ()
    assert node.partitions == ("prod", "gpu")
    assert node.gpus is not None
    assert len(node.gpus) == 8


@pytest.mark.parametrize("name", ["epn-mi50x8", "perlmutter-a100x4", "mixed-broken", "empty"])
def test_the_gpu_part_of_composed_nodes(name: str, tmp_path: Path) -> None:
    """`GPUCTL_WRITE_GOLDEN=1 ./dev test tests/python/sitemap` writes them anew."""
    root = compose(name, tmp_path / "node")
    if name != "empty" and not has_device_nodes(root):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    inventory = Host(root=root).discover({})
    ledger = Ledger(taken=frozenset({"0000:03:00.0"}), leases=({"job_id": "1"},))
    part = {**of_inventory(inventory, ledger), **ledger.told()}
    keys = ("id", "model", "usable", "available")
    told = {**part, "GPUs": [[gpu[key] for key in keys] for gpu in part["GPUs"]]}
    golden = Path(__file__).resolve().parents[2] / f"golden/sitemap/{name}.json"
    if os.environ.get("GPUCTL_WRITE_GOLDEN"):
        golden.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    assert told == json.loads(golden.read_text("utf-8"))


def test_what_the_ledger_says() -> None:
    """In the form of `gpuctl status --json`."""
    unit = {"id": "0000:03:00.0", "pci_address": "0000:03:00.0", "uuid": None, "parent_id": None}
    held = {"job": {"id": "4711", "resubmission": 2}, "state": "held", "units": [unit]}
    by_hand = {"job": None, "state": "releasing", "units": [{**unit, "id": "0000:27:00.0"}]}
    waiting = {"job": {"id": "4712", "resubmission": 0}, "state": "waiting", "units": []}
    status = {
        "gpus": [
            {"id": f"0000:{bus}:00.0", "available": bus == "43"} for bus in ("03", "27", "43")
        ],
        "leases": [{**each, "since_at": "2026-11-29T14:00:00.000Z"} for each in (held, by_hand)]
        + [{**waiting, "since_at": None}],
        "drains": [{"unit_id": "0000:63:00.0", "level": "evict"}],
    }
    ledger = of_status(status)
    assert ledger.taken == {"0000:03:00.0", "0000:27:00.0"}
    told = ledger.told()
    assert told["leases"] == [
        {
            "job_id": "4711",
            "resubmission": 2,
            "gpu_ids": ["0000:03:00.0"],
            "since_at": "2026-11-29T14:00:00.000Z",
        },
        {
            "job_id": None,
            "resubmission": 0,
            "gpu_ids": ["0000:27:00.0"],
            "since_at": "2026-11-29T14:00:00.000Z",
        },
    ]
    assert told["drains"] == status["drains"]


def test_leases_and_drains_are_in_the_sitemap(tmp_path: Path) -> None:
    root = compose("epn-mi50x8", tmp_path / "node")
    if not has_device_nodes(root):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    (tmp_path / "state").mkdir()
    host = Host(root=root, state_dir=tmp_path / "state")

    def now() -> dict[str, Any]:
        return sitemap(
            root=str(root),
            state_dir=str(tmp_path / "state"),
            environ={"CVMFS_PATH": str(tmp_path / "no")},
            try_containers=False,
        )

    assert (now()["GPUCount"], now()["GPUAvailable"], now()["leases"]) == (8, 8, [])
    with host.reserve(2, job="4711", resubmission=1) as held:
        answer = now()
        validate("sitemap.json", answer)
        assert (answer["GPUCount"], answer["GPUAvailable"]) == (8, 6)
        (lease,) = answer["leases"]
        assert (lease["job_id"], lease["resubmission"]) == ("4711", 1)
        assert lease["gpu_ids"] == list(held.gpu_ids)
        taken = [gpu["id"] for gpu in answer["GPUs"] if not gpu["available"]]
        assert taken == lease["gpu_ids"]
    host.drain(answer["GPUs"][5]["id"], "a test")
    answer = now()
    validate("sitemap.json", answer)
    assert (answer["GPUAvailable"], answer["leases"]) == (7, [])
    assert [drain["unit_id"] for drain in answer["drains"]] == [answer["GPUs"][5]["id"]]


def test_without_a_ledger_nobody_knows_what_is_available(tmp_path: Path) -> None:
    inventory = Host(root=compose("epn-mi50x8", tmp_path / "node")).discover({})
    part = of_inventory(inventory, None)
    assert (part["GPUCount"], part["GPUAvailable"]) == (8, None)
    assert {gpu["available"] for gpu in part["GPUs"]} == {None}


def test_constraints_never_override() -> None:
    problems: list[str] = []
    ours = {"TTL": 5, "GPUs": []}
    answer = merged(ours, {"ttl": 9, "gpus": "x", "problems": [], "OS_NAME": "el"}, problems)
    assert answer == {
        **ours,
        "OS_NAME": "el",
        "constraints": {"OS_NAME": "el"},
        "problems": problems,
    }
    assert len(problems) == 3
    assert merged(ours, None, [])["constraints"] is None


# JAliEn's broker asks its table of waiting requirements like this, with one bound value for each
WHERE = """ttl < :TTL AND disk < :Disk AND cpucores <= :CPUCores
    AND (:Partition LIKE '%,' || partition || ',%' OR partition = '%')
    AND (ce = '' OR ce LIKE '%,' || :CE || ',%') AND noce NOT LIKE '%,' || :CE || ',%'
    AND (gpu = '%' OR :GPU LIKE gpu) AND (gpuvendor = '' OR :GPUVendor = gpuvendor)
    AND (gpuarchitecture = '%' OR :GPUArchitecture LIKE gpuarchitecture)
    AND gpucount <= :GPUCount AND gpucount <= :GPUAvailable"""
WAITING = [
    # entry, ttl, disk, cores, partition, ce, noce, gpu, vendor, architecture, count
    ("cpu only", 3600, 1000, 1, "%", "", "", "%", "", "%", 0),
    ("mi50", 3600, 1000, 8, "gpu", "", "", "%MI50 32GB%", "amd", "GCN5", 2),
    ("too many", 3600, 1000, 8, "gpu", "", "", "%MI50 32GB%", "", "%", 6),
    ("a100", 3600, 1000, 8, "gpu", "", "", "%A100%", "nvidia", "%", 1),
    ("too long", 90000, 1000, 1, "%", "", "", "%", "", "%", 0),
    ("elsewhere", 3600, 1000, 1, "%", ",ALICE::X::Y,", "", "%", "", "%", 0),
    ("not here", 3600, 1000, 1, "%", "", ",ALICE::EPN::EPN,", "%", "", "%", 0),
    ("here", 3600, 1000, 1, "epn", ",ALICE::X::Y,,ALICE::EPN::EPN,", "", "%", "", "%", 0),
]


def test_the_flat_scalars_bind_in_a_brokers_table() -> None:
    data = Path(__file__).resolve().parents[2] / "data/sitemaps/epn-quarantine.json"
    node = json.loads(data.read_text("utf-8"))
    database = sqlite3.connect(":memory:")
    database.execute(
        "CREATE TABLE jobagent (entry, ttl, disk, cpucores, partition, ce, noce, gpu, gpuvendor,"
        " gpuarchitecture, gpucount)"
    )
    database.executemany(f"INSERT INTO jobagent VALUES ({','.join('?' * 11)})", WAITING)
    scalars = {key: value for key, value in node.items() if not isinstance(value, (list, dict))}
    query = f"SELECT entry FROM jobagent WHERE {WHERE} ORDER BY rowid"
    found = [entry for (entry,) in database.execute(query, scalars)]
    database.close()
    assert found == ["cpu only", "mi50", "here"]
