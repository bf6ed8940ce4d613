"""The live sources: which tools are asked, how, and what became of each.

All are asked at once, each in a child of its own (`child.py`) under one deadline. A tool that is
not installed is `missing`; one that printed nothing useful is `failed`; one that passed the
deadline is `hung`, and what it had printed is still read. While a killed child of a source cannot
be reaped, its source is `stuck` and not asked again, by any gpuctl process of this user.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from gpuctl.discovery import child
from gpuctl.discovery.documents import decode
from gpuctl.discovery.kinds import KINDS
from gpuctl.discovery.reading import Finding, Reading
from gpuctl.discovery.stuck import StuckRegister
from gpuctl.host_paths import TOOL_FOLDERS

__all__ = ["SOURCES", "Asked", "Source", "ask_sources", "source_row"]


@dataclass(frozen=True)
class Source:
    """One question. `vendor`: asked only where such a GPU is, or where that cannot be told.
    `asks_gpus`: each GPU has to answer it; a list of what the driver knows is no such question.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    vendor: str | None = None
    by_default: bool = True
    tells_telemetry: bool = False
    asks_gpus: bool = True


SOURCES: tuple[Source, ...] = (
    Source("lspci", "lspci", ("lspci", "-Dnnvmmk")),
    Source("udev", "udev", ("udevadm", "info", "--export-db")),
    Source("nvidia-smi", "nvidia-smi", ("nvidia-smi", "-q", "-x"), "nvidia", tells_telemetry=True),
    Source("nvidia-smi-list", "nvidia-smi", ("nvidia-smi", "-L"), "nvidia", asks_gpus=False),
    Source("nvml", "nvml", (sys.executable, "-I", "-m", "gpuctl.discovery.nvml_child"), "nvidia"),
    Source(
        "amdgpu_top", "amdgpu_top", ("amdgpu_top", "--json", "-n", "1"), "amd", tells_telemetry=True
    ),
    Source(
        "rocm-smi",
        "rocm-smi",
        ("rocm-smi", "-a", "--showmeminfo", "vram", "--json"),
        "amd",
        tells_telemetry=True,
    ),
    Source("amd-smi", "amd-smi", ("amd-smi", "static", "--json"), "amd"),
    Source("xpu-smi", "xpu-smi", ("xpu-smi", "discovery", "-j"), "intel"),
    Source("nvtop", "nvtop", ("nvtop", "-s")),
    Source(
        "condor_gpu_discovery",
        "condor_gpu_discovery",
        ("condor_gpu_discovery", "-properties", "-extra", "-uuid"),
        by_default=False,
    ),
    Source("hwloc", "hwloc", ("lstopo-no-graphics", "--of", "xml"), by_default=False),
)
_KIND = {kind.name: kind for kind in KINDS}


@dataclass
class Asked:
    """A source with what it said and its row in the answer. `half`: it hung in the middle of what
    it said.
    """

    source: Source
    reading: Reading
    row: dict[str, Any]
    half: bool = False


def ask_sources(
    wanted: Sequence[Source], deadline: float, register: StuckRegister, image: str | None = None
) -> list[Asked]:
    """In the order of `wanted`."""
    if not wanted:
        return []
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        return list(pool.map(lambda each: _ask(each, deadline, register, image), wanted))


def source_row(name: str, state: str, reading: Reading, **facts: Any) -> dict[str, Any]:
    row = {
        "source": name,
        "state": state,
        "gpus": sum(1 for s in reading.sightings if s.kind != "partition"),
        "exit_status": None,
        "duration_usec": None,
        "detail": None,
    }
    if reading.inventory is not None:
        row["gpus"] = sum(1 for each in reading.inventory["gpus"] if each["kind"] != "partition")
    return {**row, **facts}


