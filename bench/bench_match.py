"""One job against 10,000 SiteMaps, beside HTCondor's ClassAds; parsing of a JDL beside JSON.

    ./dev bench bench/bench_match.py

The peer is `classad2` of the wheel `htcondor`, asked about the same expression and the same pairs
in the same process; both sides have their records ready, as a broker would. Not shown: whole grids at
once, and a broker's database.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from gpuctl import jdl
from gpuctl.match.evaluate import Matcher
from gpuctl.match.expression import compile_text
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements

pytestmark = pytest.mark.bench

DATA = Path(__file__).resolve().parent.parent / "tests/data"
COUNT = 10_000
ROUNDS = 5
REQUIREMENTS = """member("prod", other.Partitions) && other.TTL > 36000 && other.CE != "ALICE::X::Y"
    && other.CVMFS_revision >= 30000 && (other.Site == "CERN" || other.CPUCores >= 8)
    && countMatches(vendor == "amd" && memory_total_bytes >= 32000000000, other.GPUs) >= 2"""
WITH_PATTERN = REQUIREMENTS + ' && regexp("^el[89]-", other.Platform)'
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


def fastest(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, the median of some rounds, and the answer."""
    times, answer = [], None
    for _ in range(ROUNDS):
        started = time.perf_counter()
        answer = work()
        times.append(time.perf_counter() - started)
    return statistics.median(times), answer


@pytest.mark.parametrize("text", [REQUIREMENTS, WITH_PATTERN], ids=["plain", "pattern"])
def test_an_expression_beside_classads(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    classad2 = pytest.importorskip(
        "classad2", reason="HTCondor publishes no wheel for this Python and machine"
    )
    repr(classad2.ExprTree("[a = 1]").eval())  # registers countMatches
    nodes = documents()
    theirs = [classad2.ClassAd({"other": _without_null(node)}) for node in nodes]
    expression = classad2.ExprTree(text)
    ours = [Node.from_json(node).names for node in nodes]
    compiled = compile_text(text)
    # those that JAliEn's own map does not have count as 0 in theirs, as undefined in ours
    peer_time, peer = fastest(lambda: sum(expression.eval(ad) is True for ad in theirs))
    our_time, found = fastest(lambda: sum(compiled.evaluate(n, {}) is True for n in ours))
    assert found == peer > 0
    with capsys.disabled():
        print(
            f"\n{COUNT} SiteMaps, {len(text)} characters: {our_time / COUNT * 1e6:.1f} us each, "
            f"classad2 {peer_time / COUNT * 1e6:.1f} us, ratio {peer_time / our_time:.1f}, n={ROUNDS}, "
            f"{platform.machine()}, Python {platform.python_version()}"
        )
    assert peer_time >= our_time


def test_the_cost_of_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [Node.from_json(node) for node in documents()]
    matcher = Matcher(Requirements.from_jdl(jdl.loads(JOB)))
    fits_time, fits = fastest(lambda: sum(map(matcher.fits, nodes)))
    match_time, matches = fastest(lambda: sum(matcher.match(node).ok for node in nodes))
    read_time, _ = fastest(lambda: [Node.from_json(node) for node in documents()[:1000]])
    assert fits == matches > 0
    with capsys.disabled():
        print(
            f"\n{COUNT} SiteMaps, the whole job: yes or no {fits_time / COUNT * 1e6:.1f} us each, "
            f"with every reason {match_time / COUNT * 1e6:.1f} us ({match_time / fits_time:.1f} times); "
            f"reading a SiteMap {read_time / 1000 * 1e6:.0f} us"
        )


def test_a_jdl_beside_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = _forty_lines()
    assert len(text.splitlines()) == 40
    same = json.dumps(dict(jdl.loads(text)))
    jdl_time, doc = fastest(lambda: [jdl.loads(text) for _ in range(200)][-1])
    json_time, plain = fastest(lambda: [json.loads(same) for _ in range(200)][-1])
    assert dict(doc) == plain
    with capsys.disabled():
        print(
            f"\na JDL of 40 lines, {len(text)} characters: {jdl_time / 200 * 1e6:.0f} us, "
            f"json.loads {json_time / 200 * 1e6:.0f} us, ratio {jdl_time / json_time:.1f}"
        )
    assert jdl_time < 30 * json_time


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
