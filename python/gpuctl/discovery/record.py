"""One joined device as the record that `gpuctl probe --json` prints (docs/schema/probe.json).

It is the record of `gpuctl discover` with more known, and with `field_sources` (which sources say a
field), `telemetry`, and facts that only tools know.
"""

from __future__ import annotations

from typing import Any

from gpuctl import _core
from gpuctl.discovery import conflicts
from gpuctl.discovery.device import Device, is_key
from gpuctl.discovery.health import Rule, rule_for, worst
from gpuctl.discovery.join import problem
from gpuctl.discovery.reading import Finding
from gpuctl.discovery.telemetry import telemetry_of
from gpuctl.host_paths import DEV

__all__ = ["RecordMaker"]

_PLAIN = (
    *("vendor_id", "device_id", "subsystem_id", "class_id", "revision", "architecture", "isa"),
    *("memory_total_bytes", "integrated", "uuid", "unique_id", "numa_node", "driver"),
    *("driver_version", "compute_capability", "compute_units", "tiles", "vbios_version"),
    *("compute_partition", "memory_partition", "mig_enabled", "mig_profile", "shares"),
)
_COMPUTE_DRIVERS = {"nvidia": ("nvidia",), "amd": ("amdgpu",), "intel": ("i915", "xe")}
_CAPABILITY_TOOLS = ("nvml", "nvidia-smi")


class RecordMaker:
    """`problems` collects conflicts; `pci_ids` as the setting of that name."""

    def __init__(self, pci_ids: str | None) -> None:
        self.pci_ids = pci_ids
        self.problems: list[dict[str, Any]] = []

    def make(self, device: Device, orders: dict[str, int | None]) -> dict[str, Any]:
        record = dict(device.base or {})
        sources: dict[str, list[str]] = {
            key: ["kernel"] for key, value in record.items() if value not in (None, [], {})
        }
        for dropped in ("sources", "health", "usable", "id", "parent_id", "kind"):
            sources.pop(dropped, None)
        for name in _PLAIN:
            self._choose(device, name, record, sources)
        self._place(device, record)
        self._name(device, record, sources)
        self._nodes(device, record, sources)
        self._judge(device, record)
        record["orders"] = orders
        record["details"] = _merged(device.claims.get("details", []))
        record["telemetry"] = telemetry_of(device)
        record.setdefault("allotted", True)
        record.setdefault("busy_by", [])
        record["sources"] = [*(device.base or {}).get("sources", []), *_tools(device)]
        record["field_sources"] = {key: sources[key] for key in sorted(sources)}
        return record

    def _choose(
        self, device: Device, name: str, record: dict[str, Any], sources: dict[str, list[str]]
    ) -> None:
        claims = list(device.claims.get(name, []))
        if device.base is not None and device.base.get(name) is not None:
            if name != "memory_total_bytes" or device.base.get("memory_source") != "catalogue":
                claims.insert(0, ("kernel", device.base[name]))
            elif claims:  # the nominal size is for want of anything better
                record["memory_source"] = "tool"
            else:
                claims = [("catalogue", device.base[name])]
        record.setdefault(name, None)
        if not claims:
            return
        value, agreeing, others = conflicts.choose(name, claims)
        record[name] = value
        sources[name] = agreeing
        if name not in conflicts.SILENT:
            for source, other in others:
                self.problems.append(
                    problem(
                        "conflict",
                        f"`{name}`: {source} says `{other}`, {agreeing[0]} says `{value}`",
                        device.pci_address,
                        source,
                    )
                )

    def _place(self, device: Device, record: dict[str, Any]) -> None:
        record["pci_address"] = device.pci_address
        record["kind"] = device.kind
        record["vendor"] = device.vendor or "unknown"
        parent = device.parent
        record["parent_id"] = (
            id_of(parent) if parent else (record.get("parent_id") or device.first("parent_id"))
        )
        record["id"] = id_of(device)
        record.setdefault("local_cpus", None)
        record.setdefault("links", None)

    def _name(self, device: Device, record: dict[str, Any], sources: dict[str, list[str]]) -> None:
        names = device.names()
        self._device_of_name(record, names, sources)
        known = self._described(record)
        if known and known["name"]:
            names = [known["name"], *(name for name in names if name != known["name"])]
            for key in ("architecture", "isa"):
                if record[key] is None and known[key]:
                    record[key], sources[key] = known[key], ["catalogue"]
            if device.base is None and known["architecture"]:
                record["architecture"] = known["architecture"]
        record["names"] = names
        record["chip"] = known["chip"] if known else (device.base or {}).get("chip")
        record["model"] = self._model(device, known, record)
        if record["isa"] is None and record["compute_capability"]:
            record["isa"] = "sm_" + str(record["compute_capability"]).replace(".", "")
        if record["integrated"] is None:
            record["integrated"] = bool(known and known["integrated"]) or _in_chipset(record)
        self._sources_of_names(device, known, record, sources)

    def _sources_of_names(
        self,
        device: Device,
        known: _core.Description | None,
        record: dict[str, Any],
        sources: dict[str, list[str]],
    ) -> None:
        said = [source for source, _ in device.lists.get("names", [])]
        if device.base is not None and device.base.get("names"):
            said.insert(0, "kernel")
        elif known and known["name"]:
            said.insert(0, "catalogue")
        if record["names"]:
            sources["names"] = list(dict.fromkeys(said))
        if record["model"]:
            sources["model"] = [
                source
                for source, names in [("catalogue", [known and known["model"]])]
                if record["model"] in names
            ] or sources.get("names", [source for source, _ in device.claims.get("name_start", [])])
        for key in ("chip", "integrated"):
            sources.setdefault(key, ["catalogue"])
        for key in ("chip", "integrated", "isa", "model"):
            if record.get(key) in (None, False) or sources.get(key) == []:
                sources.pop(key, None)

    def _device_of_name(
        self, record: dict[str, Any], names: list[str], sources: dict[str, list[str]]
    ) -> None:
        """A tool's name that is word for word one of the catalogue, and of one id only."""
        if record["device_id"] is not None or record["vendor_id"] is None:
            return
        for name in names:
            ids = _core.catalogue_ids(int(record["vendor_id"], 16), name) if "[" in name else []
            if len(ids) == 1:
                record["device_id"], sources["device_id"] = f"{ids[0]:04x}", ["catalogue"]
                return

    def _described(self, record: dict[str, Any]) -> _core.Description | None:
        if record["vendor_id"] is None or record["device_id"] is None:
            return None
        revision = record["revision"]
        return _core.describe_gpu(
            int(record["vendor_id"], 16),
            int(record["device_id"], 16),
            int(revision, 16) if revision else None,
            record["memory_total_bytes"],
            self.pci_ids,
        )

    def _model(
        self, device: Device, known: _core.Description | None, record: dict[str, Any]
    ) -> str | None:
        """The catalogue's, unless it leaves several boards open: then a tool's own name."""
        model = (known["model"] if known else None) or (device.base or {}).get("model")
        official = known["name"] if known else None
        told = [name for name in record["names"] if name != official and "[" not in name]
        if model and "/" not in model:
            return str(model)
        cut = device.first("name_start")  # a table's "Tesla V100-SXM2..."
        return (told[0] if told else None) or model or (record["names"] or [cut])[0]

    def _nodes(self, device: Device, record: dict[str, Any], sources: dict[str, list[str]]) -> None:
        for name in ("device_nodes", "card_nodes", "shared_nodes"):
            if record.get(name):
                continue
            claims = device.lists.get(name, [])
            record[name] = [DEV + node for node in claims[0][1]] if claims else []
            if claims:
                sources[name] = list(dict.fromkeys(source for source, _ in claims))

    def _judge(self, device: Device, record: dict[str, Any]) -> None:
        base = device.base or {}
        health = base.get("health", {"state": "ok", "reasons": []})
        states, reasons = [health["state"]], [dict(each) for each in health["reasons"]]
        usable = bool(base.get("usable", True))
        found = list(device.findings)
        if device.base is None:
            found += _driver_findings(device, record)
        for source, finding in found:
            rule = rule_for(finding)
            if rule is None:
                continue
            states.append(rule.state)
            usable = usable and rule.usable
            if all(each["code"] != rule.code for each in reasons):
                reasons.append(_reason(rule, source, finding))
        if _is_divided(device, record) and all(r["code"] != "partitioned" for r in reasons):
            usable = False
            detail = "it is divided into partitions, which are used instead"
            reasons.append({"code": "partitioned", "detail": detail, "since_at": None})
        record["health"] = {"state": worst(states), "reasons": reasons}
        record["usable"] = usable