def _ask(source: Source, deadline: float, register: StuckRegister, image: str | None) -> Asked:
    held = register.holder(source.name)
    if held is not None:
        reading = _hung(Reading(source.kind, vendor=source.vendor))
        words = f"its child {held} was killed and is not gone yet; it is not asked again before"
        reading.trouble("probe_hung", f"`{source.name}`: {words}")
        return Asked(source, reading, source_row(source.name, "stuck", reading, detail=words))
    argv = _command(source, image)
    if argv is None:
        return _missing(source, f"`{source.argv[0]}` is not installed")
    try:
        output = child.ask(argv, deadline, _environment())
    except OSError as error:
        return _missing(source, f"`{argv[0]}` cannot be started: {error.strerror}")
    if output.stuck_pid is not None:
        register.hold(source.name, output.stuck_pid)
    return _read(source, output, deadline)


def _missing(source: Source, words: str) -> Asked:
    reading = Reading(source.kind, vendor=source.vendor, missing=True)
    return Asked(source, reading, source_row(source.name, "missing", reading, detail=words))


def _command(source: Source, image: str | None) -> list[str] | None:
    """The tool where it is; lspci from a container where the host has none."""
    program = _find(source.argv[0])
    if program is not None:
        return [program, *source.argv[1:]]
    runner = (_find("apptainer") or _find("singularity")) if image else None
    if source.name != "lspci" or runner is None or image is None:
        return None
    return [runner, "exec", "--contain", "--bind", _bus(), image, *source.argv]


def _bus() -> str:
    from gpuctl.host_paths import LIVE_SYS

    return LIVE_SYS


def _find(program: str) -> str | None:
    """On PATH, then where vendors install."""
    if os.path.isabs(program):  # noqa: PTH117
        return program
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(TOOL_FOLDERS))


def _environment() -> Mapping[str, str]:
    """The slot's masks are for payloads: a tool that obeys them would hide GPUs."""
    masks = (
        "CUDA_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "ZE_AFFINITY_MASK",
    )
    return {name: value for name, value in os.environ.items() if name not in masks}


def _read(source: Source, output: child.Output, deadline: float) -> Asked:
    reading = _parse(source, output)
    state, detail, half = "ok", None, False
    if output.hung:
        state, detail = "hung", f"no answer within {deadline:g} s"
        half = bool(reading.problems)
        reading.problems.clear()  # that it hung says it all
        reading.trouble("probe_hung", f"`{source.name}`: {detail}")
        _hung(reading)
    elif output.exit_status != 0 or not reading.sightings:
        state, detail = _failure(source, output, reading)
    if output.cut:
        reading.trouble("incomplete", f"`{source.name}` printed more than gpuctl reads")
    facts = {"exit_status": output.exit_status, "duration_usec": output.usec, "detail": detail}
    return Asked(source, reading, source_row(source.name, state, reading, **facts), half)


def _parse(source: Source, output: child.Output) -> Reading:
    """Errors may stand on either stream; only stdout is parsed where it has a document."""
    text, words = decode(output.stdout), decode(output.stderr)
    kind = _KIND[source.kind]
    if not text.strip() and not kind.is_it(words):
        return Reading(source.kind, vendor=source.vendor)
    reading = kind.parse(text if text.strip() else words)
    if text.strip() and source.kind == "nvidia-smi" and words.strip():
        extra = kind.parse(words) if kind.is_it(words) else None
        reading.findings += extra.findings if extra else []
        reading.sightings += extra.sightings if extra else []
    reading.vendor = reading.vendor or source.vendor
    return reading


def _hung(reading: Reading) -> Reading:
    reading.findings.append(Finding("probe", "hung"))
    return reading


def _failure(source: Source, output: child.Output, reading: Reading) -> tuple[str, str | None]:
    """Good rows beside an exit status that is not 0 are kept (a dead GPU among others)."""
    if reading.missing:
        return "missing", None
    said = decode(output.stderr or output.stdout).strip().split("\n")[0][:200]
    if output.exit_status == 0 and source.vendor is None:
        return "ok", None  # a tool of all vendors may find none
    detail = f"exit status {output.exit_status}" + (f": {said}" if said else "")
    if not reading.findings and not reading.problems:
        reading.trouble("tool_failed", f"`{source.name}`: {detail}")
    return "failed", detail
