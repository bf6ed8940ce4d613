"""Leaves out the proofs on bare systems unless --fresh asks for them, or CI for its one."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fresh"):
        return
    in_ci = os.environ.get("CI") == "true"
    left_out = [item for item in items if is_fresh(item) and not (in_ci and is_in_ci(item))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def is_fresh(item: pytest.Item) -> bool:
    return item.get_closest_marker("fresh") is not None


def is_in_ci(item: pytest.Item) -> bool:
    return item.get_closest_marker("in_ci") is not None