def _reason(rule: Rule, source: str, finding: Finding) -> dict[str, Any]:
    said = finding.value if finding.topic not in ("driver", "pci.revision", "probe") else ""
    words = f"{rule.detail} ({source}: {said})" if said else rule.detail
    return {"code": rule.code, "detail": words, "since_at": None}


def _driver_findings(device: Device, record: dict[str, Any]) -> list[tuple[str, Finding]]:
    """Without the kernel's files: a tool of the driver that answers proves the driver."""
    told = [(s, f) for s, f in device.findings if f.topic == "driver"]
    if told or any(device.active.values()):
        return []
    driver = record["driver"]
    if driver in _COMPUTE_DRIVERS.get(str(device.vendor), ()):
        return []
    if device.active and not driver:
        return []  # a tool of the driver listed it, and said what is wrong with it
    return [("probe", Finding("driver", driver or "unknown"))]


def _is_divided(device: Device, record: dict[str, Any]) -> bool:
    if device.kind != "gpu" or (device.base is not None and not record["mig_enabled"]):
        return False
    parts = device.first("compute_partitions") or 1
    return bool(record["mig_enabled"]) or int(parts) > 1 or bool(device.first("has_parts"))


def _in_chipset(record: dict[str, Any]) -> bool:
    """Intel's own graphics sit at 0000:00:02.0, its cards never do."""
    return record["vendor_id"] == "8086" and str(record["pci_address"]).startswith("0000:00:02.")


def _tools(device: Device) -> list[str]:
    return [source for source in device.sources if source != "kernel"]


def _merged(claims: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """By source: what only that tool says."""
    found: dict[str, Any] = {}
    for source, value in claims:
        found.setdefault(source, {}).update(value)
    return found or None


def id_of(device: Device) -> str:
    """The address; of a partition its parent's with its place; else what else is unique."""
    if device.base is not None:
        return str(device.base["id"])
    if device.kind == "partition":
        parent = id_of(device.parent) if device.parent else (device.pci_address or "gpu")
        return f"{parent}.{device.profile or device.fallback_id or 'partition'}"
    uuid = device.first("uuid")
    found = (
        device.pci_address
        or (uuid if is_key(uuid) else None)
        or device.first("unique_id")
        or device.fallback_id
    )
    return "".join(c if c.isalnum() or c in "_.:-" else "_" for c in str(found))
