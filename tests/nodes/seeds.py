"""Small outputs of every kind, written for these tests: each with several devices in parts.

`SEEDS[kind]` is (head, parts, joint, tail): the document is head + joint.join(parts) + tail, each
part describes one device. What is broken in one part must not take another part's device along.
"""

from __future__ import annotations

from dataclasses import dataclass

BUSES = ("04", "1b", "63", "c3")


@dataclass(frozen=True)
class Seed:
    head: str
    parts: tuple[str, ...]
    joint: str
    tail: str

    def document(self, parts: tuple[str, ...] | None = None) -> str:
        return self.head + self.joint.join(self.parts if parts is None else parts) + self.tail


def _of(head: str, part: str, joint: str, tail: str) -> Seed:
    parts = tuple(
        part.replace("@BUS@", bus).replace("@UP@", bus.upper()).replace("@N@", str(at))
        for at, bus in enumerate(BUSES)
    )
    return Seed(head, parts, joint, tail)


SEEDS: dict[str, Seed] = {
    "nvidia-smi -q -x": _of(
        "<?xml version='1.0' ?>\n<!DOCTYPE nvidia_smi_log SYSTEM 'nvsmi_device_v12.dtd'>\n"
        "<nvidia_smi_log><driver_version>570.86.15</driver_version>\n",
        """<gpu id="00000000:@UP@:00.0">
<product_name>NVIDIA L40S</product_name>
<uuid>GPU-520e01f2-cf30-6396-abef-e8e9a5233b@BUS@</uuid>
<pci><pci_bus_id>00000000:@UP@:00.0</pci_bus_id><pci_device_id>26B910DE</pci_device_id></pci>
<fb_memory_usage><total>46068 MiB</total><used>5 MiB</used></fb_memory_usage>
<ecc_errors><volatile><dram_uncorrectable>0</dram_uncorrectable></volatile></ecc_errors>
</gpu>""",
        "\n",
        "\n</nvidia_smi_log>\n",
    ),
    "nvidia-smi -q": _of(
        "\n==============NVSMI LOG==============\n\nDriver Version    : 570.86.15\n"
        "CUDA Version      : 12.8\n\nAttached GPUs     : 4\n",
        """GPU 00000000:@UP@:00.0
    Product Name                          : NVIDIA L40S
    GPU UUID                              : GPU-520e01f2-cf30-6396-abef-e8e9a5233b@BUS@
    Minor Number                          : @N@
    FB Memory Usage
        Total                             : 46068 MiB
        Used                              : 5 MiB
    Temperature
        GPU Current Temp                  : 35 C
    Processes                             : None
""",
        "\n",
        "\n",
    ),
    "nvidia-smi csv": _of(
        "index, name, uuid, pci.bus_id, memory.total [MiB], memory.used [MiB], driver_version\n",
        "@N@, NVIDIA L40S, GPU-520e01f2-cf30-6396-abef-e8e9a5233b@BUS@, 00000000:@UP@:00.0, "
        "46068 MiB, 5 MiB, 570.86.15",
        "\n",
        "\n",
    ),
    "rocm-smi": _of(
        "{",
        '"card@N@": {"Device ID": "0x740f", "Unique ID": "0x18f68e602b8a79@BUS@", '
        '"PCI Bus": "0000:@UP@:00.0", "VRAM Total Memory (B)": "68702699520", '
        '"GPU use (%)": "3", "Card Series": "AMD Instinct MI210"}',
        ", ",
        ', "system": {"Driver version": "6.7.0"}}\n',
    ),
    "amdgpu_top": _of(
        '{"amdgpu_top_version": {"major": 0}, "devices": [',
        '{"Info": {"DeviceName": "AMD Instinct MI210", "DeviceID": 29711, "RevisionID": 2, '
        '"PCI": "0000:@BUS@:00.0", "VRAM Size": 68702699520, "ASIC Name": "x"}, '
        '"VRAM": {"Total VRAM Usage": {"unit": "MiB", "value": 12}}}',
        ", ",
        '], "suspended_devices": []}\n',
    ),
    "amd-smi": _of(
        '{"gpu_data": [',
        '{"gpu": @N@, "asic": {"market_name": "AMD Instinct MI210", "device_id": "0x740f"}, '
        '"bus": {"bdf": "0000:@BUS@:00.0"}, "vram": {"size": {"value": 65520, "unit": "MB"}}}',
        ", ",
        "]}\n",
    ),
    "xpu-smi": _of(
        '{"device_list": [',
        '{"device_id": @N@, "device_name": "Intel(R) Data Center GPU Max 1100", '
        '"pci_bdf_address": "0000:@BUS@:00.0", "pci_device_id": "0xbda"}',
        ", ",
        "]}\n",
    ),
    "lspci -vmm": _of(
        "",
        "Slot:\t@BUS@:00.0\nClass:\t3D controller [0302]\nVendor:\tNVIDIA Corporation [10de]\n"
        "Device:\tAD102GL [L40S] [26b9]\nRev:\ta1\n",
        "\n",
        "\n",
    ),
    "lspci -nn": _of(
        "",
        "@BUS@:00.0 3D controller [0302]: NVIDIA Corporation AD102GL [L40S] [10de:26b9] (rev a1)",
        "\n",
        "\n",
    ),
    "udev": _of(
        "",
        "P: /devices/pci0000:00/0000:@BUS@:00.0\nE: SUBSYSTEM=pci\nE: PCI_CLASS=30200\n"
        "E: PCI_ID=10DE:26B9\nE: PCI_SLOT_NAME=0000:@BUS@:00.0\nE: DRIVER=nvidia\n",
        "\n",
        "\n",
    ),
    "hwloc": _of(
        '<?xml version="1.0"?><topology version="2.0"><object type="Machine">',
        '<object type="PCIDev" pci_busid="0000:@BUS@:00.0" '
        'pci_type="0302 [10de:26b9] [10de:1851] a1"><object type="OSDev" name="cuda@N@">'
        '<info name="GPUModel" value="NVIDIA L40S"/></object></object>',
        "\n",
        "</object></topology>",
    ),
    "sonar": _of(
        '{"meta": {"producer": "sonar"}, "data": {"type": "sysinfo", "attributes": {"cards": [',
        '{"index": @N@, "uuid": "GPU-520e01f2-cf30-6396-abef-e8e9a5233b@BUS@", '
        '"address": "00000000:@UP@:00.0", "manufacturer": "NVIDIA", "model": "NVIDIA L40S"}',
        ", ",
        "]}}}\n",
    ),
    "nvml": _of(
        "",
        '{"nvml": {"index": @N@, "bus_id": "00000000:@UP@:00.0", "name": "NVIDIA L40S", '
        '"memory_total_bytes": 48305799168}}',
        "\n",
        "\n",
    ),
}
OTHER_SEEDS = {
    "nvtop": '[{"device_name": "NVIDIA L40S", "gpu_util": "5%", "temp": "38C"}]',
    "condor": 'DetectedGPUs="GPU-c4a646d7, GPU-6a96bd13"\nCUDACapability=7.0\n'
    'GPU_6a96bd13DevicePciBusId="0000:AF:00.0"\nGPU_c4a646d7DevicePciBusId="0000:3B:00.0"\n',
    "cdi": "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- containerEdits:\n"
    "    deviceNodes:\n    - path: /dev/nvidia0\n  name: '0'\n",
    "omniperf": "workload_name,gpu_arch,cu_per_gpu,gpu_model\nk,gfx942,304,MI300X\n",
}
