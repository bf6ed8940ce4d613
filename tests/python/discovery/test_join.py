"""The join: what is one device, whom to believe, and what a contradiction does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gpuctl.discovery.answer import make_answer
from gpuctl.discovery.conflicts import EQUAL, ORDER, choose
from gpuctl.discovery.reading import Reading, Sighting
from gpuctl.discovery.sources import lspci, nvidia_smi, rocm_smi
from gpuctl.discovery.values import address, milliwatts, size_bytes, unique_id, uuid

A, B = "0000:04:00.0", "0000:1b:00.0"
U, V = (f"GPU-520e01f2-cf30-6396-abef-e8e9a5233b{n}" for n in ("04", "1b"))


def reading(source: str, *sightings: Sighting) -> Reading:
    for each in sightings:
        each.vendor = each.vendor or "nvidia"
        each.facts.setdefault("vendor_id", "10de")
        each.active = True
    return Reading(source, list(sightings), vendor="nvidia")


def answer(*readings: Reading) -> dict[str, Any]:
    return make_answer(list(readings), [], "none")


def ids(found: dict[str, Any]) -> list[str]:
    return [gpu["id"] for gpu in found["gpus"]]


def codes(found: dict[str, Any]) -> list[str]:
    return [row["code"] for row in found["problems"]]


def test_order_of_listing_does_not_matter() -> None:
    found = answer(
        reading("nvidia-smi", Sighting(A, U, index=0), Sighting(B, V, index=1)),
        reading("sonar", Sighting(None, V, index=0), Sighting(None, U, index=1)),
    )
    assert ids(found) == [A, B]
    assert [gpu["uuid"] for gpu in found["gpus"]] == [U, V]
    assert all(gpu["sources"] == ["nvidia-smi", "sonar"] for gpu in found["gpus"])


def test_index_joins_one_tool_and_no_other() -> None:
    with_index = reading("nvidia-smi", Sighting(index=0).put(compute_capability="8.0"))
    found = answer(reading("nvidia-smi", Sighting(A, index=1), Sighting(B, index=0)), with_index)
    assert ids(found) == [A, B]
    assert [gpu["compute_capability"] for gpu in found["gpus"]] == [None, "8.0"]
    with_index.source = "sonar"
    found = answer(reading("nvidia-smi", Sighting(A, index=1), Sighting(B, index=0)), with_index)
    assert [gpu["compute_capability"] for gpu in found["gpus"]] == [None, None]


def test_what_has_no_key_goes_where_only_one_is_left() -> None:
    found = answer(
        reading("nvidia-smi", Sighting(A).put(device_id="26b9")),
        reading("nvtop", Sighting(index=0).measure(power_mw=7000)),
    )
    assert ids(found) == [A]
    assert found["gpus"][0]["telemetry"]["power_mw"] == 7000


def test_common_facts_of_devices_that_cannot_be_told_apart() -> None:
    found = answer(
        reading("nvidia-smi", Sighting(A), Sighting(B)),
        reading(
            "nvtop",
            Sighting(index=0).put(names=["NVIDIA L40S"]).measure(power_mw=1),
            Sighting(index=1).put(names=["NVIDIA L40S"]).measure(power_mw=2),
        ),
    )
    assert [gpu["names"] for gpu in found["gpus"]] == [["NVIDIA L40S"]] * 2
    assert [gpu["telemetry"]["power_mw"] for gpu in found["gpus"]] == [None, None]


def test_more_devices_than_others_know_are_kept() -> None:
    found = answer(
        reading("nvidia-smi", Sighting(A)),
        reading("nvtop", Sighting(index=0), Sighting(index=1), Sighting(index=2)),
    )
    assert len(found["gpus"]) == 3
    assert codes(found) == ["conflict"]


def test_one_address_twice_keeps_both() -> None:
    found = answer(reading("nvidia-smi", Sighting(A, U), Sighting(A, V)))
    assert ids(found) == [A, V]
    assert codes(found) == ["conflict"]


def test_one_uuid_at_two_addresses_keeps_both() -> None:
    found = answer(reading("nvidia-smi", Sighting(A, U)), reading("sonar", Sighting(B, U)))
    assert ids(found) == [A, B]
    assert "conflict" in codes(found)


def test_masked_uuids_join_nothing() -> None:
    nil = "GPU-00000000-0000-0000-0000-000000000000"
    found = answer(reading("nvidia-smi", Sighting(A, nil), Sighting(B, nil)))
    assert ids(found) == [A, B]
    assert codes(found) == []


def test_a_conflict_is_a_problem_and_the_first_in_the_table_wins() -> None:
    found = answer(
        reading("sonar", Sighting(A).put(device_id="1111", memory_total_bytes=100 << 20)),
        reading("nvidia-smi", Sighting(A).put(device_id="26b9", memory_total_bytes=80 << 20)),
    )
    [gpu] = found["gpus"]
    assert (gpu["device_id"], gpu["memory_total_bytes"]) == ("26b9", 80 << 20)
    assert codes(found) == ["conflict", "conflict"]
    assert gpu["field_sources"]["device_id"] == ["nvidia-smi"]


def test_memory_within_seven_percent_is_no_conflict() -> None:
    found = answer(
        reading("nvidia-smi", Sighting(A).put(memory_total_bytes=15360 << 20)),
        reading("hwloc", Sighting(A).put(memory_total_bytes=15109 << 20)),
    )
    assert found["gpus"][0]["memory_total_bytes"] == 15360 << 20
    assert found["gpus"][0]["field_sources"]["memory_total_bytes"] == ["nvidia-smi", "hwloc"]
    assert codes(found) == []


def test_amd_partitions_of_one_address_are_no_cards() -> None:
    card = (
        '"card{}": {{"Device ID": "0x74a1", "Unique ID": "0x5f9e31", "PCI Bus": "0000:05:00.{}"}}'
    )
    for functions in ((0, 0, 0, 0), (0, 1, 2, 3)):
        text = ", ".join(card.format(at, function) for at, function in enumerate(functions))
        found = answer(rocm_smi.parse("{" + text + "}"))
        assert [gpu["kind"] for gpu in found["gpus"]] == ["gpu", *["partition"] * 4]
        assert ids(found)[1:] == [f"0000:05:00.0.cpx-{n}" for n in range(4)]
        assert not found["gpus"][0]["usable"]


def test_virtual_functions_by_the_capability_of_the_physical_one() -> None:
    head = "3D controller [0302]: NVIDIA Corporation GA102GL [A40] [10de:2235] (rev a1)"
    block = "\t\tIOVSta:\tMigration-\n\t\tNumber of VFs: 2, Function Dependency Link: 00\n"
    place = "\t\tVF offset: 4, stride: 1, Device ID: 2235\n"
    text = f"00:05.0 {head}\n{block}{place}00:05.4 {head}\n00:05.5 {head}\n00:06.0 {head}\n"
    found = answer(lspci.parse(text))
    assert [gpu["kind"] for gpu in found["gpus"]] == ["gpu", "vf", "vf", "gpu"]


def test_two_cards_of_a_virtual_machine_are_two() -> None:
    line = "{} 3D controller [0302]: NVIDIA Corporation GA102GL [A40] [10de:2235] (rev a1)\n"
    for slots in (("00:05.0", "00:06.0"), ("01:01.0", "01:02.0"), ("01:00.0", "02:00.0")):
        found = answer(lspci.parse("".join(line.format(slot) for slot in slots)))
        assert [gpu["kind"] for gpu in found["gpus"]] == ["gpu", "gpu"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (address("00000000:0C:00.0"), "0000:0c:00.0"),
        (address("10000:00:04.0"), "10000:00:04.0"),
        (address("0C:00.0"), "0000:0c:00.0"),
        (address("N/A"), None),
        (address("0000:00:20.0"), None),
        (size_bytes("81559 MiB"), 81559 << 20),
        (size_bytes({"value": 65520, "unit": "MB"}), 65520 << 20),
        (size_bytes("0"), None),
        (size_bytes("-5 MiB"), None),
        (size_bytes("9" * 300), None),
        (milliwatts("48.99"), 48990),
        (milliwatts("[N/A]"), None),
        (uuid("GPU-????????-????-????"), None),
        (unique_id("0x2f048617326b1ea"), "02f048617326b1ea"),
        (unique_id("0"), None),
    ],
)
def test_cells(value: object, expected: object) -> None:
    assert value == expected


def test_the_page_has_the_table_of_the_code(repository: Path) -> None:
    page = (repository / "docs/design/discovery.md").read_text(encoding="utf-8")
    for field, order in ORDER.items():
        assert f"| `{field}` | {', '.join(order)} |" in page
    assert set(EQUAL) == {"memory_total_bytes", "architecture"}
    assert choose("memory_total_bytes", [("condor", 93), ("kernel", 100)])[0] == 100


def test_a_dead_gpu_between_good_ones() -> None:
    text = (
        "index, name, pci.bus_id\n0, NVIDIA A, 00000000:04:00.0\n"
        "Unable to determine the device handle for GPU0000:1B:00.0: GPU is lost.\n"
        "2, NVIDIA A, 00000000:C3:00.0\n"
    )
    found = answer(nvidia_smi.parse(text))
    assert ids(found) == [A, B, "0000:c3:00.0"]
    assert [gpu["usable"] for gpu in found["gpus"]] == [True, False, True]
