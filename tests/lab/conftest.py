"""The fixture `node`: a fresh worker node of the tier that the test's mark asks for.

    @pytest.mark.lab("ns")                  # systemd in namespaces: at once, but no controllers
    @pytest.mark.lab("vm")                  # a virtual machine with every controller
    @pytest.mark.lab("vm", kernel="5.10")   # the same under a kernel from before `cgroup.kill`
    @pytest.mark.lab("ns", gpus="epn-mi50x8")
    @pytest.mark.lab("vm", devices=(PciDevice("10de", "20b0"),))

Tests of this folder run only with `--lab` (./dev lab test): a lab that cannot be built fails them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.labs import Lab
from lab.node import Node

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--lab"):
        return
    left_out = [item for item in items if HERE in item.path.parents and _needs_lab(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _needs_lab(item: pytest.Item) -> bool:
    return item.get_closest_marker("lab") is not None


@contextlib.contextmanager
def in_sight(config: pytest.Config) -> Iterator[None]:
    """Long work says how it goes, and nobody watches a captured stderr."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Iterator[Lab]:
    with in_sight(pytestconfig):
        made = Lab.ensure()
    with made:
        yield made


@pytest.fixture
def node(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Node]:
    mark = request.node.get_closest_marker("lab")
    with in_sight(request.config):
        made = lab.make(*mark.args, **mark.kwargs)
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure's evidence is taken while its node still runs, and kept as a file too."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    node = getattr(item, "funcargs", {}).get("node")
    if report.when != "call" or not report.failed or not isinstance(node, Node):
        return
    text = node.evidence()
    folder = Path(os.environ.get("LAB_EVIDENCE") or HERE.parents[1] / "build/lab-evidence")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (re.sub(r"[^A-Za-z0-9_.-]+", "_", item.name) + ".txt")
    path.write_text(f"{report.longreprtext}\n{text}", encoding="utf-8", errors="replace")
    report.sections.append(("evidence", f"`{path}`; its last lines:\n{text[-3000:]}"))
