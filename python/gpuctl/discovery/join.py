"""The join: sightings of all sources become devices, by PCI address, else by UUID or unique id.

An index joins two outputs of one tool only: it is that tool's own name for a GPU, nobody else's.
What has no key is placed where exactly one device is left for it; where devices are enough it adds
what is common to all; where they are too few it is a device of its own. So no device is lost, and
none is counted twice.

Example:
    devices, problems = join([reading, another])
"""

from __future__ import annotations

from typing import Any

from gpuctl.discovery.device import Device, is_key
from gpuctl.discovery.reading import Reading, Sighting
from gpuctl.discovery.values import slot_of

__all__ = ["Problem", "join"]

Problem = dict[str, Any]


def problem(
    code: str, detail: str, pci_address: str | None = None, source: str | None = None
) -> Problem:
    return {
        "pci_address": pci_address,
        "code": code,
        "path": None,
        "source": source,
        "detail": detail,
    }


def join(readings: list[Reading]) -> tuple[list[Device], list[Problem]]:
    return _Join().run(readings)


class _Join:
    def __init__(self) -> None:
        self.devices: list[Device] = []
        self.problems: list[Problem] = []
        self.placed: dict[int, Device] = {}  # id of a sighting

    def run(self, readings: list[Reading]) -> tuple[list[Device], list[Problem]]:
        for reading in readings:
            for record in (reading.inventory or {}).get("gpus", []):
                self._add_base(record)
        for reading in readings:
            self._take_keyed(reading)
        for reading in readings:
            self._take_unkeyed(reading)
        for reading in readings:
            self._take_partitions(reading)
        return self.devices, self.problems

    def _add_base(self, record: dict[str, Any]) -> None:
        known = next((d for d in self.devices if d.base and d.base["id"] == record["id"]), None)
        if known is None:
            parent = next(
                (d for d in self.devices if d.base and d.base["id"] == record["parent_id"]), None
            )
            device = Device(record["pci_address"], record["kind"], record, parent)
            if parent is not None and parent.base is not None:
                device.profile = record["id"][len(parent.base["id"]) + 1 :] or None
            device.sources.append("kernel")
            self.devices.append(device)

    def _take_keyed(self, reading: Reading) -> None:
        seen: dict[str, Sighting] = {}
        for sighting in reading.sightings:
            if sighting.kind == "partition" or not self._has_key(sighting):
                continue
            address = sighting.pci_address
            first = seen.get(address or "") or _card_of_partition(sighting, seen)
            if first is not None:
                self._take_again(reading, sighting, first)
                continue
            if address:
                seen[address] = sighting
            self._place(reading, sighting, self._find(reading, sighting) or self._new(sighting))

    def _has_key(self, sighting: Sighting) -> bool:
        return bool(sighting.pci_address or is_key(sighting.uuid) or sighting.unique_id)

    def _find(self, reading: Reading, sighting: Sighting) -> Device | None:
        """By address; else by what else is unique; else by the tool's own index."""
        whole = [d for d in self.devices if d.kind != "partition"]
        if sighting.pci_address:
            found = next((d for d in whole if d.pci_address == sighting.pci_address), None)
            if found:
                return found
        for name in ("uuid", "unique_id"):
            key = getattr(sighting, name)
            if key and (name != "uuid" or is_key(key)):
                found = next((d for d in whole if key in d.all_of(name)), None)
                if found and _may_be(found, sighting):
                    return found
        return self._by_own_index(reading, sighting)

    def _by_own_index(self, reading: Reading, sighting: Sighting) -> Device | None:
        if sighting.index is None:
            return None
        same = [
            d
            for d in self.devices
            if d.kind != "partition"
            and d.seen_by.get(reading.source) == sighting.index
            and _may_be(d, sighting)
        ]
        return same[0] if len(same) == 1 else None

    def _take_again(self, reading: Reading, sighting: Sighting, first: Sighting) -> None:
        """One address twice in one output: partitions of an AMD card, or a contradiction."""
        device = self.placed[id(first)]
        if sighting.vendor == "amd" and _is_partition_of(sighting, first):
            self._add_amd_partition(reading, sighting, device)
            return
        if is_key(sighting.uuid) and is_key(first.uuid) and sighting.uuid != first.uuid:
            self.problems.append(
                problem(
                    "conflict",
                    f"two devices at one address: `{first.uuid}` and `{sighting.uuid}`",
                    sighting.pci_address,
                    reading.source,
                )
            )
            sighting.pci_address = None
            self._place(reading, sighting, self._find(reading, sighting) or self._new(sighting))
            return
        self._place(reading, sighting, device)

    def _add_amd_partition(self, reading: Reading, sighting: Sighting, parent: Device) -> None:
        if not any(d.parent is parent for d in self.devices):  # the first one was a partition too
            zero = Sighting(parent.pci_address, vendor="amd", kind="partition", active=True)
            zero.facts = parent_facts(parent, reading.source)
            self._add_numbered(reading, zero, parent)
        self._add_numbered(reading, sighting, parent)

    def _add_numbered(self, reading: Reading, sighting: Sighting, parent: Device) -> None:
        number = sighting.facts.get("partition_id")
        if number is None:
            number = sum(
                1 for d in self.devices if d.parent is parent and reading.source in d.sources
            )
        mode = str(parent.first("compute_partition") or "cpx").lower()
        sighting.kind, sighting.profile = "partition", f"{mode}-{number}"
        part = next(
            (d for d in self.devices if d.parent is parent and d.profile == sighting.profile), None
        )
        if part is None:
            part = Device(parent.pci_address, "partition", parent=parent)
            self.devices.append(part)
        self._place(reading, sighting, part)

    def _new(self, sighting: Sighting) -> Device:
        device = Device(sighting.pci_address, sighting.kind)
        self.devices.append(device)
        return device

    def _place(self, reading: Reading, sighting: Sighting, device: Device) -> None:
        if device.pci_address is None and sighting.pci_address:
            device.pci_address = sighting.pci_address
        self._compare_uuid(reading, sighting, device)
        device.take(reading, sighting)
        if sighting.kind == "vf" and device.base is None:
            device.kind = "vf"
        if device.fallback_id is None:
            number = sighting.index if sighting.index is not None else len(self.devices) - 1
            device.fallback_id = f"{reading.source}:{number}"
        self.placed[id(sighting)] = device

    def _compare_uuid(self, reading: Reading, sighting: Sighting, device: Device) -> None:
        elsewhere = next(
            (
                d
                for d in self.devices
                if d is not device
                and is_key(sighting.uuid)
                and sighting.uuid in d.all_of("uuid")
                and d.pci_address
                and sighting.pci_address
            ),
            None,
        )
        if elsewhere is not None:
            self.problems.append(
                problem(
                    "conflict",
                    f"`{sighting.uuid}` is also at {elsewhere.pci_address}; the address counts",
                    device.pci_address,
                    reading.source,
                )
            )

    def _take_unkeyed(self, reading: Reading) -> None:
        rest = [s for s in reading.sightings if s.kind != "partition" and id(s) not in self.placed]
        for sighting in list(rest):
            found = self._by_own_index(reading, sighting)
            if found is not None:
                self._place(reading, sighting, found)
                rest.remove(sighting)
        for group in _groups(rest):
            self._take_group(reading, group)

    def _take_group(self, reading: Reading, group: list[Sighting]) -> None:
        """Sightings that the same devices could be."""
        free = [
            d
            for d in self.devices
            if d.kind == "gpu" and reading.source not in d.sources and _may_be(d, group[0])
        ]
        if len(group) == 1 and len(free) == 1:
            return self._place(reading, group[0], free[0])
        if free and len(group) <= len(free):
            return self._take_common(reading, group, free)
        if free:
            self.problems.append(
                problem(
                    "conflict",
                    f"lists {len(group)} GPUs without address where {len(free)} are known",
                    None,
                    reading.source,
                )
            )
            self._take_common(reading, group, free)
        for sighting in group[len(free) :]:
            self._place(reading, sighting, self._new(sighting))
        return None

    def _take_common(self, reading: Reading, group: list[Sighting], free: list[Device]) -> None:
        """Which is which cannot be told: only what all of them say is said of each."""
        shared = Sighting(vendor=group[0].vendor, active=all(s.active for s in group) or None)
        if len(group) == len(free):
            for name, value in group[0].facts.items():
                if all(each.facts.get(name) == value for each in group):
                    shared.facts[name] = value
            for device in free:
                device.take(reading, shared)
        for sighting in group:
            self.placed.setdefault(id(sighting), free[0])

    def _take_partitions(self, reading: Reading) -> None:
        for sighting in reading.sightings:
            if sighting.kind != "partition" or id(sighting) in self.placed:
                continue
            parent = self.placed.get(id(sighting.parent)) if sighting.parent else None
            found = self._find_partition(reading, sighting, parent)
            if found is None:
                address = parent.pci_address if parent else sighting.pci_address
                found = Device(address, "partition", parent=parent)
                self.devices.append(found)
            self._place(reading, sighting, found)

    def _find_partition(
        self, reading: Reading, sighting: Sighting, parent: Device | None
    ) -> Device | None:
        siblings = [d for d in self.devices if d.kind == "partition" and d.parent is parent]
        if is_key(sighting.uuid):
            for each in siblings:
                if sighting.uuid in each.all_of("uuid"):
                    return each
        for each in siblings:
            if each.profile is not None and each.profile == sighting.profile:
                return each
        same = [
            d
            for d in siblings
            if sighting.index is not None
            and d.seen_by.get(reading.source) == sighting.index
            and not (is_key(sighting.uuid) and any(map(is_key, d.all_of("uuid"))))
        ]
        return same[0] if len(same) == 1 else None


