"""The two questions: what is in this machine (`probe`), and what did that recording say (`replay`).

Example:
    answer = probe(deadline="10s")
    answer = replay(["sysfs-tree=sys.tar.gz", "nvidia-smi -q -x=smi.xml"])
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuctl import _core
from gpuctl.discovery.answer import make_answer
from gpuctl.discovery.attribute import attribute_jobs
from gpuctl.discovery.live import SOURCES, Asked, Source, ask_sources, source_row
from gpuctl.discovery.reading import Reading
from gpuctl.discovery.recordings import parse_spec, read_recording, read_root
from gpuctl.discovery.stuck import StuckRegister
from gpuctl.durations import Duration, flag_text
from gpuctl.errors import UsageError
from gpuctl.settings import Settings

__all__ = ["DEFAULT_DEADLINE", "Probed", "Prober", "probe", "replay"]

DEFAULT_DEADLINE = "30s"  # eight cards without persistence mode are slow
_VENDOR_IDS = ("nvidia", "amd", "intel")


def probe(
    *,
    deadline: Duration = DEFAULT_DEADLINE,
    sources: Sequence[str] | None = None,
    container: str | None = None,
) -> dict[str, Any]:
    """This machine: the kernel's files, and every tool that fits (or those named by `sources`)."""
    return Prober(deadline, sources, container).answer()


def replay(recordings: Sequence[str], *, root: str | None = None) -> dict[str, Any]:
    """Recorded outputs, each `KIND=FILE` or FILE, and the tree `root`, joined."""
    settings = Settings.load({"root": root})
    return replay_with(settings, recordings)


def replay_with(settings: Settings, recordings: Sequence[str]) -> dict[str, Any]:
    pci_ids = settings.text("pci_ids")
    readings, rows = [], []
    if settings.root != "/":
        readings.append(read_root(Path(settings.root), pci_ids))
        rows.append(_recorded_row(readings[-1], settings.root))
    for spec in recordings:
        kind, path = parse_spec(spec)
        for reading in read_recording(kind, path, pci_ids):
            readings.append(reading)
            rows.append(_recorded_row(reading, path.name))
    return make_answer(readings, rows, pci_ids)


def _recorded_row(reading: Reading, name: str) -> dict[str, Any]:
    state = "missing" if reading.missing else "failed" if reading.problems else "ok"
    if reading.problems and (reading.sightings or reading.inventory):
        state = "ok"
    if reading.findings and not reading.sightings:
        state = "failed"
    return source_row(reading.source, state, reading, detail=f"recorded: {name}")


@dataclass(frozen=True)
class Probed:
    """`answer` is what `gpuctl probe --json` prints; `asked` has each tool with its own words."""

    answer: dict[str, Any]
    asked: list[Asked]


class Prober:
    """Asks again and again, for `--watch`: the settings are read once."""

    def __init__(
        self,
        deadline: Duration = DEFAULT_DEADLINE,
        sources: Sequence[str] | None = None,
        container: str | None = None,
        settings: Settings | None = None,
        for_watch: bool = False,
    ) -> None:
        self._settings = settings or Settings.load({})
        self._deadline_text = flag_text(deadline, "deadline") or DEFAULT_DEADLINE
        self._deadline = _core.parse_duration_usec(self._deadline_text, "`deadline`") / 1e6
        if self._deadline <= 0:
            raise UsageError("`deadline` is 0; no tool answers in no time")
        self._sources = _named(sources)
        self._container = container
        self._for_watch = for_watch  # only those that tell what changes
        self._register = StuckRegister(self._settings.text("state_dir"))

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def deadline(self) -> Duration:
        return self._deadline_text

    def answer(self) -> dict[str, Any]:
        return self.probe().answer

    def probe(self) -> Probed:
        slot = {name: os.environ[name] for name in _core.slot_variables() if name in os.environ}
        kernel = read_root(Path(self._settings.root), self._settings.text("pci_ids"), slot)
        asked: list[Asked] = []
        if self._settings.root == "/":  # another hardware's tools cannot be asked
            wanted = self._wanted(kernel)
            asked = ask_sources(wanted, self._deadline, self._register, self._container)
        readings = [kernel, *(each.reading for each in asked)]
        rows = [source_row("kernel", _state_of(kernel), kernel), *(each.row for each in asked)]
        answer = make_answer(readings, rows, self._settings.text("pci_ids"))
        return Probed(attribute_jobs(answer, self._settings.root), asked)

    def _wanted(self, kernel: Reading) -> list[Source]:
        if self._sources is not None:
            return [source for source in SOURCES if source.name in self._sources]
        present = set(_VENDOR_IDS)
        if kernel.inventory is not None:
            present = {gpu["vendor"] for gpu in kernel.inventory["gpus"]}
        wanted = [s for s in SOURCES if s.by_default and (s.vendor is None or s.vendor in present)]
        if self._for_watch:
            return [s for s in wanted if s.vendor is not None and s.tells_telemetry]
        return wanted if present else [s for s in wanted if s.name in ("lspci", "udev")]


def _state_of(kernel: Reading) -> str:
    return "ok" if kernel.inventory is not None else "failed"


def _named(sources: Sequence[str] | None) -> set[str] | None:
    if not sources:
        return None
    known = [source.name for source in SOURCES]
    for each in sources:
        if each not in known and each != "kernel":
            raise UsageError(f"unknown source `{each}`; there are: kernel, {', '.join(known)}")
    return set(sources)
