"""Asks NVML and prints one JSON object a line; `sources/nvml.py` reads it. Runs in a child only.

The library comes through nvidia-ml-py (imported as pynvml). Each GPU is printed as soon as it was
asked, so that one that hangs takes only itself and those after it along.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable

__all__ = ["main"]


def main() -> int:
    try:
        import pynvml  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        say({"missing": True, "error": "nvidia-ml-py is not installed"})
        return 0
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        say({"error": str(error)})
        return 0
    driver, cuda = (
        told(pynvml.nvmlSystemGetDriverVersion),
        told(pynvml.nvmlSystemGetCudaDriverVersion),
    )
    version = f"{cuda // 1000}.{cuda % 1000 // 10}" if isinstance(cuda, int) else None
    say({"driver_version": text(driver), "cuda_version": version})
    for index in range(pynvml.nvmlDeviceGetCount()):
        say({"index": index, **ask_device(pynvml, index)})
    return 0


def say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"nvml": row}) + "\n")
    sys.stdout.flush()


def told(question: Callable[..., Any], *arguments: Any) -> Any:
    """None where the GPU, the driver or the binding cannot tell."""
    try:
        return question(*arguments)
    except Exception:  # NVMLError, and AttributeError of a binding without it
        return None


def text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def ask_device(nvml: Any, index: int) -> dict[str, Any]:
    try:
        device = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return {"error": str(error)}
    pci = told(nvml.nvmlDeviceGetPciInfo, device)
    memory = told(nvml.nvmlDeviceGetMemoryInfo, device)
    busy = told(nvml.nvmlDeviceGetUtilizationRates, device)
    capability = told(nvml.nvmlDeviceGetCudaComputeCapability, device)
    mode = told(nvml.nvmlDeviceGetMigMode, device)
    return {
        "bus_id": text(pci.busId) if pci else None,
        "device_id": pci.pciDeviceId if pci else None,
        "subsystem_id": pci.pciSubSystemId if pci else None,
        "uuid": text(told(nvml.nvmlDeviceGetUUID, device)),
        "name": text(told(nvml.nvmlDeviceGetName, device)),
        "minor": told(nvml.nvmlDeviceGetMinorNumber, device),
        "memory_total_bytes": memory.total if memory else None,
        "memory_used_bytes": memory.used if memory else None,
        "gpu_busy_percent": busy.gpu if busy else None,
        "memory_busy_percent": busy.memory if busy else None,
        "power_mw": told(nvml.nvmlDeviceGetPowerUsage, device),
        "temperature_celsius": told(nvml.nvmlDeviceGetTemperature, device, 0),
        "clock_mhz": told(nvml.nvmlDeviceGetClockInfo, device, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": told(nvml.nvmlDeviceGetClockInfo, device, nvml.NVML_CLOCK_MEM),
        "compute_capability": "{}.{}".format(*capability) if capability else None,
        "mig_enabled": bool(mode[0]) if mode else None,
        "processes": processes(nvml, device),
        "findings": findings(nvml, device),
        "mig_devices": mig_devices(nvml, device) if mode and mode[0] else [],
    }


def processes(nvml: Any, device: Any) -> list[dict[str, Any]] | None:
    rows = told(nvml.nvmlDeviceGetComputeRunningProcesses, device)
    if rows is None:
        return None
    return [{"pid": row.pid, "memory_used_bytes": row.usedGpuMemory} for row in rows]


def findings(nvml: Any, device: Any) -> dict[str, Any]:
    """Topics of health.py that are not in order; numbers and yes, as nvidia-smi says them."""
    found: dict[str, Any] = {}
    errors = told(
        lambda: nvml.nvmlDeviceGetTotalEccErrors(
            device, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        )
    )
    if errors:
        found["ecc_uncorrected"] = str(errors)
    pending = told(nvml.nvmlDeviceGetRetiredPagesPendingStatus, device)
    if pending:
        found["retired_pending"] = "Yes"
    rows = told(nvml.nvmlDeviceGetRemappedRows, device)
    if rows and rows[2]:
        found["remap_pending"] = "Yes"
    if rows and rows[3]:
        found["remap_failure"] = "Yes"
    reasons = told(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, device) or 0
    if reasons & 0x40:  # nvmlClocksThrottleReasonHwThermalSlowdown
        found["thermal"] = "Active"
    if reasons & 0x80:  # nvmlClocksThrottleReasonHwPowerBrakeSlowdown
        found["power_brake"] = "Active"
    return found


def mig_devices(nvml: Any, device: Any) -> list[dict[str, Any]]:
    rows = []
    for index in range(told(nvml.nvmlDeviceGetMaxMigDeviceCount, device) or 0):
        mig = told(nvml.nvmlDeviceGetMigDeviceHandleByIndex, device, index)
        if mig is None:
            continue
        memory = told(nvml.nvmlDeviceGetMemoryInfo, mig)
        rows.append(
            {
                "index": index,
                "uuid": text(told(nvml.nvmlDeviceGetUUID, mig)),
                "name": text(told(nvml.nvmlDeviceGetName, mig)),
                "gpu_instance_id": told(nvml.nvmlDeviceGetGpuInstanceId, mig),
                "compute_instance_id": told(nvml.nvmlDeviceGetComputeInstanceId, mig),
                "memory_total_bytes": memory.total if memory else None,
                "memory_used_bytes": memory.used if memory else None,
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
