"""Forms of tables that older and newer versions of the tools print; and the module's own names."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpuctl import discovery
from gpuctl.discovery.answer import make_answer
from gpuctl.discovery.sources import condor, nvidia_smi, rocm_smi

SMI_418 = """
+-----------------------------------------------------------------------------+
| NVIDIA-SMI 418.43       Driver Version: 418.43       CUDA Version: 10.1     |
|-------------------------------+----------------------+----------------------+
| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|===============================+======================+======================|
|   0  Tesla V100-SXM2...  On   | 00000000:06:00.0 Off |                    0 |
| N/A   39C    P0    54W / 300W |      0MiB / 16130MiB |      0%      Default |
+-------------------------------+----------------------+----------------------+
|   1  GeForce GTX 1080    Off  | 00000000:07:00.0  On |                  N/A |
|ERR!  ERR! ERR!    ERR! / ERR! |   ERR! /   8116MiB   |    ERR!      Default |
+-------------------------------+----------------------+----------------------+

+-----------------------------------------------------------------------------+
| Processes:                                                       GPU Memory |
|  GPU       PID   Type   Process name                             Usage      |
|=============================================================================|
|    0      4711      C   python                                      1234MiB |
+-----------------------------------------------------------------------------+
"""
RULE = "=" * 80
ROCM_5 = f"""
{RULE}
GPU  Temp   AvgPwr  SCLK    MCLK     Fan     Perf  PwrCap  VRAM%  GPU%
0    33.0c  19.0W   930Mhz  350Mhz   14.51%  auto  225.0W    0%   0%
1    34.0c  20.0W   930Mhz  350Mhz   14.51%  auto  225.0W    0%   12%
{RULE}
"""
ROCM_61 = f"""
{RULE}
Device  Node  IDs              Temp        Power     Partitions   SCLK    MCLK    Fan  PwrCap  GPU%
              (DID,     GUID)  (Junction)  (Socket)  (Mem, Compute, ID)
{RULE}
0       2     0x74a1,   28851  45.0°C      140.0W    NPS1, SPX, 0 132Mhz  900Mhz  0%   750.0W  0%
1       3     0x74a1,   51499  46.0°C      141.0W    NPS1, SPX, 0 132Mhz  900Mhz  0%   750.0W  3%
{RULE}
"""
HEAD = "ROCm System Management Interface"
CONDOR_NESTED = """DetectedGPUs="GPU-11ff74a0, GPU-12ff74a0"
Common=[ AmdDriverVersion="6.3.42131"; DeviceName="AMD Instinct MI300A"; GlobalMemoryMb=131072; ]
GPU_11ff74a0=[ id="GPU-11ff74a0"; DevicePciBusId="0000:02:00.0"; ]
GPU_12ff74a0=[ id="GPU-12ff74a0"; DevicePciBusId="0001:02:00.0"; ]
"""


def test_the_narrow_table_of_nvidia_smi() -> None:
    first, second = make_answer([nvidia_smi.parse(SMI_418)], [], "none")["gpus"]
    assert (first["id"], first["model"], first["usable"]) == (
        "0000:06:00.0",
        "Tesla V100-SXM2",
        True,
    )
    assert first["memory_total_bytes"] == 16130 << 20
    assert [row["pid"] for row in first["telemetry"]["processes"]] == [4711]
    assert (second["health"]["state"], second["usable"]) == ("lost", False)
    assert second["memory_total_bytes"] == 8116 << 20


@pytest.mark.parametrize(("text", "device"), [(ROCM_5, None), (ROCM_61, "74a1")])
def test_tables_of_rocm_smi(text: str, device: str | None) -> None:
    answer = make_answer([rocm_smi.parse(HEAD + text)], [], "none")
    assert answer["problems"] == []
    assert [gpu["device_id"] for gpu in answer["gpus"]] == [device] * 2
    told = [gpu["telemetry"] for gpu in answer["gpus"]]
    assert [row["gpu_busy_percent"] for row in told] in ([0, 12], [0, 3])
    assert [row["temperature_celsius"] for row in told] in ([33, 34], [45, 46])


def test_nested_attributes_of_condor() -> None:
    answer = make_answer([condor.parse(CONDOR_NESTED)], [], "none")
    assert [gpu["id"] for gpu in answer["gpus"]] == ["0000:02:00.0", "0001:02:00.0"]
    assert {gpu["vendor"] for gpu in answer["gpus"]} == {"amd"}
    assert {gpu["memory_total_bytes"] for gpu in answer["gpus"]} == {131072 << 20}


def test_the_names_of_the_module(tmp_path: Path) -> None:
    for name in discovery.__all__:
        assert callable(getattr(discovery, name))
    (tmp_path / "smi.txt").write_text(SMI_418, encoding="utf-8")
    assert len(discovery.replay([f"nvidia-smi={tmp_path / 'smi.txt'}"])["gpus"]) == 2
    [sample] = discovery.watch(every="0", count=1, sources=["kernel"])
    assert sample.to_json()["schema"] == "gpuctl.telemetry/1"
    with pytest.raises(AttributeError):
        discovery.fly  # noqa: B018