def parent_facts(parent: Device, source: str) -> dict[str, Any]:
    """What this source said of the card when it meant its first partition."""
    return {
        name: value
        for name, claims in parent.claims.items()
        for said_by, value in claims
        if said_by == source and name in ("vendor_id", "device_id", "memory_total_bytes", "isa")
    }


def _card_of_partition(sighting: Sighting, seen: dict[str, Sighting]) -> Sighting | None:
    """AMD's tools give partitions addresses whose function is no PCI function's."""
    address = sighting.pci_address
    if sighting.vendor != "amd" or not address or address.endswith(".0"):
        return None
    card = seen.get(f"{slot_of(address)}.0")
    return card if card is not None and _is_partition_of(sighting, card) else None


def _is_partition_of(sighting: Sighting, first: Sighting) -> bool:
    if sighting.unique_id and first.unique_id:
        return sighting.unique_id == first.unique_id
    return sighting.facts.get("device_id") == first.facts.get("device_id")


def _may_be(device: Device, sighting: Sighting) -> bool:
    """No key and no certain fact speaks against it."""
    vendor = sighting.vendor
    if vendor and device.vendor and vendor != device.vendor:
        return False
    known = device.all_of("uuid")
    if is_key(sighting.uuid) and any(map(is_key, known)) and sighting.uuid not in known:
        return False
    if sighting.pci_address and device.pci_address not in (None, sighting.pci_address):
        return False
    device_id = sighting.facts.get("device_id")
    if device_id and device.first("device_id") not in (None, device_id):
        return False
    sizes = (device.first("memory_total_bytes"), sighting.facts.get("memory_total_bytes"))
    if sizes[0] and sizes[1] and abs(sizes[0] - sizes[1]) > 0.1 * max(sizes):
        return False
    return not _names_differ(device, sighting)


def _names_differ(device: Device, sighting: Sighting) -> bool:
    """Names of one tool for different models: of the same kind of words, and not alike."""
    mine, others = device.names(), sighting.facts.get("names") or []
    if not mine or not others or device.base or sighting.vendor != "nvidia":
        return False
    words = [
        set(name.lower().replace("-", " ").replace("[", " ").replace("]", " ").split())
        for name in (*mine,)
    ]
    wanted = set(others[0].lower().replace("-", " ").split()) - {"nvidia", "tesla", "geforce"}
    return not any(wanted & known for known in words)


def _groups(sightings: list[Sighting]) -> list[list[Sighting]]:
    """By vendor, device id and name: those that are of one model."""
    found: dict[tuple[Any, ...], list[Sighting]] = {}
    for each in sightings:
        names = tuple(each.facts.get("names") or ())
        found.setdefault((each.vendor, each.facts.get("device_id"), names), []).append(each)
    return list(found.values())
