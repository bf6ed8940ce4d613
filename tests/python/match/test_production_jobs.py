"""200 JDLs of productions against 12 SiteMaps: each answer, and each reason, by the table.

tests/data/matching/jobs.tsv says what is expected; tests/matching/make_jobs.py, how it was made.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gpuctl import jdl
from gpuctl.match.evaluate import Match, Matcher, best_of, nearest
from gpuctl.match.files import load_nodes
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements
from gpuctl.match.unmet import Unmet
from matching.make_jobs import NODES, rows
from schemas import validate

DATA = Path(__file__).resolve().parents[2] / "data"
CONSTRAINTS = ("OS_NAME", "CPU_flags")
TABLE = [line.split("\t") for line in (DATA / "matching/jobs.tsv").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def nodes() -> list[Node]:
    found = [load_nodes(DATA / f"sitemaps/{name}.json")[0] for name in NODES]
    assert [node.name for node in found] == list(NODES)
    assert not any(node.problems for node in found)
    return found


def document(escaped: str) -> jdl.Jdl:
    text = escaped.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t")
    return jdl.loads(text.replace("\0", "\\"))


def cell(unmet: tuple[Unmet, ...]) -> str:
    names = {each.name: each.name + ("?" if each.state == "unknown" else "") for each in unmet}
    return ",".join(sorted(names.values())) or "yes"


def matches_of(escaped: str, nodes: list[Node]) -> list[Match]:
    matcher = Matcher(Requirements.from_jdl(document(escaped)), CONSTRAINTS)
    matches = [matcher.match(node) for node in nodes]
    assert [matcher.fits(node) for node in nodes] == [match.ok for match in matches]
    return matches


def test_the_table_is_whole() -> None:
    assert TABLE[0] == ["name", *NODES, "jdl"]
    assert len(TABLE) == 201
    assert len({row[-1] for row in TABLE}) == 201
    cells = [each for row in TABLE[1:] for each in row[1:-1]]
    assert 300 < cells.count("yes") < 1500
    assert [row[0] for row in TABLE[1:]] == [name for name, _, _ in rows()]


def test_the_sitemaps_are_what_gpuctl_makes() -> None:
    for name in NODES[:-1]:  # the last one is JAliEn's own
        validate("sitemap.json", json.loads((DATA / f"sitemaps/{name}.json").read_text("utf-8")))


@pytest.mark.parametrize("row", TABLE[1:], ids=lambda row: row[0])
def test_every_node_answers_as_expected(row: list[str], nodes: list[Node]) -> None:
    matches = matches_of(row[-1], nodes)
    assert dict(zip(NODES, (cell(match.unmet) for match in matches))) == dict(zip(NODES, row[1:-1]))
    for match in matches:
        for unmet in match.unmet:
            assert unmet.text
            assert (unmet.found is None) == (unmet.state == "unknown") or unmet.name in (
                *("requirements", "user"),
            )
    fitting = [name for name, expected in zip(NODES, row[1:-1]) if expected == "yes"]
    best, near = best_of(matches), nearest(matches)
    assert (best.node.name if best else None) == (fitting[0] if fitting else None)
    assert near is not None
    assert len(near.unmet) == min(len(match.unmet) for match in matches)


def test_the_mi50_with_32_gb_is_told_from_the_one_with_16(nodes: list[Node]) -> None:
    wanted = 'Executable = "x"; CPUCores = 8; GPU = "Radeon Instinct MI50 32GB"; GPUCount = 2;'
    matcher = Matcher(Requirements.from_jdl(jdl.loads(wanted)))
    by_name = {node.name: matcher.match(node) for node in nodes}
    assert by_name["epn-mi50"].choice.ids == ("0000:03:00.0", "0000:27:00.0")
    # both cards carry the same catalogue name, "... MI50 32GB"; the memory tells them apart
    (unmet,) = by_name["epn-mi50-16"].unmet
    assert (unmet.name, unmet.found) == ("gpu", 0)
    assert all("16.0 GiB" in why for _, why in by_name["epn-mi50-16"].choice.rejected)
    quarantined = by_name["epn-quarantine"]
    assert quarantined.choice.ids == ("0000:63:00.0", "0000:83:00.0")
    reasons = dict(quarantined.choice.rejected)
    assert "lost, off_the_bus" in reasons["0000:43:00.0"]
    assert "leased or drained" in reasons["0000:03:00.0"]


def test_of_a_card_with_mig_the_parts_are_given(nodes: list[Node]) -> None:
    wanted = 'Executable = "x"; TTL = 3600; GPUVendor = "nvidia"; GPUCount = 4;'
    match = Matcher(Requirements.from_jdl(jdl.loads(wanted))).match(nodes[NODES.index("mig-a100")])
    assert match.choice.ids == tuple(f"0000:65:00.0.mig-1g.10gb-{part}" for part in (3, 4, 5, 6))
    assert "0000:65:00.0" in dict(match.choice.rejected)
    assert not match.cpu_only


def test_rank_chooses_among_those_that_fit(nodes: list[Node]) -> None:
    wanted = (
        'Executable = "x"; CPUCores = 8; GPUCount = 1; Rank = other.GPUs[0].memory_total_bytes;'
    )
    matcher = Matcher(Requirements.from_jdl(jdl.loads(wanted)))
    best = best_of([matcher.match(node) for node in nodes])
    assert best is not None
    assert (best.node.name, best.rank) == ("alps-gh200", 102625181696.0)
