"""Matching a wish against GPUs: the traps of model names, of memory, and the choice on a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gpuctl.jdl import GpuWish
from gpuctl.match.gpus import choose, matches
from gpuctl.match.models import WantedModel, alternatives

MIB = 1024**2
GIB = 1024**3
DUAL_NAME = "Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB]"


def gpu(*names: str, memory_mib: int | None = None, **more: Any) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": "0000:01:00.0",
        "parent_id": None,
        "kind": "gpu",
        "vendor": "nvidia",
        "model": names[0] if names else None,
        "names": list(names),
        "memory_total_bytes": None if memory_mib is None else memory_mib * MIB,
        "integrated": False,
        "usable": True,
        "allotted": True,
        "health": {"state": "ok", "reasons": []},
    }
    return {**record, **more}


# (wanted, name of the GPU, its memory in MiB, whether it fits)
MODELS: list[tuple[str, str, int | None, bool]] = [
    ("A100", "NVIDIA A100-SXM4-80GB", 81559, True),
    ("a100", "GA100 [A100 SXM4 80GB]", 81559, True),
    ("A10", "NVIDIA A100-SXM4-80GB", 81559, False),
    ("A10", "NVIDIA A10", 23028, True),
    ("A100", "NVIDIA A10", 23028, False),
    ("A10", "NVIDIA A10G", 23028, False),
    ("L4", "NVIDIA L40S", 46068, False),
    ("L40", "NVIDIA L40S", 46068, False),
    ("L40S", "NVIDIA L40S", 46068, True),
    ("L4", "NVIDIA L4", 23034, True),
    ("T4", "TU104GL [Tesla T4]", 15360, True),
    ("Tesla T4 16GB", "Tesla T4", 15360, True),
    ("MI300", "AMD Instinct MI300X", 196592, False),
    ("MI300X", "Aqua Vanjaram [Instinct MI300X]", 196592, True),
    ("NVIDIA A100", "GA100 [A100 PCIe 40GB]", 40960, True),
    ("SXM4 A100", "NVIDIA A100-SXM4-80GB", 81559, False),
    ("A100 SXM4", "NVIDIA A100-SXM4-80GB", 81559, True),
    ("A100 80GB", "NVIDIA A100-SXM4-80GB", 81559, True),
    ("A100-SXM4-80GB", "NVIDIA A100-SXM4-80GB", 81559, True),
    ("A100 80G", "NVIDIA A100-SXM4-80GB", 81559, True),
    ("A100 80GB", "NVIDIA A100-SXM4-40GB", 40960, False),
    ("A100 40 GB", "NVIDIA A100-SXM4-40GB", 40536, True),
    ("A100 80GB", "NVIDIA A100-SXM4-80GB", None, True),
    ("A100 40GB", "NVIDIA A100-SXM4-80GB", None, False),
    ("H100 80GB", "NVIDIA H100 80GB HBM3", 81559, True),
    ("MI50 32GB", DUAL_NAME, 32752, True),
    ("MI50 32GB", DUAL_NAME, 16368, False),
    ("MI50", DUAL_NAME, 16368, True),
    ("MI50 16GB", DUAL_NAME, 16368, True),
    ("Radeon Pro VII", DUAL_NAME, 16368, True),
    ("Radeon Pro MI50", DUAL_NAME, 32752, False),
    ("VII MI50", DUAL_NAME, 32752, False),
    ("Vega 20", DUAL_NAME, 32752, True),
    (DUAL_NAME, DUAL_NAME, 32752, True),
    ("RX 6700", "Navi 22 [Radeon RX 6700/6700 XT / 6800M]", None, True),
    ("Radeon RX 6700 XT", "Navi 22 [Radeon RX 6700/6700 XT / 6800M]", None, True),
    ("RX 6800M", "Navi 22 [Radeon RX 6700/6700 XT / 6800M]", None, True),
    ("RX 6700 6800M", "Navi 22 [Radeon RX 6700/6700 XT / 6800M]", None, False),
    ("RX 6800 XT", "Navi 21 [Radeon RX 6800/6900 XT]", None, False),
    ("RX Vega 64", "Vega 10 XL/XT [Radeon RX Vega 56/64]", None, True),
    ("Vega 10 XT", "Vega 10 XL/XT [Radeon RX Vega 56/64]", None, True),
    ("Vega 56 64", "Vega 10 XL/XT [Radeon RX Vega 56/64]", None, False),
    ("Radeon R9 280X", "Tahiti XT [Radeon HD 7970/8970 OEM / R9 280X]", None, True),
    ("Instinct MI25x2", "Vega 10 [Instinct MI25/MI25x2/V340/V320]", None, True),
    ("Instinct V340", "Vega 10 [Instinct MI25/MI25x2/V340/V320]", None, True),
    ("MI25 V340", "Vega 10 [Instinct MI25/MI25x2/V340/V320]", None, False),
    ("GTX 1650 Max-Q", "TU117M [GeForce GTX 1650 Mobile / Max-Q]", None, True),
    ("MI210", "Aldebaran/MI200 [Instinct MI210]", 65520, True),
    ("MI200", "Aldebaran/MI200 [Instinct MI210]", 65520, True),
    ("Ryzen 5600G", "Cezanne [Ryzen 5600G]", 512, True),
    ("A100 1g.10gb", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", 9728, True),
    ("A100 80GB", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", 9728, False),
]


@pytest.mark.parametrize(("wanted", "name", "memory_mib", "fits"), MODELS)
def test_model(wanted: str, name: str, memory_mib: int | None, fits: bool) -> None:
    result = matches(GpuWish(models=(wanted,)), gpu(name, memory_mib=memory_mib))
    assert result.ok is fits, result.reason
    assert bool(result) is fits
    assert name in result.reason


def test_any_of_several_names_of_the_gpu_and_of_several_wanted() -> None:
    record = gpu("Graphics Device", "GA100 [A100 SXM4 80GB]", memory_mib=81559)
    assert matches(GpuWish(models=("A100",)), record)
    assert matches(GpuWish(models=("MI100", "A100")), record)
    assert not matches(GpuWish(models=("MI100", "H100")), record)


def test_words_are_not_taken_from_two_names() -> None:
    assert not matches(GpuWish(models=("Tesla A100",)), gpu("Tesla V100", "NVIDIA A100"))


def test_seven_percent_is_the_border() -> None:
    exact = 32 * GIB
    wish = GpuWish(models=("X1 32GB",))
    for size, fits in ((exact * 93 // 100 + 1, True), (exact * 93 // 100 - 1, False)):
        assert matches(wish, gpu("X1", memory_total_bytes=size)).ok is fits
    for size, fits in ((exact * 107 // 100, True), (exact * 107 // 100 + 1, False)):
        assert matches(wish, gpu("X1", memory_total_bytes=size)).ok is fits


@pytest.mark.parametrize(
    ("wanted", "memory", "fits"),
    [
        (80 * 10**9, 85_520_809_984, True),
        (80 * 10**9, 40 * 10**9, False),
        (16 * 10**9, 15109 * MIB, True),
        (16 * 10**9, 80 * 10**9, True),
        (100, 93, True),
        (100, 92, False),
        (1, None, False),
    ],
)
def test_memory_is_a_least_size_with_tolerance(wanted: int, memory: int | None, fits: bool) -> None:
    result = matches(GpuWish(memory_bytes=wanted), gpu("X", memory_total_bytes=memory))
    assert result.ok is fits
    assert fits or "memory" in result.reason


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        ("GCN5", True),
        ("gcn5", True),
        ("Vega 20", True),
        ("vega  20", True),
        ("gfx906", True),
        ("GFX906", True),
        ("gfx90", False),
        ("gfx9060", False),
        ("Vega", False),
        ("20", False),
        ("None", False),
    ],
)
def test_architecture_is_whole(wanted: str, fits: bool) -> None:
    record = gpu("X", architecture="GCN5", chip="Vega 20", isa="gfx906")
    assert matches(GpuWish(architectures=(wanted,)), record).ok is fits
    assert not matches(GpuWish(architectures=(wanted,)), gpu("X", architecture=None, isa=None))


def test_vendor_and_all_constraints_together() -> None:
    record = gpu("Instinct MI100", vendor="amd", architecture="CDNA", memory_mib=32752)
    assert matches(GpuWish(vendors=("amd",)), record)
    assert matches(GpuWish(vendors=("nvidia", "amd")), record)
    result = matches(GpuWish(vendors=("nvidia",)), record)
    assert result.reason == "its vendor is `amd`, not `nvidia`"
    whole = GpuWish(("MI100 32GB",), ("amd",), ("CDNA",), 1, 32 * 10**9)
    assert matches(whole, record)
    for change in ({"vendor": "intel"}, {"architecture": "RDNA"}, {"memory_total_bytes": 16 * GIB}):
        assert not matches(whole, {**record, **change})


@pytest.mark.parametrize(
    "record", [{}, {"names": None, "model": None, "health": None}, {"names": [1]}]
)
def test_a_poor_record_is_no_crash(record: dict[str, Any]) -> None:
    wish = GpuWish(("A100",), ("amd",), ("X",), 1, 1)
    assert not matches(wish, record)
    assert not choose(wish, [record]).ok
    assert matches(GpuWish(), record)


def test_alternatives() -> None:
    assert list(alternatives("GA100 [A100]")) == ["GA100 A100 "]
    assert [" ".join(name.split()) for name in alternatives(DUAL_NAME)] == [
        "Vega 20 Radeon Pro VII",
        "Vega 20 Radeon Instinct MI50 32GB",
    ]


def test_alternatives_are_bounded() -> None:
    assert len(list(alternatives("[a/b/c/d]" * 50))) <= 256


def test_sizes_are_no_words() -> None:
    wanted = WantedModel("RTX 3060 12 GB")
    assert (wanted.words, wanted.sizes_bytes) == (("rtx", "3060"), (12 * GIB,))
    assert WantedModel("K80 24gb").sizes_bytes == (24 * GIB,)
    assert WantedModel("Radeon 780M").sizes_bytes == ()
    assert WantedModel("1g.10gb").sizes_bytes == ()


def node(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"id": f"0000:0{i}:00.0", **record} | {"id": f"0000:0{i}:00.0"}
        for i, record in enumerate(records)
    ]


def test_choice_is_first_fit_in_list_order() -> None:
    gpus = node(gpu("T4"), gpu("A100"), gpu("A100"), gpu("A100"))
    choice = choose(GpuWish(models=("A100",), count=2), gpus)
    assert choice.ok
    assert choice.ids == ("0000:01:00.0", "0000:02:00.0")
    assert choice.gpus == (gpus[1], gpus[2])
    assert choice.rejected == (("0000:00:00.0", "`T4` is not `A100`"),)


def test_too_few_is_none() -> None:
    choice = choose(GpuWish(models=("A100",), count=3), node(gpu("A100"), gpu("A100"), gpu("T4")))
    assert (choice.ok, choice.gpus, choice.cpu_only) == (False, (), False)
    assert choice.reason == "3 GPUs wanted, but 2 of 3 fit"


def test_a_job_that_can_do_without() -> None:
    choice = choose(GpuWish(required=False), [])
    assert (choice.ok, choice.cpu_only) == (False, True)
    assert choice.reason == "1 GPU wanted, but there is none here"
    assert choose(None, node(gpu("A100"))).gpus == ()
    assert choose(None, []).ok


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"usable": False, "health": {"state": "no_driver", "reasons": []}}, "no_driver"),
        (
            {"usable": False, "health": {"state": "lost", "reasons": [{"code": "config_ff"}]}},
            "lost, config_ff",
        ),
        ({"allotted": False}, "not allotted"),
        ({"available": False}, "leased or drained"),
        ({"kind": "vf"}, "`vf`"),
        ({"integrated": True}, "integrated"),
    ],
)
def test_what_cannot_serve_is_left_out_with_the_reason(change: dict[str, Any], words: str) -> None:
    choice = choose(GpuWish(), node(gpu("A", **change), gpu("B")))
    assert choice.ids == ("0000:01:00.0",)
    ((rejected, why),) = choice.rejected
    assert rejected == "0000:00:00.0"
    assert words in why


def test_an_integrated_gpu_is_taken_when_its_model_is_named() -> None:
    gpus = node(gpu("Raphael", vendor="amd", integrated=True))
    assert choose(GpuWish(models=("Raphael",)), gpus).ok
    assert not choose(GpuWish(vendors=("amd",)), gpus).ok


def test_a_divided_gpu_gives_its_partitions_and_never_both() -> None:
    parent = gpu("NVIDIA A100-SXM4-80GB")
    parts = [
        {**gpu("A100 MIG 1g.10gb"), "kind": "partition", "parent_id": parent["id"], "id": f"p{i}"}
        for i in range(2)
    ]
    choice = choose(GpuWish(count=2), [parent, *parts])
    assert choice.ids == ("p0", "p1")
    assert "divided" in choice.rejected[0][1]
    assert not choose(GpuWish(count=3), [parent, *parts]).ok


def test_records_may_come_from_json_and_any_iterable() -> None:
    records = json.loads(json.dumps(node(gpu("A100"), gpu("T4"))))
    assert choose(GpuWish(models=("T4",)), iter(records)).ids == ("0000:01:00.0",)


def recorded_names(recordings: Path) -> list[str]:
    found: set[str] = set()
    for path in sorted(recordings.glob("*/expected.json")):
        expected = json.loads(path.read_text(encoding="utf-8"))
        for entry in expected.get("gpus") or ():
            name = entry.get("pci_ids_name") if isinstance(entry, dict) else None
            found |= {name} if name else set()
    return sorted(found)


def test_every_recorded_name_matches_each_board_it_lists(recordings: Path) -> None:
    """Of real catalogue names: the part in brackets, board by board, finds its own card."""
    names = recorded_names(recordings)
    assert len(names) > 10
    for name in names:
        for board in name.partition("[")[2].rstrip("]").split("/"):
            without_size = " ".join(WantedModel(board).words)
            if without_size:
                assert matches(GpuWish(models=(without_size,)), gpu(name)), (board, name)
