"""Reading an answer of `gpuctl sanity --json` that has one check."""

from __future__ import annotations

from typing import Any


def results(answer: dict[str, Any]) -> dict[str, str]:
    """Of the one check: level -> result."""
    (check,) = answer["checks"]
    return {level["level"]: level["result"] for level in check["levels"]}


def detail(answer: dict[str, Any], level: str) -> str:
    (check,) = answer["checks"]
    (found,) = [each["detail"] for each in check["levels"] if each["level"] == level]
    return str(found)
