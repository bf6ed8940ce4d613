"""Our expressions against HTCondor's own ClassAds (`classad2` of the wheel `htcondor`).

3,000 generated expressions must have the same value; what is allowed to differ is in DIFFERENCES,
with the reason, and each of them is shown to differ as it says.
"""

from __future__ import annotations

import math
import platform
import sys
from typing import Any, Callable, NamedTuple

import pytest
from gpuctl.match.expression import ERROR, UNDEFINED, ExpressionError, compile_text
from gpuctl.match.expression.nodes import text_of
from gpuctl.match.expression.values import visible
from matching.classad_corpus import JOB, NODE, expressions

COUNT = 3000
# wheels of htcondor on PyPI: CPython 3.9 to 3.14 for glibc from 2.28, x86_64 only
HAS_WHEEL = platform.machine() == "x86_64" and (3, 9) <= sys.version_info[:2] <= (3, 14)

if HAS_WHEEL:
    import classad2
else:
    pytest.skip(
        f"HTCondor publishes no wheel with classad2 for Python {platform.python_version()} on "
        f"{platform.machine()}",
        allow_module_level=True,
    )


class Difference(NamedTuple):
    text: str
    ours: Any
    theirs: Any
    why: str


REFUSED = "refused"
DIFFERENCES = [
    Difference('member(other.Partitions, "prod")', True, ERROR, "JDLs write the list first"),
    Difference(
        '!other.CE == "x"', True, ERROR, 'JAliEn reads `!(other.CE == "x")`; else always an error'
    ),
    Difference(
        "countMatches(true, other.Missing)",
        UNDEFINED,
        0,
        "nobody told of GPUs is not: there is none",
    ),
    Difference("9223372036854775808", 2.0**63, 0, "a number too long becomes real, not 0"),
    Difference("int(1e20)", ERROR, -(2**63), "a number that does not fit makes no sense"),
    Difference("floor(1e300)", ERROR, -(2**63), "the same"),
    Difference(
        "9223372036854775807 == 9223372036854775808.0",
        False,
        True,
        "compared exactly, not as reals",
    ),
    Difference("string(other.Record)", ERROR, '[ count = 2; state = "ok" ]', "a record is no text"),
    Difference(
        "-1.0 / 0.0", ERROR, -math.inf, "what is no number makes no sense, whatever its sign"
    ),
    Difference("size(string(0.0 / 0))", ERROR, 11, "the same"),
    Difference('int("0x10")', 0, 16, "numbers in texts are decimal"),
    Difference('stringListMember("a", undefined)', UNDEFINED, False, "unknown is not: it lacks"),
    Difference('regexp("(a)\\\\1", "aa")', ERROR, True, "back references have no bounded time"),
    Difference("member(error, undefined)", ERROR, UNDEFINED, "an error is never only unknown"),
    Difference("1 & 3", REFUSED, 1, "bit operators are not in JDLs"),
    Difference("[a = 1].a", REFUSED, 1, "records come from the node, not from the JDL"),
    Difference("noSuch(1)", REFUSED, ERROR, "a function that is none is a mistake to be told"),
    Difference("size()", REFUSED, ERROR, "so is a wrong number of arguments"),
    Difference("'quoted name'", REFUSED, UNDEFINED, "names of SiteMaps need no quotes"),
]


@pytest.fixture(scope="module")
def theirs() -> Callable[[str], Any]:
    """The value of a text in HTCondor, as ours."""
    # writing an ad registers the functions that HTCondor adds to the language (countMatches, ...)
    repr(classad2.ExprTree("[a = 1]").eval())
    scope = classad2.ClassAd({**JOB, "other": NODE})

    def evaluate(text: str) -> Any:
        return plain(classad2.ExprTree(text).eval(scope))

    return evaluate


def plain(value: Any) -> Any:
    if isinstance(value, classad2.Value):
        return UNDEFINED if value == classad2.Value.Undefined else ERROR
    if isinstance(value, classad2.ClassAd):
        return {key.lower(): plain(value[key]) for key in value}
    return [plain(each) for each in value] if isinstance(value, list) else value


def ours(text: str) -> Any:
    try:
        return compile_text(text).evaluate(visible(NODE), visible(JOB))
    except ExpressionError:
        return REFUSED


def same(one: Any, two: Any) -> bool:
    """Kind and value; reals to the last few digits, which differ with the order of rounding."""
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    if type(one) is not type(two):
        return False
    if isinstance(one, float):
        return math.isclose(one, two, rel_tol=1e-12) or one == two
    return one is two or bool(one == two)


def test_generated_expressions_have_the_same_value(theirs: Callable[[str], Any]) -> None:
    wrong = []
    kinds: dict[str, int] = {}
    for text in expressions(COUNT):
        expected, found = theirs(text), ours(text)
        kind = "special" if expected in (UNDEFINED, ERROR) else type(expected).__name__
        kinds[kind] = kinds.get(kind, 0) + 1
        if not same(found, expected):
            wrong.append(f"{text}\n    ours {found!r}, theirs {expected!r}")
    assert not wrong, f"{len(wrong)} of {COUNT} differ:\n" + "\n".join(wrong[:20])
    assert sum(kinds.values()) == COUNT
    # the corpus is about values, not about errors alone
    assert kinds["bool"] > COUNT / 4, kinds
    assert min(kinds[name] for name in ("int", "str", "float", "list")) > 20, kinds


def test_what_is_written_again_means_the_same() -> None:
    for text in expressions(400, seed=7):
        compiled = compile_text(text)
        again = compile_text(text_of(compiled.node))
        before = compiled.evaluate(visible(NODE), visible(JOB))
        assert same(again.evaluate(visible(NODE), visible(JOB)), before), text


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.text)
def test_known_differences(difference: Difference, theirs: Callable[[str], Any]) -> None:
    assert not same(difference.ours, difference.theirs), "no difference"
    assert same(ours(difference.text), difference.ours), difference.why
    assert same(theirs(difference.text), difference.theirs), "HTCondor has changed its mind"
