"""The lease of `gpuctl job`: whose it is while interpreter, supervisor, or neither lives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from job_site import Site, wait_for
from ledger_site import Ledger, Run


@pytest.fixture
def ledger(gpuctl: Run, epn: Path, site: Site) -> Ledger:
    return Ledger(gpuctl, epn, site.state)


def started(site: Site, ledger: Ledger) -> subprocess.Popen[str]:
    ready = site.folder / "ready"
    site.script(f"echo up > {ready}; exec sleep 600")
    jdl = site.jdl('Executable = "payload.sh"; GPUCount = 2; TTL = 600;')
    running = site.started(jdl, "--root", ledger.root, "--job", "4711", "--sanity", "never")
    wait_for(ready)
    return running


def lease_of(ledger: Ledger) -> dict[str, Any]:
    (lease,) = ledger.json("status", "--repair")["leases"]
    assert (lease["job"]["id"], lease["state"], len(lease["units"])) == ("4711", "held", 2)
    assert lease["holder"]["alive"] is True
    return dict(lease)


def test_the_supervisor_is_the_holder_when_the_interpreter_is_dead(
    gpuctl: Run, site: Site, ledger: Ledger
) -> None:
    with started(site, ledger) as running:
        lease = lease_of(ledger)
        supervisor = lease["payload"]["supervisor"]["pid"]
        assert lease["holder"]["pid"] == running.pid
        assert supervisor != running.pid
        running.kill()
        assert running.wait(60) == -signal.SIGKILL
        lease = lease_of(ledger)
        assert lease["holder"]["pid"] == supervisor
        tree = json.loads(
            gpuctl("tree", "--state-dir", site.state, "--job", "4711", "--json").stdout
        )
        assert tree["processes"][0]["pid"] == supervisor
        assert ledger.run("reserve", "--gpus", 7, "--", "true").returncode == 125
        os.kill(supervisor, signal.SIGKILL)
        served = ledger.run("reserve", "--gpus", 8, "--wait", "60s", "--", "true")
        assert served.returncode == 0, served.stderr
        running.communicate(timeout=60)
    assert ledger.json("status", "--repair")["leases"] == []


def test_the_interpreter_holds_on_when_its_supervisor_dies(site: Site, ledger: Ledger) -> None:
    """It gives the GPUs back itself, when nothing of the payload is left."""
    with started(site, ledger) as running:
        supervisor = lease_of(ledger)["payload"]["supervisor"]["pid"]
        os.kill(supervisor, signal.SIGKILL)
        running.communicate(timeout=60)
        assert running.returncode != 0
    assert ledger.json("status", "--repair")["leases"] == []
    assert ledger.run("reserve", "--gpus", 8, "--", "true").returncode == 0


def test_the_end_of_the_job_is_the_end_of_the_lease(site: Site, ledger: Ledger) -> None:
    with started(site, ledger) as running:
        lease_of(ledger)
        running.terminate()
        running.communicate(timeout=60)
    assert ledger.json("status")["leases"] == []
