"""What a probe and a constraint may be called, and what the values of constraints may be.

A collector is a stranger: what it sends becomes the path of a script and keys of the SiteMap.
"""

from __future__ import annotations

import math
import re
from typing import Any

__all__ = ["checked_constraints", "checked_probes", "is_name"]

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_MAX_PROBES = 100
_MAX_CONSTRAINTS = 500
_MAX_TEXT = 4096
_MAX_ELEMENTS = 100


def is_name(text: object) -> bool:
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def checked_probes(answer: Any) -> list[str]:
    """Of `{"probes": [...]}`: those that are names, each once; nothing of rubbish."""
    probes = answer.get("probes") if isinstance(answer, dict) else None
    named = [each for each in probes if is_name(each)] if isinstance(probes, list) else []
    return list(dict.fromkeys(named))[:_MAX_PROBES]


def checked_constraints(answer: Any) -> dict[str, Any] | None:
    """Names with plain values; None where the answer is no object at all."""
    if not isinstance(answer, dict):
        return None
    good = {key: value for key, value in answer.items() if is_name(key) and _is_plain(value)}
    return dict(list(good.items())[:_MAX_CONSTRAINTS])


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= _MAX_ELEMENTS and all(
            _is_plain(each) and not isinstance(each, list) for each in value
        )
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT
    return isinstance(value, int) and abs(value) < 2**63
