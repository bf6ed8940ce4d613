"""Out of memory in a slot: the job is hit, its pilot and its supervisor are not."""

from __future__ import annotations

import json

import pytest

from lab.node import Node

pytestmark = pytest.mark.lab("vm")

# The payload first tries to make everybody it can name a better victim than itself.
PAYLOAD = """
for each in /proc/[0-9]*; do
    [ "$each" = /proc/$$ ] || echo 1000 > $each/oom_score_adj
done 2>/dev/null
exec tail /dev/zero
"""
PILOT = """
gpuctl -q run --state-dir /tmp/state --report /tmp/report.json -- sh /tmp/payload.sh
echo "pilot lives, payload $?"
"""


@pytest.mark.parametrize("place", ["slurm", "scope"])
def test_the_job_is_hit_and_nobody_else(node: Node, place: str) -> None:
    node.put(PAYLOAD.encode(), "/tmp/payload.sh")
    limit = {"slurm": "--mem=150M", "scope": "--property=MemoryMax=150M"}[place]
    done = node.run(PILOT, place=place, options=[limit], timeout=180)
    assert "pilot lives, payload 137\n" in done.stdout, done.stderr
    report = json.loads(node.get("/tmp/report.json"))
    assert report["exit"]["signal_name"] == "SIGKILL"
    assert report["state"] == "done"
