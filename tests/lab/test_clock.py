"""Time limits are on the monotonic clock: somebody who sets the clock changes no deadline."""

from __future__ import annotations

import json

import pytest

from lab.node import Node

pytestmark = pytest.mark.lab("vm")
STEPS = pytest.mark.parametrize("step", ["+1 day", "-1 day"])


def run_and_step(
    node: Node, options: str, payload: str, step: str
) -> tuple[int, dict[str, object]]:
    """A job under whose feet the clock is set: its exit code and its report."""
    command = f"gpuctl run {options} --state-dir /tmp/state --report /tmp/report.json -- {payload}"
    job = node.start(["bash", "-c", f"exec {command} 2>&1"])
    job.wait_for("payload started")
    node.run(["date", "-s", step], user="root").check()
    code = job.wait(timeout=120).code
    report: dict[str, object] = json.loads(node.get("/tmp/report.json"))
    return code, report


@STEPS
def test_ttl(node: Node, step: str) -> None:
    code, report = run_and_step(node, "--ttl 5", "sleep 1000", step)
    assert code == 124
    assert report["kill_reason"]["name"] == "TTL"  # type: ignore[index]
    assert 5_000_000 <= report["wall_usec"] < 60_000_000  # type: ignore[operator]


@STEPS
def test_forced_kill_timeout(node: Node, step: str) -> None:
    """The deadline of a TERM that the payload ignores."""
    payload = "sh -c 'trap \"\" TERM; sleep 1000 & wait; wait'"
    code, report = run_and_step(node, "--ttl 2 --forced-kill-timeout 5", payload, step)
    assert code == 124
    assert report["exit"]["signal_name"] == "SIGKILL"  # type: ignore[index]
    assert 7_000_000 <= report["wall_usec"] < 60_000_000  # type: ignore[operator]
