"""Containers that a job can be run in here."""

from __future__ import annotations

from typing import Any

__all__ = ["usable_containers"]


def usable_containers() -> list[Any] | None:
    """None: this version does not look."""
    return None
