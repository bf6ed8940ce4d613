"""`gpuctl.Host`: typed records that say what `gpuctl discover` says."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import threading
from pathlib import Path
from typing import Callable

import gpuctl
import pytest
from gpuctl.errors import MalformedError, UnavailableError, UsageError
from nodes.compose import NODES, compose
from schemas import schema, validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("name", sorted(NODES))
def test_the_records_are_those_of_the_command(name: str, tmp_path: Path, gpuctl: Run) -> None:
    from gpuctl import Host

    root = compose(name, tmp_path / name)
    said = json.loads(gpuctl("discover", "--json", "--root", root).stdout)
    inventory = Host(root=root).discover()
    assert inventory.to_json() == said
    assert list(inventory.to_json()) == list(said)
    for record, gpu in zip(said["gpus"], inventory.gpus):
        assert list(gpu.to_json()) == list(record)
    validate("discover.json", inventory.to_json())


def test_the_fields_of_a_gpu_are_the_keys_of_the_schema() -> None:
    keys = schema("discover.json")["$defs"]["gpu"]["properties"]
    assert [field.name for field in dataclasses.fields(gpuctl.Gpu)] == list(keys)


def test_records_are_typed_and_frozen(tmp_path: Path) -> None:
    root = compose("mixed-broken", tmp_path / "node")
    inventory = gpuctl.Host(root).discover()
    broken = [gpu for gpu in inventory.gpus if gpu.health.state != "ok"]
    assert broken
    assert all(gpu.health.reasons[0].code for gpu in broken)
    assert inventory.ignored[0].reason.code
    with pytest.raises(dataclasses.FrozenInstanceError):
        broken[0].usable = True  # type: ignore[misc]
    assert len({*inventory.gpus}) == len(inventory.gpus)  # hashable


def test_a_record_of_a_later_version_is_read_and_of_an_earlier_one_is_not(tmp_path: Path) -> None:
    (gpu, *_) = gpuctl.Host(compose("epn-mi50x8", tmp_path / "n")).discover().gpus
    record = {**gpu.to_json(), "tensor_cores": 8}
    assert gpuctl.Gpu.from_json(record) == gpu
    del record["health"]
    with pytest.raises(MalformedError, match="health"):
        gpuctl.Gpu.from_json(record)


def test_the_environment_counts_and_the_argument_counts_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUCTL_ROOT", str(compose("empty", tmp_path / "empty")))
    assert gpuctl.Host().discover().gpus == ()
    other = compose("epn-mi50x8", tmp_path / "epn")
    host = gpuctl.Host(root=other, state_dir=tmp_path / "state")
    assert (host.root, host.state_dir) == (str(other), str(tmp_path / "state"))
    assert len(host.discover().gpus) == 8


def test_names_come_from_the_file_that_is_set_and_none_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = compose("epn-mi50x8", tmp_path / "epn")
    newer = tmp_path / "pci.ids"
    newer.write_text("#\tVersion: 2099.01.01\n1002  AMD\n\t66a1  Vega 99\n", encoding="utf-8")
    monkeypatch.setenv("GPUCTL_PCI_IDS", str(newer))
    assert "Vega 99" in gpuctl.Host(root=host).discover().gpus[0].names
    monkeypatch.setenv("GPUCTL_PCI_IDS", "none")
    assert "Vega 99" not in gpuctl.Host(root=host).discover().gpus[0].names
    monkeypatch.setenv("GPUCTL_PCI_IDS", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError):
        gpuctl.Host(root=host).discover()


def test_what_is_no_node_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        gpuctl.Host(root=__file__).discover()
    with pytest.raises(UsageError):
        gpuctl.Host(root="")
    with pytest.raises(UnavailableError):
        gpuctl.Host(root=tmp_path).discover()


def test_a_host_may_be_used_from_several_threads(tmp_path: Path) -> None:
    host = gpuctl.Host(compose("pci400", tmp_path / "big"))
    found: list[int] = []

    def look() -> None:
        found.extend(len(host.discover().gpus) for _ in range(5))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [8] * 20
