"""The table of recorded cases (INDEX.tsv of the recordings), and which files of a case to read.

Recordings belong to third parties: without them there is one case, which is skipped with the reason
(and fails where CI=true says that they must be there).
"""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTES = ("SOURCE.txt", "expected.json")
NO_RECORDING = "no-recordings"


@dataclass(frozen=True)
class Case:
    name: str
    kind: str

    def files(self, recordings: Path) -> list[Path]:
        """What was recorded; not what was derived from it."""
        found = sorted((recordings / self.name).iterdir())
        return [f for f in found if f.name not in NOTES and not f.name.startswith("derived-")]

    def expected(self, recordings: Path) -> dict[str, Any]:
        text = (recordings / self.name / "expected.json").read_text(encoding="utf-8")
        loaded = json.loads(text)
        assert isinstance(loaded, dict)
        return loaded


def recordings_folder() -> Path:
    """As the fixture `recordings` finds it, for the time when tests are collected."""
    named = os.environ.get("GPUCTL_RECORDINGS")
    here = Path(__file__).resolve().parents[2]
    return Path(named) if named else here.parent / "shared" / "data" / "nodes"


def all_cases() -> list[Case]:
    index = recordings_folder() / "INDEX.tsv"
    if not index.is_file():
        return [Case(NO_RECORDING, "")]
    with index.open(encoding="utf-8", newline="") as file:
        return [Case(row["case"], row["kind"]) for row in csv.DictReader(file, delimiter="\t")]
