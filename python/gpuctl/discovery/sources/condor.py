"""condor_gpu_discovery: attributes of each GPU, common ones once, nested ads or not.

With -divide one GPU is listed several times and its memory divided (DeviceMemoryMb keeps it);
`GPU-MIG-…` and `MIG-…` are MIG devices, which inherit what they lack from their parent. Capability
and DriverVersion are CUDA's; memory is what CUDA sees, a little less than there is.
"""

from __future__ import annotations

import re

from gpuctl.discovery import values
from gpuctl.discovery.reading import Reading, Sighting

__all__ = ["is_condor", "parse"]

SOURCE = "condor_gpu_discovery"
_COMMON = ("CUDA", "GPU", "OCL")
_MAX_IDS = 4096


def is_condor(text: str) -> bool:
    return bool(re.search(r"^Detected\w*GPUs\s*=", text, re.MULTILINE))


def parse(text: str) -> Reading:
    reading = Reading(SOURCE)
    lines = [line.strip()[:4000] for line in text.split("\n")[:20_000]]
    found = [re.match(r"(\w+)\s*=\s*(.*)$", line) for line in lines]
    ads = {row.group(1): row.group(2) for row in found if row}
    listed = next((v for k, v in ads.items() if re.fullmatch(r"Detected\w*GPUs", k)), "")
    names = [each.strip() for each in listed.strip('"').split(",") if each.strip()][:_MAX_IDS]
    common = _common(ads)
    shares: dict[str, int] = {}
    for name in names:
        if name not in ("0", "none"):
            shares[name] = shares.get(name, 0) + 1
    parents: list[Sighting] = []
    for name, count in shares.items():
        own = _own(ads, re.sub(r"[-/]", "_", name))
        _take(reading, name, own, common, count, parents)
    keys = [re.fullmatch(r"(\w+?)(?:DevicePciBusId|DeviceUuid)", key) for key in ads]
    described = {key.group(1) for key in keys if key}
    unlisted = described - {re.sub(r"[-/]", "_", name) for name in shares} - set(_COMMON)
    if unlisted:
        words = f"{len(unlisted)} GPUs are described and not listed: `{sorted(unlisted)[0]}`"
        reading.trouble("malformed", words)
    if not listed:
        reading.trouble("malformed", "no DetectedGPUs in the output of condor_gpu_discovery")
    return reading


def _common(ads: dict[str, str]) -> dict[str, str]:
    """`Common=[…]`, or attributes with a prefix that is no device's."""
    found = _nested(ads.get("Common", ""))
    for key, value in ads.items():
        for prefix in _COMMON:
            rest = key[len(prefix) :]
            if key.startswith(prefix) and re.match(r"[A-Z]", rest):
                found.setdefault(rest, value)
    return found


def _nested(ad: str) -> dict[str, str]:
    inner = ad.strip().lstrip("[").rstrip("]")
    return {
        m.group(1): m.group(2).strip() for m in re.finditer(r'(\w+)\s*=\s*("[^"]*"|[^;]*)', inner)
    }


def _own(ads: dict[str, str], prefix: str) -> dict[str, str]:
    if ads.get(prefix, "").startswith("["):
        return _nested(ads[prefix])
    return {
        k[len(prefix) :]: v for k, v in ads.items() if k.startswith(prefix) and len(k) > len(prefix)
    }


def _take(
    reading: Reading,
    name: str,
    own: dict[str, str],
    common: dict[str, str],
    count: int,
    parents: list[Sighting],
) -> None:
    is_mig = "MIG-" in name
    cells = {key: value.strip('"') for key, value in ({} if is_mig else common).items()}
    cells.update({key: value.strip('"') for key, value in own.items()})
    words = cells.get("DeviceUuid", "")
    uuid = values.uuid(words) if "-" in words[:4] else values.uuid(f"GPU-{words}")
    vendor = "amd" if "Rocm" in cells or "AmdDriverVersion" in cells else "nvidia"
    sighting = Sighting(
        values.address(cells.get("DevicePciBusId")), uuid, vendor=vendor, active=True
    )
    if vendor == "amd":
        sighting.uuid = None
    if is_mig:
        sighting.kind, sighting.parent = "partition", _parent(parents, name, reading)
        sighting.profile = f"mig-{name.split('MIG-', 1)[1][:8].lower()}"
        sighting.pci_address = sighting.parent.pci_address if sighting.parent else None
    else:
        parents.append(sighting)
    _put(sighting, cells, count)
    reading.add(sighting)


def _parent(parents: list[Sighting], name: str, reading: Reading) -> Sighting | None:
    """The only card, or the one that the name says; the parent is listed before its devices."""
    if len(parents) >= 1:
        parents[-1].put(mig_enabled=True)
        return parents[-1]
    parent = reading.add(Sighting(vendor="nvidia", active=True)).put(
        vendor_id="10de", mig_enabled=True
    )
    parents.append(parent)
    return parent


def _put(sighting: Sighting, cells: dict[str, str], count: int) -> None:
    """The name of a MIG parent ends in one of its profiles: no part of the model."""
    name = values.text(cells.get("DeviceName"))
    memory = cells.get("DeviceMemoryMb") or cells.get("GlobalMemoryMb")
    is_mig_parent = bool(name and re.search(r" MIG \S+$", name))
    if name:
        name = re.sub(r" MIG \S+$", "", name)
    if is_mig_parent and sighting.kind == "gpu":
        memory = None  # of one of its instances
        sighting.put(mig_enabled=True)
    sighting.put(
        vendor_id="10de" if sighting.vendor == "nvidia" else "1002",
        names=[name] if name else None,
        memory_total_bytes=values.size_bytes(memory, "MiB"),
        memory_is_nominal=False,
        driver="nvidia" if sighting.vendor == "nvidia" else "amdgpu",
        driver_version=values.text(cells.get("NvidiaDriver")),
        compute_capability=values.text(cells.get("Capability"))
        if sighting.vendor == "nvidia"
        else None,
        compute_units=values.whole(cells.get("ComputeUnits")),
        shares=count if count > 1 else None,
    )
    sighting.measure(
        temperature_celsius=values.whole(cells.get("DieTempC")),
        power_mw=values.whole(cells.get("PowerUsage_mw")),
    )
    errors = values.whole(cells.get("EccErrorsDoubleBit"))
    if errors:
        sighting.find("nvidia.ecc_uncorrected", errors)
