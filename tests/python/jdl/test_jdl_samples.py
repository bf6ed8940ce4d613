"""Every sample in tests/data/jdl gives what its golden NAME.json says, and survives printing.

After a change that is meant: `python tests/python/jdl/test_jdl_samples.py --write`, then read each
difference against JAliEn's rules (docs/design/jdl.md) before it is committed. In a golden an
expression is `{"expression": text}`; `request` is the JobRequest without `other`, or the error.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from gpuctl import jdl

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "jdl"
NAMES = sorted(path.stem for path in SAMPLES.glob("*.jdl"))


def value_as_json(value: jdl.Value) -> Any:
    return {"expression": str(value)} if isinstance(value, jdl.Expression) else value


def request_as_json(doc: jdl.Jdl) -> Any:
    try:
        request = dataclasses.asdict(jdl.JobRequest.from_jdl(doc))
    except jdl.JdlValueError as error:
        return {"error": str(error)}
    del request["other"]
    request["warnings"] = [str(jdl.JdlWarning(*warning)) for warning in request["warnings"]]
    return request


def read_sample(name: str) -> jdl.Jdl:
    """The document, with a name that does not depend on where the checkout is."""
    doc = jdl.load(SAMPLES / f"{name}.jdl")
    doc.name = f"{name}.jdl"
    return doc


def as_json(name: str) -> Any:
    doc = read_sample(name)
    golden = {
        "values": {key: value_as_json(value) for key, value in doc.items()},
        "warnings": [str(warning) for warning in doc.warnings],
        "request": request_as_json(doc),
    }
    return json.loads(json.dumps(golden))


def test_there_are_enough_samples() -> None:
    assert len(NAMES) >= 30
    assert sorted(path.stem for path in SAMPLES.glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    golden = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    found = as_json(name)
    assert found == golden
    assert list(found["values"]) == list(golden["values"]), "the order of the tags"


@pytest.mark.parametrize("name", NAMES)
def test_printed_sample_parses_to_the_same(name: str) -> None:
    doc = read_sample(name)
    printed = jdl.dumps(doc)
    again = jdl.loads(printed)
    assert again == doc
    assert jdl.dumps(again) == printed


@pytest.mark.parametrize("name", [name for name in NAMES if name != "crlf"])
@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_line_ends_do_not_matter(name: str, line_end: str) -> None:
    data = (SAMPLES / f"{name}.jdl").read_bytes()
    text = data.decode("utf-8")
    changed = jdl.loads(text.replace("\n", line_end))
    assert changed == jdl.loads(text)
    assert changed.warnings == jdl.loads(text).warnings


def write_goldens() -> None:
    for name in NAMES:
        text = json.dumps(as_json(name), indent=1, ensure_ascii=False)
        (SAMPLES / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/python/jdl/test_jdl_samples.py --write")
    write_goldens()
