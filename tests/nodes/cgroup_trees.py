"""Cgroup trees as processes see them, each with the facts that gpuctl must find in it.

    tree = CgroupTree.load("condor25")
    root = tree.unpack(tmp_path)            # for `--root`; the process is tree.pid
    disagreements(tree.facts, document)     # [] when `gpuctl cgroup --json` says the same

A tree of tests/data/cgroup is a recorded place (nodes/places.py) or has its own files, composed by
its `description`. `facts` is a part of the document; the member `told` of its limits lists what
other sources say: source -> resource -> value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodes.places import Place

FOLDER = Path(__file__).resolve().parent.parent / "data/cgroup"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class CgroupTree:
    place: Place
    facts: dict[str, Any]

    @classmethod
    def load(cls, name: str) -> CgroupTree:
        found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        if "place" in found:
            return cls(Place.load(found["place"]), found["facts"])
        place = Place(name, "", found["pid"], found["env"], found["files"])
        return cls(place, found["facts"])

    @property
    def pid(self) -> int:
        return self.place.pid

    def unpack(self, root: Path) -> Path:
        self.place.unpack(root)
        entries = "".join(f"{name}={value}\0" for name, value in self.place.env.items())
        (root / f"proc/{self.pid}/environ").write_text(entries, encoding="utf-8")
        return root


def disagreements(facts: Any, document: Any, path: str = "") -> list[str]:
    return list(_differ(facts, document, path))


def _differ(facts: Any, document: Any, path: str) -> Iterator[str]:
    if isinstance(facts, dict) and isinstance(document, dict):
        for key, value in facts.items():
            if key == "told":
                yield from _differ_told(value, document["all"])
            else:
                yield from _differ(value, document.get(key, "(missing)"), f"{path}.{key}")
    elif isinstance(facts, list) and isinstance(document, list) and len(facts) <= len(document):
        for index, value in enumerate(facts):
            yield from _differ(value, document[index], f"{path}[{index}]")
    elif facts != document:
        yield f"{path}: expected {facts!r}, found {document!r}"


def _differ_told(told: dict[str, dict[str, Any]], limits: list[dict[str, Any]]) -> Iterator[str]:
    for source, values in told.items():
        for resource, value in values.items():
            found = [
                each["value"]
                for each in limits
                if (each["source"], each["resource"]) == (source, resource)
            ]
            if value not in found:
                yield f"{source}.{resource}: expected {value}, found {found}"
