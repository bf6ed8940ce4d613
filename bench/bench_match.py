"""One job against 10,000 SiteMaps, beside HTCondor's ClassAds; parsing of a JDL beside JSON.

    ./dev bench bench/bench_match.py

The peer is `classad2` of the wheel `htcondor`, asked about the same expression and the same pairs
in the same process; both sides have their records ready, as a broker would. Not shown: whole grids
at once, and a broker's database.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gpuctl import jdl
from gpuctl.match.evaluate import Matcher
from gpuctl.match.expression import compile_text
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements

DATA = Path(__file__).resolve().parent.parent / "tests/data"
COUNT = 10_000
ROUNDS = 15
MOST_OF_CLASSADS = 1.0
MOST_OF_JSON = 30
REQUIREMENTS = """member("prod", other.Partitions) && other.TTL > 36000 && other.CE != "ALICE::X::Y"
    && other.CVMFS_revision >= 30000 && (other.Site == "CERN" || other.CPUCores >= 8)"""
EXPRESSIONS = {
    "fields": REQUIREMENTS,
    "with a pattern": REQUIREMENTS + ' && regexp("^el[89]-", other.Platform)',
    "with conditions on each GPU": REQUIREMENTS
    + ' && countMatches(vendor == "amd" && memory_total_bytes >= 32000000000, other.GPUs) >= 2',
}
JOB = """Executable = "x"; TTL = 36000; CPUCores = 8; User = "alidaq"; GPU = "MI50 32GB";
    GPUCount = 2; Platform = "el9-x86_64"; Packages = {"VO_ALICE@O2PDPSuite::v1"};
    Requirements = member(other.GridPartitions,"gpu") && other.CVMFS_Revision >= 30000
        && other.CE != "ALICE::X::Y" && other.GPUAvailable >= 2;"""


def documents() -> list[dict[str, Any]]:
    """10,000 nodes: the twelve kinds, each a little different."""
    kinds = [json.loads(path.read_text("utf-8")) for path in sorted(DATA.glob("sitemaps/*.json"))]
    made = []
    for number in range(COUNT):
        kind = kinds[number % len(kinds)]
        partitions = [name for name in (kind.get("Partition") or "").split(",") if name]
        more = {"Localhost": f"wn{number}", "TTL": kind["TTL"] + number % 7 * 1000}
        made.append({**kind, **more, "Partitions": [*partitions, "prod"][: 1 + number % 3]})
    return made


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_beside_classads(compare, name: str) -> None:
    classad2 = pytest.importorskip(
        "classad2", reason="HTCondor publishes no wheel for this Python and machine"
    )
    repr(classad2.ExprTree("[a = 1]").eval())  # registers countMatches
    nodes = documents()
    ads = [classad2.ClassAd({"other": _without_null(node)}) for node in nodes]
    names = [Node.from_json(node).names for node in nodes]
    theirs, ours = classad2.ExprTree(EXPRESSIONS[name]), compile_text(EXPRESSIONS[name])

    def our_count() -> int:
        return sum(ours.evaluate(each, {}) is True for each in names)

    def their_count() -> int:
        return sum(theirs.eval(ad) is True for ad in ads)

    assert our_count() == their_count() > 0
    row = compare(f"{name}: {COUNT} SiteMaps / classad2", our_count, their_count, ROUNDS)
    assert row.ratio <= MOST_OF_CLASSADS


def test_the_cost_of_reasons(compare) -> None:
    nodes = [Node.from_json(node) for node in documents()]
    matcher = Matcher(Requirements.from_jdl(jdl.loads(JOB)))

    def with_reasons() -> int:
        return sum(matcher.match(node).ok for node in nodes)

    def yes_or_no() -> int:
        return sum(map(matcher.fits, nodes))

    assert with_reasons() == yes_or_no() > 0
    compare(f"{COUNT} SiteMaps, every reason / yes or no", with_reasons, yes_or_no, ROUNDS)


def test_a_jdl_beside_json(compare) -> None:
    text = _forty_lines()
    assert len(text.splitlines()) == 40
    same = json.dumps(dict(jdl.loads(text)))
    assert dict(jdl.loads(text)) == json.loads(same)
    row = compare(
        "a JDL of 40 lines / json.loads", lambda: jdl.loads(text), lambda: json.loads(same), 300
    )
    assert row.ratio < MOST_OF_JSON


def _forty_lines() -> str:
    lines = ["# a production of 40 lines"]
    lines += [f'Tag{n} = "/alice/cern.ch/user/a/aliprod/file{n}.root";' for n in range(20)]
    lines += [
        f'List{n} = {{"log.zip:stdout,stderr@disk=1", "x{n}.root@disk=2"}};' for n in range(8)
    ]
    lines += [f"Number{n} = {n * 1000};" for n in range(8)]
    lines += ["Requirements = other.TTL > 36000", '    && member(other.GridPartitions,"prod")']
    return "\n".join([*lines, "    && other.CVMFS_Revision >= 30000;"]) + "\n"


def _without_null(value: Any) -> Any:
    """ClassAds have no null; an attribute that is not there is undefined in both."""
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value
