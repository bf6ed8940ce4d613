"""Leaves out the proofs on bare systems unless --fresh asks for them: each compiles everything."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--fresh"):
        return
    left_out = [item for item in items if item.get_closest_marker("fresh") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
