"""What nvidia-smi prints for people: the default table, `-q`, `-L`, and its words about errors.

The table cuts names and has no ids; `-L` alone names the profiles of MIG devices. Words about
errors may stand anywhere between good rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpuctl.discovery import values
from gpuctl.discovery.reading import Process, Reading, Sighting
from gpuctl.discovery.sources.nvidia_fields import (
    SOURCE,
    add_processes,
    flat_name,
    mig_sighting,
    node_facts,
    sighting_of,
)

__all__ = ["is_error", "is_list", "is_query", "is_table", "parse_list", "parse_query"]

_GPU_LINE = re.compile(r"GPU (\d{1,3}): (.+?)\s*(?:\(UUID: ([^)]*)\))?$")
_MIG_LINE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d{1,3}): \(UUID: ([^)]*)\)")
_QUERY_GPU = re.compile(r"GPU ([0-9A-Fa-f:.]{7,16})$")
_HANDLE = re.compile(
    r"(?:Unable to determine the device handle for |)GPU ?(?:\d+: )?"
    r"((?:[0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]):? (.+)",
)
_ERRORS = re.compile(
    r"NVIDIA-SMI has failed|Failed to initialize NVML|No devices were found|command not found"
    r"|Unable to determine the device handle|GPU is lost|NVML library version|: not found$"
    r"|couldn't find libnvidia-ml|couldn't communicate with the NVIDIA driver",
    re.MULTILINE,
)


def is_error(text: str) -> bool:
    return bool(_ERRORS.search(text))


def is_list(text: str) -> bool:
    return any(_GPU_LINE.match(line) for line in text.split("\n", 50)[:50])


def is_query(text: str) -> bool:
    return "NVSMI LOG" in text or bool(re.search(r"^Attached GPUs\s*:", text, re.MULTILINE))


def is_table(text: str) -> bool:
    return bool(re.search(r"^\| NVIDIA-SMI\b", text, re.MULTILINE))


def take_errors(reading: Reading, text: str) -> None:
    """Words that concern one GPU by its address, else all of them."""
    for line in text.split("\n"):
        words = line.strip()[:300]
        if not words or words.startswith("|") or not _ERRORS.search(words):
            continue
        handle = _HANDLE.search(words)
        address = values.address(handle.group(1)) if handle else None
        if re.search(r"command not found|: not found$|No such file or directory", words):
            reading.missing = True
        elif handle and address:
            seen = next((s for s in reading.sightings if s.pci_address == address), None)
            lost = seen or reading.add(Sighting(pci_address=address, vendor="nvidia"))
            lost.put(vendor_id="10de").find("nvidia.message", handle.group(2))
            lost.active = False
        else:
            reading.vendor = "nvidia"
            if not words.startswith("NVML library version"):
                sighting_wide(reading, words)


def sighting_wide(reading: Reading, words: str) -> None:
    from gpuctl.discovery.reading import Finding

    reading.findings.append(Finding("nvidia.message", words))


def parse_list(text: str) -> Reading:
    """-L."""
    reading = Reading(SOURCE)
    parent: Sighting | None = None
    for line in text.split("\n"):
        gpu, mig = _GPU_LINE.match(line[:1000]), _MIG_LINE.match(line[:1000])
        if gpu:
            cells = {"index": gpu.group(1), "name": gpu.group(2), "uuid": gpu.group(3) or ""}
            parent = reading.add(sighting_of(cells))
        elif mig and parent is not None:
            parent.put(mig_enabled=True)
            device = reading.add(mig_sighting(parent, int(mig.group(2)), None, None))
            device.profile = f"mig-{mig.group(1)}-{mig.group(2)}"
            device.uuid = values.uuid(mig.group(3))
            device.put(mig_profile=mig.group(1))
    node_facts(reading, None, None)
    return reading


def parse_query(text: str) -> Reading:
    """-q: a tree by indentation, one block a GPU."""
    reading = Reading(SOURCE)
    head, *blocks = re.split(r"^(?=GPU [0-9A-Fa-f:.]{7,16}$)", text, flags=re.MULTILINE)
    for block in blocks:
        first = block.split("\n", 1)[0]
        cells = {name: value for name, value, _ in _tree(block)}
        cells["id"] = _QUERY_GPU.match(first).group(1)  # type: ignore[union-attr]
        sighting = reading.add(sighting_of(cells))
        _take_migs(reading, sighting, block)
        if re.search(r"^ {4}Processes\b", block, re.MULTILINE):
            add_processes(sighting, _processes(block))
    versions = {name: value for name, value, _ in _tree(head)}
    node_facts(reading, versions.get("driver_version"), versions.get("cuda_version"))
    if not blocks:
        reading.trouble("malformed", "no GPU in the output of `nvidia-smi -q`")
    return reading


def _tree(text: str) -> Iterator[tuple[str, str, int]]:
    """Flat name, value and line number; of a name that comes twice the first is first."""
    stack: list[tuple[int, str]] = []
    seen: set[str] = set()
    for at, line in enumerate(text.split("\n")[:20_000]):
        words = line[:500].rstrip()
        label, colon, value = words.partition(" : ")
        indent = len(words) - len(words.lstrip())
        if not words.strip():
            continue
        while stack and stack[-1][0] >= indent:
            stack.pop()
        stack.append((indent, flat_name(label)))
        name = ".".join(each for deep, each in stack[-6:] if deep > 0 or len(stack) == 1)
        if colon and name not in seen:
            seen.add(name)
            yield name, value.strip(), at


def _take_migs(reading: Reading, parent: Sighting, block: str) -> None:
    for part in re.split(r"^ {4}MIG Device$", block, flags=re.MULTILINE)[1:]:
        inner = re.split(r"^ {4}\S", part, maxsplit=1, flags=re.MULTILINE)[0]
        cells = {name.split(".", 1)[-1]: value for name, value, _ in _tree("x\n" + inner)}
        numbers = [
            _after(inner, label) for label in ("Index", "GPU Instance ID", "Compute Instance ID")
        ]
        mig = reading.add(mig_sighting(parent, *numbers))
        memory = re.search(
            r"FB Memory Usage\n\s+Total\s+: (.*)(?:\n.*){0,2}?\n\s+Used\s+: (.*)", inner
        )
        if memory:
            mig.put(memory_total_bytes=values.size_bytes(memory.group(1), "MiB"))
            mig.measure(memory_used_bytes=values.used_bytes(memory.group(2), "MiB"))
        mig.uuid = values.uuid(cells.get("mig_uuid"))


def _after(text: str, label: str) -> int | None:
    found = re.search(rf"^\s*{label}\s*: (\d+)", text, re.MULTILINE)
    return int(found.group(1)) if found else None


def _processes(block: str) -> list[Process]:
    rows = []
    for part in re.split(r"^\s+Process ID\s*: ", block, flags=re.MULTILINE)[1:]:
        pid = values.whole(part.split("\n", 1)[0])
        name = re.search(r"^\s+Name\s*: (.*)$", part, re.MULTILINE)
        used = re.search(r"^\s+Used GPU Memory\s*: (.*)$", part, re.MULTILINE)
        if pid:
            size = values.used_bytes(used.group(1), "MiB") if used else None
            rows.append(Process(pid, size, values.text(name.group(1)) if name else None))
    return rows
