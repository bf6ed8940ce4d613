"""SiteMaps that others wrote: wrong types, NaN, missing keys. Unknown is never a yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gpuctl import jdl
from gpuctl.errors import EXIT_USAGE, MalformedError
from gpuctl.match.evaluate import Matcher
from gpuctl.match.files import nodes_of_text
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = Path(__file__).resolve().parents[2] / "data/sitemaps"
EPN: dict[str, Any] = json.loads((DATA / "epn-mi50.json").read_text("utf-8"))
JOB = """Executable = "x"; TTL = 3600; CPUCores = 8; User = "alidaq";
    GPU = "MI50 32GB"; GPUCount = 2; Platform = "el9-x86_64"; Packages = {"VO_ALICE@O2::v1"};
    OS_NAME = "almalinux";
    Requirements = member(other.GridPartitions,"gpu") && other.CE == "ALICE::EPN::EPN"
        && member(other.CloseSE,"ALICE::CERN::EOS") && other.CVMFS_Revision >= 30000
        && other.GPUAvailable >= 2 && countMatches(vendor == "amd", other.GPUs) >= 2;"""


def matcher(text: str = JOB) -> Matcher:
    return Matcher(Requirements.from_jdl(jdl.loads(text)), ["OS_NAME"])


def unmet(document: Any, text: str = JOB) -> dict[str, str]:
    match = matcher(text).match(Node.from_json(document))
    assert match.ok == (not match.unmet) == matcher(text).fits(match.node)
    return {each.name: each.state for each in match.unmet}


def test_the_node_fits_as_it_is() -> None:
    assert unmet(EPN) == {}
    assert Node.from_json(EPN).problems == ()


NEEDED = {
    "TTL": "ttl",
    "Disk": "disk",
    "CPUCores": "cpu_cores",
    "CE": "ce",
    "closeSE": "close_se",
    "Platform": "platform",
    "CVMFS": "packages",
    "CVMFS_revision": "cvmfs_revision",
    "GPUs": "gpu",
    "GPUAvailable": "requirements",
}


@pytest.mark.parametrize(("key", "name"), NEEDED.items())
@pytest.mark.parametrize(
    "value", ["missing", None, float("nan"), float("inf"), -1, {}, [1], "x\0", 1e300, [[]], True]
)
def test_what_is_not_known_is_never_a_yes(key: str, name: str, value: Any) -> None:
    node = {k: v for k, v in EPN.items() if k != key}
    if value != "missing":
        node[key] = value
    if key == "CVMFS" and value is True:
        assert unmet(node) == {}  # an honest yes
        return
    if key == "GPUAvailable" and value in (True, 1e300):
        return  # a number that can be compared: what a node says counts
    found = unmet(node)
    assert name in found, (value, found)


def test_a_key_of_the_wrong_type_is_a_problem_that_names_it() -> None:
    node = Node.from_json({**EPN, "TTL": "80000", "Users": "a,b", "Disk": 1.5, "CE": 7})
    assert node.ttl_seconds is None
    assert node.users == ("a", "b")
    assert [problem.split()[0] for problem in node.problems] == ["`Disk`", "`TTL`", "`CE`"]
    assert node.names["ttl"] is not None
    assert unmet(
        {**EPN, "TTL": "80000"}, 'Executable="x"; CPUCores=8; Requirements = other.TTL > 5;'
    ) == {
        "ttl": "unknown",
        "requirements": "unknown",
    }


@pytest.mark.parametrize("value", [float("nan"), [None], [[1]], {"a": 1}, None])
def test_a_constraint_that_is_no_plain_value_is_none(value: Any) -> None:
    node = Node.from_json({**EPN, "OS_NAME": value, "constraints": {"OS_NAME": value}})
    assert "os_name" not in node.constraints
    (only,) = [each for each in matcher().match(node).unmet if each.name == "os_name"]
    assert (only.state, only.found) == ("unknown", None)
    json.dumps(only._asdict(), allow_nan=False)


def test_a_rank_without_end_is_none() -> None:
    job = 'Executable = "x"; Rank = 1e400;'
    assert matcher(job).match(Node.from_json(EPN)).rank == 0.0


def test_the_same_key_twice_is_unknown() -> None:
    node = Node.from_json({**EPN, "ttl": 99999999})
    assert node.ttl_seconds is None
    assert "there twice" in node.problems[0]


@pytest.mark.parametrize("document", [None, 5, "x", [], [1], float("nan"), True])
def test_what_is_no_object_has_nothing(document: Any) -> None:
    node = Node.from_json(document)
    assert node.problems
    assert not matcher('Executable = "x";').fits(node)


def broken(**changes: Any) -> dict[str, Any]:
    return {**EPN, "GPUs": [{**gpu, **changes} for gpu in EPN["GPUs"]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"usable": "yes"},
        {"usable": 1},
        {"usable": None},
        {"allotted": "true"},
        {"allotted": None},
        {"available": "no"},
        {"available": 0},
        {"kind": "vf"},
        {"kind": 5},
        {"memory_total_bytes": "34342961152"},
        {"memory_total_bytes": float("nan")},
        {"memory_total_bytes": True},
        {"memory_total_bytes": -34342961152},
        {"names": "MI50 32GB", "model": None},
        {"names": [5], "model": 5},
        {"health": "ok", "usable": False},
        {"health": {"state": "ok", "reasons": "x"}, "usable": None},
    ],
)
def test_gpu_records_of_wrong_types_are_not_given(changes: dict[str, Any]) -> None:
    assert "gpu" in unmet(broken(**changes))


def test_gpus_that_are_no_records_are_left_out() -> None:
    node = Node.from_json({**EPN, "GPUs": [None, 5, "x", [], *EPN["GPUs"][:1]]})
    assert node.gpus is not None
    assert len(node.gpus) == 1
    assert len(node.problems) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[" * 100000, "nested deeper"),
        ('{"a":' * 100000, "nested deeper"),
        ("[]", "is no SiteMap"),
        ("5", "is no SiteMap"),
        ("[{}, 5]", "is no SiteMap"),
        ("null", "is no SiteMap"),
        pytest.param('{"TTL": ' + "9" * 5_000_000 + "}", "5000000 digits", id="a long number"),
    ],
)
def test_files_that_are_no_sitemaps(text: str, words: str) -> None:
    with pytest.raises(MalformedError) as caught:
        nodes_of_text(text, "node.json")
    assert words in str(caught.value) or "is no JSON" in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE


def test_nan_and_deep_values_in_a_file() -> None:
    deep = '{"x":' * 200 + "1" + "}" * 200
    (node,) = nodes_of_text(f'{{"TTL": NaN, "Disk": Infinity, "Deep": {deep}}}', "n.json")
    assert (node.ttl_seconds, node.disk_bytes) == (None, None)
    assert not matcher('Executable = "x"; Requirements = other.Deep.x.x == 1;').fits(node)
    assert [each.name for each in nodes_of_text('[{"TTL": 1}, {"Localhost": "b"}]', "l.json")] == [
        "l[0]",
        "b",
    ]


_scalar = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    st.sampled_from(["prod,gpu", ">=8", "ALICE::EPN::EPN", "el9-x86_64", "yes"]),
)
_json = st.recursive(
    _scalar,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*EPN, *EPN["GPUs"][0], "x"]), inner, max_size=3),
    ),
    max_leaves=8,
)
LIKE_A_NODE = st.dictionaries(st.sampled_from(sorted(EPN)), _json, max_size=6)


@settings(max_examples=150, deadline=None)
@given(LIKE_A_NODE)
def test_any_mutation_is_judged_without_a_traceback(changes: dict[str, Any]) -> None:
    match = matcher().match(Node.from_json({**EPN, **changes}))
    for each in match.unmet:
        json.dumps(each._asdict(), allow_nan=False)
    if match.ok:  # then nothing that counts was changed to something that is no such thing
        assert set(changes) & {"TTL", "Disk", "CPUCores", "CE"} <= {
            key for key in changes if type(changes[key]) is type(EPN[key]) or key == "CPUCores"
        } | {key for key in changes if isinstance(changes[key], float)}
