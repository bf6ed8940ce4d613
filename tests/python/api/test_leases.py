"""Leases from Python: `Host.reserve` and its context, recorded ones, status, drains."""

from __future__ import annotations

import os
from pathlib import Path

import gpuctl
import pytest
from gpuctl import errors
from gpuctl.leases import HeldLease
from nodes.compose import compose


@pytest.fixture
def host(tmp_path: Path) -> gpuctl.Host:
    root = compose("perlmutter-a100x4", tmp_path / "node", device_nodes=False)
    return gpuctl.Host(root=root, state_dir=tmp_path / "state")


def test_a_block_holds_and_gives_back(host: gpuctl.Host) -> None:
    with host.reserve(gpus=2, model="A100", vendor="nvidia", job="4711") as lease:
        assert isinstance(lease, HeldLease)
        assert len(lease.gpu_ids) == 2
        status = host.status()
        assert [each.id for each in status.leases] == [lease.lease.id]
        assert (status.leases[0].holder_pid, status.leases[0].job_id) == (os.getpid(), "4711")
        assert [gpu["id"] for gpu in status.gpus if not gpu["available"]] == list(lease.gpu_ids)
    assert host.status().leases == ()


def test_what_is_taken_is_not_given_again(host: gpuctl.Host) -> None:
    with host.reserve(gpus=4):
        with pytest.raises(errors.UnavailableError, match="0 of them free"):
            host.reserve()
        with pytest.raises(errors.UnavailableError):
            host.reserve(wait=0)


def test_what_does_not_fit_says_why_for_each(host: gpuctl.Host) -> None:
    with pytest.raises(errors.UnavailableError, match="is not `H100`"):
        host.reserve(model="H100")


def test_a_forked_child_gives_nothing_back(host: gpuctl.Host) -> None:
    with host.reserve(gpus=4) as lease:
        child = os.fork()
        if child == 0:
            del lease
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert host.status().leases[0].state == "held"
        assert host.status().leases[0].holder_alive


def test_a_ledger_from_before_a_fork_is_not_shared(host: gpuctl.Host) -> None:
    """Both would hold the one lock of the open directory; a Host opens a ledger of its own."""
    ledger = host.ledger()
    child = os.fork()
    if child == 0:
        try:
            ledger.status(False)
            code = 1
        except errors.UsageError as error:
            code = 0 if "before a fork" in str(error) and host.status().leases == () else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_recorded_for_an_agent(host: gpuctl.Host) -> None:
    lease = host.record_lease(os.getpid(), gpus=3, job="12", expires="1h")
    assert (lease.way, lease.state, lease.holder_alive) == ("recorded", "held", True)
    assert lease.expires_at is not None
    assert host.release("12").blockers == ()
    assert host.status().leases == ()


def test_drained_and_given_jobs_again(host: gpuctl.Host) -> None:
    gpu = host.discover().gpus[0].id
    assert host.drain(gpu, "ECC errors", until_check=True)["needs_check"] is True
    with pytest.raises(errors.UnavailableError, match="drained: ECC errors"):
        host.reserve(only=gpu)
    with pytest.raises(errors.UnavailableError, match="a check that passes"):
        host.undrain(gpu)
    host.undrain(gpu, check_passed=True)
    with host.reserve(only=gpu) as lease:
        assert lease.gpu_ids == (gpu,)


def test_three_probes_in_a_row_that_hang_make_a_quarantine(host: gpuctl.Host) -> None:
    gpu = host.discover().gpus[0].id
    assert host.note_probe(gpu, hung=True) is None
    assert host.note_probe(gpu, hung=True) is None
    assert host.note_probe(gpu, hung=False) is None
    assert host.note_probe(gpu, hung=True) is None
    assert host.note_probe(gpu, hung=True) is None
    drain = host.note_probe(gpu, hung=True)
    assert drain is not None
    assert (drain["cause"], drain["needs_check"]) == ("health", True)


@pytest.mark.parametrize(
    "wish", [{"gpus": 0}, {"gpus": True}, {"vendor": "voodoo"}, {"min_memory": "many"}]
)
def test_bad_wishes_are_usage_errors(host: gpuctl.Host, wish: dict[str, object]) -> None:
    with pytest.raises(errors.UsageError):
        host.reserve(**wish)  # type: ignore[arg-type]


def test_stand_in_hardware_needs_a_state_directory(tmp_path: Path) -> None:
    root = compose("empty", tmp_path / "node", device_nodes=False)
    with pytest.raises(errors.UsageError, match="state_dir"):
        gpuctl.Host(root=root).reserve()
