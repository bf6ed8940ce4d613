"""The recordings of the virtual worker node: whole, and as the facts about them say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nodes.places import NAMES, Place

GROUPS = {
    "plain": r"/system\.slice/lab-agent\.service",
    "scope": r"/user\.slice/user-2000\.slice/user@2000\.service/app\.slice/run-.*\.scope",
    "slurm": r"/system\.slice/worker_slurmstepd\.scope/job_\d+/step_0/user/task_0",
    "condor": r"/system\.slice/condor\.service/htcondor/condor_var_lib_condor_execute_slot1_1@.*",
    "apptainer": r"/system\.slice/lab-agent\.service",
    "podman": r"/",  # a cgroup namespace of its own
}


def test_all_places_are_recorded() -> None:
    assert sorted(f"{kernel}-{place}" for kernel in ("5.10", "6.12") for place in GROUPS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_place_is_where_it_should_be(name: str, tmp_path: Path) -> None:
    place = Place.load(name)
    kernel, where = name.split("-")
    assert place.kernel.startswith(kernel)
    assert re.fullmatch(GROUPS[where], place.group)
    root = place.unpack(tmp_path)
    assert (root / "proc/self/stat").read_text().startswith(f"{place.pid} (")
    group = root / "sys/fs/cgroup" / place.group.lstrip("/")
    members = (group / "cgroup.procs").read_text().split()
    assert str(place.pid) in members
    assert (group / "cgroup.kill").exists() == (kernel == "6.12")


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-slurm")])
def test_the_slurm_step_is_limited_above_the_task(name: str) -> None:
    place = Place.load(name)
    task = f"/sys/fs/cgroup{place.group}"
    assert place.files[f"{task}/memory.max"] == "max\n"
    assert place.files[f"{task.rsplit('/', 1)[0]}/memory.max"] == f"{300 << 20}\n"
    assert place.env["SLURM_JOB_ID"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("-condor")])
def test_the_ads_of_htcondor_are_there(name: str) -> None:
    place = Place.load(name)
    assert "GlobalJobId" in (place.files[place.env["_CONDOR_JOB_AD"]] or "")
    assert "Memory = " in (place.files[place.env["_CONDOR_MACHINE_AD"]] or "")
