"""What a process saw in a Slurm job, an HTCondor job, a container …, recorded on a real machine.

    place = Place.load("6.12-slurm")
    place.text("cgroup")                    # of the process's own folder in /proc
    root = place.unpack(tmp_path)           # as files, for `--root` and HostFs

Recorded by ./dev lab record (tests/lab/record.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "data/places"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Place:
    name: str
    kernel: str
    pid: int
    env: dict[str, str]
    files: dict[str, str | None]

    @classmethod
    def load(cls, name: str) -> Place:
        found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        return cls(name, found["kernel"], found["pid"], found["env"], found["files"])

    def text(self, name: str) -> str:
        """A file of the process's own folder in /proc."""
        return self.files[f"/proc/{self.pid}/{name}"] or ""

    @property
    def group(self) -> str:
        """The path that /proc/self/cgroup gives for cgroup v2."""
        lines = self.text("cgroup").splitlines()
        return next(line[3:] for line in lines if line.startswith("0::"))

    def unpack(self, root: Path) -> Path:
        for path, text in self.files.items():
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text or "", encoding="utf-8")
            if text is None:
                target.chmod(0)
        (root / "proc/self").symlink_to(str(self.pid))
        return root
