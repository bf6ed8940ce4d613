"""The JSON Schemas of docs/schema, ready to validate real output.

from schemas import report_in, validate
validate("job-report.json", json.loads(done.stdout))
assert report_in(tmp_path)["state"] == "done"
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schema"


def validate(name: str, document: Any) -> None:
    """Raise jsonschema.ValidationError with the place of what is wrong."""
    _validator(name).validate(document)


def report_in(folder: Path) -> dict[str, Any]:
    """The report.json in `folder`, which is a valid one."""
    report: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    validate("job-report.json", report)
    return report


def schema(name: str) -> dict[str, Any]:
    loaded = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    files = {file.name: Resource.from_contents(schema(file.name)) for file in FOLDER.glob("*.json")}
    jsonschema.Draft202012Validator.check_schema(schema(name))
    return jsonschema.Draft202012Validator(
        schema(name), registry=Registry().with_resources(files.items())
    )
