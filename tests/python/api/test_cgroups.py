"""`gpuctl.cgroups`: homes, limits, samples as numpy has them, rates, and groups that leave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import gpuctl
import numpy
import pytest
from gpuctl import cgroups, errors
from live_cgroup import LiveGroup
from nodes.cgroup_trees import CgroupTree


@pytest.fixture
def condor(tmp_path: Path) -> Path:
    return CgroupTree.load("condor25").unpack(tmp_path)


PID = 4711
SLICE = "/system.slice/htcondor/_condor_slot1_11@wn07.slice"
LEAF = f"{SLICE}/_condor_slot1_11@wn07.scope"


def test_home(condor: Path) -> None:
    home = cgroups.home(PID, root=condor)
    assert (home.path, home.version, home.how) == (LEAF, "v2", "mount")
    assert home.directory == f"/sys/fs/cgroup{LEAF}"
    assert home.slot == ("htcondor", SLICE, "_condor_slot1_11@wn07.slice")
    assert home.pid == PID
    assert cgroups.home(LEAF, root=condor).pid is None
    assert gpuctl.cgroups.home().path.startswith("/")


def test_limits(condor: Path) -> None:
    limits = cgroups.limits(PID, root=condor)
    assert limits.memory_bytes == cgroups.Limit("memory_bytes", 4194304000, "cgroup", SLICE, True)
    assert limits.cpus is not None
    assert limits.cpus.value == 2.0
    assert limits.cpuset is None
    assert limits.trace is not None
    assert "4096000 kB" in limits.trace
    policies = [each for each in limits.all if each.by == "PeriodicRemove on ResidentSetSize"]
    assert policies == [(*policies[0][:1], 3993600000, "condor_job_ad", policies[0].by, False)]
    least = limits.least("memory_bytes", "condor_job_ad")
    assert least is not None
    assert (least.value, least.enforced) == (3993600000, False)
    assert limits.least("gpus", "slurm") is None
    assert limits.problems == ()
    own = cgroups.limits()
    assert own.cpus is not None
    assert own.cpus.value > 0


def test_our_environment_counts_for_us_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "300")
    monkeypatch.setenv("SLURM_JOB_NAME", "\udcff")
    limit = cgroups.limits().least("memory_bytes", "slurm")
    assert limit is not None
    assert limit.value == 300 << 20
    assert cgroups.limits(1).least("memory_bytes", "slurm") is None


def test_usage(condor: Path) -> None:
    usage = cgroups.usage(PID, root=condor)
    assert usage["memory_peak_bytes"] == 70000000
    assert usage["pids_refused_forks"] is None
    assert usage["cpu_some_avg10_percent"] == 1.5
    assert usage.devices == (cgroups.IoDevice("8:0", 4096, 8192, 1, 2),)
    assert usage.source == "cgroup"
    assert "known" not in usage
    assert set(usage) < set(cgroups.usage(PID, root=condor)) | {"x"}
    assert "memory_peak_bytes" in repr(usage)


def test_usage_of_processes() -> None:
    usage = cgroups.usage(os.getpid(), processes=True)
    assert usage.source == "processes"
    assert usage["memory_current_bytes"]
    assert usage["memory_peak_bytes"] is None


def test_arrays(condor: Path) -> None:
    with cgroups.Sampler(LEAF, "/system.slice", root=condor) as sampler:
        assert sampler.paths == [LEAF, "/system.slice"]
        sample = sampler.sample()
        assert sampler.descriptors > 5
    array = sample.array
    assert array["memory_current_bytes"].tolist() == [60000000, 0]
    assert sample.known("memory_current_bytes").tolist() == [True, False]
    assert array["cpu_some_avg10_percent"][0] == 1.5
    assert not array.flags.writeable
    assert len(sample) == 2
    assert sample[-1]["memory_current_bytes"] is None
    with pytest.raises(IndexError):
        sample[2]
    with pytest.raises(errors.UsageError, match="no column"):
        sample.known("memory")
    with pytest.raises(errors.UsageError, match="closed"):
        sampler.sample()


def test_the_array_outlives_its_sample(condor: Path) -> None:
    with cgroups.Sampler(LEAF, root=condor) as sampler:
        array = sampler.sample().array
        for _ in range(50):
            sampler.sample()
    assert array["pids_current"].tolist() == [12]


def test_rates() -> None:
    series = cgroups.watch(None, processes=[os.getpid()], interval=0.01, count=4)
    assert len(series) == 4
    assert series.array.shape == (4, 2)
    rates = series.rates("cpu_usage_usec")
    assert rates.shape == (3, 2)
    assert (rates[:, 1] >= 0).all()
    assert numpy.isnan(series.rates("io_reads")[:, 1]).all()  # a process tree does not know
    with pytest.raises(errors.UsageError, match="no counter"):
        series.rates("memory_current_bytes")


def test_busy_processes_have_a_rate() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        series = cgroups.watch(processes=[process.pid], interval=0.3, count=3)
        process.kill()
    assert series.rates("cpu_usage_usec").max() > 1e4


@pytest.mark.parametrize(
    ("which", "error"),
    [
        ("/no/such", errors.NotFoundError),
        ("/a/../b", errors.UsageError),
        ("relative", errors.UsageError),
        (0, errors.UsageError),
        (-1, errors.UsageError),
        (1 << 40, errors.UsageError),
        (1 << 22, errors.NotFoundError),
        ("/\0", errors.UsageError),
    ],
)
def test_bad_calls(which: int | str, error: type[Exception]) -> None:
    for function in (cgroups.home, cgroups.limits, cgroups.usage, cgroups.Sampler):
        with pytest.raises(error):
            function(which)


def test_bad_watches() -> None:
    for arguments in ({"count": 0}, {"count": 1, "interval": -1}, {"count": 1, "interval": 1e9}):
        with pytest.raises(errors.UsageError):
            cgroups.watch(**arguments)
    with pytest.raises(errors.UsageError, match="needs a pid"):
        cgroups.usage(processes=True)


def test_a_group_that_leaves_and_comes_again(live_group: LiveGroup) -> None:
    """An error in its own place; the others answer; a new one of its name has its own counters."""
    with cgroups.Sampler(live_group.name, None) as sampler:
        first = sampler.sample()
        live_group.remove()
        second = sampler.sample()
        live_group.path.mkdir()
        third = sampler.sample()
    assert [each is None for each in second.errors] == [False, True]
    assert isinstance(second.errors[0], errors.VanishedError)
    with pytest.raises(errors.VanishedError, match="removed"):
        second[0]
    assert second.array["known"][0] == 0
    assert third[0]["cpu_usage_usec"] == 0
    assert third[0]["identity"] != first[0]["identity"]
    assert numpy.isnan(cgroups.Series([first, third]).rates("cpu_usage_usec")[0, 0])


def test_a_load_of_known_size(live_group: LiveGroup) -> None:
    """CPU time of a group as the kernel's rusage of its only process has it."""
    script = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    with cgroups.Sampler(live_group.name) as sampler:
        process = live_group.start(sys.executable, "-c", script)
        _, _, rusage = os.wait4(process.pid, 0)
        process.returncode = 0
        assert process.stdout is not None
        process.stdout.close()
        usage = sampler.sample()[0]
    used = usage["cpu_usage_usec"]
    assert used is not None
    assert used / 1e6 == pytest.approx(rusage.ru_utime + rusage.ru_stime, rel=0.05)
