"""Who uses a GPU, by the kernel: fdinfo of DRM nodes and KFD's process folders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gpuctl.discovery.attribute import attribute_jobs
from gpuctl.discovery.reading import Process
from gpuctl.discovery.usage import read_usage

CARD = "0000:03:00.0"
AMDGPU = """pos:\t0
flags:\t02100002
drm-driver:\tamdgpu
drm-client-id:\t{client}
drm-pdev:\t0000:03:00.0
drm-memory-vram:\t{kib} KiB
drm-memory-gtt:\t2048 KiB
drm-engine-gfx:\t3000000 ns
drm-engine-compute:\t5000000 ns
drm-engine-capacity-compute:\t8
"""
I915 = """drm-driver:\ti915
drm-client-id:\t7
drm-pdev:\t0000:03:00.0
drm-total-local0:\t64 MiB
drm-resident-local0:\t32 MiB
drm-engine-render:\t9000 ns
"""


def process(root: Path, pid: int, **descriptors: str) -> None:
    folder = root / "proc" / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "fdinfo").mkdir()
    (folder / "comm").write_text("simulate\n", encoding="utf-8")
    for name, text in descriptors.items():
        number = name[1:]
        (folder / "fd" / number).symlink_to("/dev/dri/renderD128" if text else "/dev/null")
        (folder / "fdinfo" / number).write_text(text, encoding="utf-8")


def test_a_client_with_two_descriptors_counts_once(tmp_path: Path) -> None:
    same = AMDGPU.format(client=12, kib=1024)
    process(tmp_path, 100, f3=same, f4=same, f5=AMDGPU.format(client=13, kib=4096), f6="")
    found = read_usage(str(tmp_path)).processes[CARD][100]
    assert found.name == "simulate"
    assert found.gpu_usec == 8000
    assert found.memory_used_bytes == 4096 << 10


def test_regions_of_intel(tmp_path: Path) -> None:
    process(tmp_path, 100, f3=I915)
    assert read_usage(str(tmp_path)).processes[CARD][100].memory_used_bytes == 32 << 20


def test_kfd_names_cards_by_a_number_of_its_own(tmp_path: Path) -> None:
    node = tmp_path / "sys/class/kfd/kfd/topology/nodes/1"
    node.mkdir(parents=True)
    (node / "gpu_id").write_text("13261\n", encoding="utf-8")
    (node / "properties").write_text("domain 0\nlocation_id 768\n", encoding="utf-8")
    folder = tmp_path / "sys/class/kfd/kfd/proc/4711"
    folder.mkdir(parents=True)
    (folder / "vram_13261").write_text("1048576\n", encoding="utf-8")
    found = read_usage(str(tmp_path)).processes
    assert found == {CARD: {4711: Process(4711, 1048576, None, None)}}


@pytest.mark.parametrize(
    "text",
    [
        "drm-pdev: nonsense\n",
        "drm-pdev: 0000:03:00.0\ndrm-memory-vram: -1 KiB\ndrm-engine-gfx: x ns\n",
        "drm-pdev: 0000:03:00.0\ndrm-memory-vram: " + "9" * 400 + " KiB\n",
        "\0" * 100,
    ],
)
def test_garbage_in_fdinfo_is_no_figure(tmp_path: Path, text: str) -> None:
    process(tmp_path, 100, f3=text)
    for found in read_usage(str(tmp_path)).processes.values():
        assert (found[100].memory_used_bytes, found[100].gpu_usec) == (None, None)


@pytest.mark.parametrize(
    ("cgroup", "job"),
    [
        ("0::/slot/job-4711.0f3a5b7c9d1e\n", "4711"),
        ("5:memory:/x\n0::/job-1.aaaaaaaaaaaa/job-run-2.0f3a5b7c9d1e/inner\n", "run-2"),
        ("0::/slot/job-4711.0f3a5b\n0::/jobs/my-job-1.aaaaaaaaaaaa\n", None),
    ],
)
def test_the_job_of_a_cgroup(tmp_path: Path, cgroup: str, job: str | None) -> None:
    """Where the environment cannot be read, or was wiped."""
    process(tmp_path, 100, f3=AMDGPU.format(client=12, kib=1024))
    (tmp_path / "proc/100/cgroup").write_text(cgroup, encoding="utf-8")
    gpu = {"pci_address": CARD, "kind": "gpu", "telemetry": {"processes": None}}
    [told] = attribute_jobs({"gpus": [gpu]}, str(tmp_path))["gpus"]
    [row] = told["telemetry"]["processes"]
    assert (row["pid"], row["job"]) == (100, job)


def test_no_proc_is_no_process(tmp_path: Path) -> None:
    assert read_usage(str(tmp_path)).processes == {}


def test_samples_as_a_numpy_array(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    from gpuctl.discovery.answer import make_answer
    from gpuctl.discovery.sources import rocm_smi
    from gpuctl.discovery.watching import Sample

    text = (
        '{"card0": {"PCI Bus": "0000:03:00.0", "GPU use (%)": "97", "VRAM Total Memory (B)": "8"}}'
    )
    sample = Sample(make_answer([rocm_smi.parse(text)], [], "none"), [])
    assert sample.array["id"].tolist() == [CARD]
    assert sample.array["gpu_busy_percent"][0] == 97
    assert numpy.isnan(sample.array["power_mw"][0])
    json.dumps(sample.to_json())


def test_import_gpuctl_does_not_load_it() -> None:
    words = "import sys, gpuctl; print(any('discovery' in name for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
