"""Expressions: what texts are, what values come out, and that nothing takes long."""

from __future__ import annotations

import time
from typing import Any

import pytest
from gpuctl.errors import EXIT_USAGE
from gpuctl.match.expression import ERROR, UNDEFINED, ExpressionError, compile_text
from gpuctl.match.expression.nodes import conjuncts
from gpuctl.match.expression.values import visible

NODE = {
    "TTL": 80000,
    "CE": "ALICE::CERN::EL9",
    "GridPartitions": ["prod", "Train"],
    "Nan": float("nan"),
    "Null": None,
    "Huge": 10**30,
    "GPUs": [
        {"vendor": "amd", "memory_total_bytes": 34342961152, "health": {"state": "ok"}},
        {"vendor": "amd", "memory_total_bytes": None, "health": {"state": "lost"}},
    ],
}
JOB = {"CPUCores": 8, "User": "alidaq", "Vendor": "nobody"}
SECONDS = 20  # far above what any of them takes, far below what a bad one would


def value(text: str, node: Any = NODE, job: Any = JOB) -> Any:
    return compile_text(text).evaluate(visible(node), visible(job))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("other.TTL > 36000", True),
        ('OTHER.ttl > 36000 && target.CE == "alice::cern::el9"', True),
        ("other.Missing > 1", UNDEFINED),
        ("other.Missing == 1 || true", True),
        ("other.Missing == 1 && false", False),
        ("!other.Missing", UNDEFINED),
        ("other.Missing =?= undefined", True),
        ("other.Nan > 0", UNDEFINED),
        ("other.Nan != 0", UNDEFINED),
        ("other.Null == 0", UNDEFINED),
        ("other.Huge > 0", UNDEFINED),
        ('other.TTL == "80000"', ERROR),
        ('member(other.GridPartitions, "PROD")', True),
        ('member("train", other.GridPartitions)', True),
        ('!member(other.GridPartitions, "x")', True),
        ('member(other.Missing, "x")', UNDEFINED),
        ('! other.CE == "ALICE::X::Y"', True),
        ('!other.CE == "ALICE::CERN::EL9"', False),
        ('! other.CE != "ALICE::X::Y"', False),
        ('!other.Missing == "x"', UNDEFINED),
        ("CPUCores == 8 && self.CPUCores == 8 && my.cpucores == 8", True),
        ('countMatches(vendor == "amd", other.GPUs) == 2', True),
        ("countMatches(memory_total_bytes > 16 * 1024 * 1024 * 1024, other.GPUs)", 1),
        ('countMatches(health.state == "ok", other.GPUs)', 1),
        ("countMatches(CPUCores == 8, other.GPUs)", 2),  # not of the record, so the job's
        ('self.Vendor == "nobody" && countMatches(self.Vendor == "nobody", other.GPUs) == 2', True),
        ("countMatches(vendor, other.Missing) >= 1", UNDEFINED),
        ("other.GPUs.vendor", ["amd", "amd"]),
        ("other.GPUs[0].health.state", "ok"),
        ("1 + 2 * 3 - 4 / 2 % 3", 5),
        ("2 < 1 == false", True),
        ("1 ? 2 ? 3 : 4 : 5", 3),
        ("other.Missing ?: 7", 7),
        ('"a\\"b\\\\c\\n"', 'a"b\\c\n'),
        ("1 /* a comment */ + 1", 2),
        ("(((((1)))))", 1),
        ("istrue", UNDEFINED),
        ("other.isolated is undefined", True),
        ("TRUE && True", True),
    ],
)
def test_values(text: str, expected: Any) -> None:
    found = value(text)
    assert type(found) is type(expected)
    assert found is expected or found == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found the end"),
        ("other.TTL >", "column 12: found the end"),
        ("other.TTL > > 1", "column 13"),
        ("(1", "expected `)`"),
        ("1 2", "column 3: found `2`"),
        ("a = 1", "column 3: found `= 1`"),
        ('"open', "column 1"),
        ("010", "column 1"),
        ("1K", "column 1"),
        ("foo(1)", "there is no function `foo`"),
        ("member(1)", "`member` takes 2 arguments, and 1 are given"),
        ("regexp(1)", "2 to 3 arguments"),
        ("other", "`other` stands alone"),
        ("other > 1", "`other` stands alone"),
        ("size(self)", "`self` stands alone"),
        ("1 $ 2", "column 3"),
        ("ä > 1", "column 1"),
        ("{1, 2", "found the end"),
        ("a ? b", "found the end"),
        ("&& a", "column 1"),
        ("a\0b", "column 2"),
    ],
)
def test_what_is_no_expression_is_told_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_text(text)
    assert words in str(caught.value)
    assert caught.value.exit_code == EXIT_USAGE


def test_conditions_are_the_parts_of_and() -> None:
    compiled = compile_text('(a && (b && !(c || d))) && member(other.X, "y") && other.Z > 1')
    texts = [compile_text(_text(node)).text for node in conjuncts(compiled.node)]
    assert texts == ["a", "b", "!(c || d)", 'member(other.X, "y")', "other.Z > 1"]
    assert compiled.looks_at == ("X", "Z")


def _text(node: Any) -> str:
    from gpuctl.match.expression.nodes import text_of

    return text_of(node)


HOSTILE = {
    "negations": "!" * 60000 + "true",
    "ternaries": "true ? " * 5000 + "1" + " : 2" * 5000,
    "lists": "{" * 30000 + "}" * 30000,
    "calls": "size(" * 10000 + '"a"' + ")" * 10000,
    "sums": "1" + "+1" * 30000,
    "subscripts": "a" + "[0]" * 20000,
    "selections": "a" + ".b" * 30000,
    "a text of ten million": '"' + "x" * 10_000_000 + '"',
    "a number of ten million": "1" * 10_000_000,
    "blanks": " " * 10_000_000 + "1",
    "unclosed comment": "/*" * 30000,
    "backslashes": '"' + "\\" * 60001,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused_soon(name: str) -> None:
    started = time.monotonic()
    with pytest.raises(ExpressionError):
        compile_text(HOSTILE[name])
    assert time.monotonic() - started < SECONDS


COSTLY = {
    "wide": (" && ".join(["other.TTL > 1"] * 3000), True),
    "parentheses": ("(" * 30000 + "1" + ")" * 30000, 1),
    "catastrophic": ('regexp("(a|a)*(a|a)*(a|aa)+b$", other.Text)', False),
    "nested repeats": ('regexp("((a*)*)*b", other.Text)', False),
    "counted repeats": ('regexp("(a{0,30}){0,30}b", other.Text)', False),
    "too large": ('regexp("(((a{1000}){1000}){1000}){1000}", other.Text)', ERROR),
    "many": (" && ".join(['!regexp("(x+x+)+y", other.Text)'] * 1000), None),
    "nested counting": ("countMatches(" * 30 + "true" + ", other.Many) >= 0" * 30, None),
    "long concatenation": ("size(strcat(" + ",".join(["other.Text"] * 64) + "))", ERROR),
    "member of many": (" || ".join(['member("b", other.Many)'] * 2000), None),
}


@pytest.mark.parametrize("name", COSTLY)
def test_costly_expressions_end_soon(name: str) -> None:
    text, expected = COSTLY[name]
    node = {"TTL": 5, "Text": "a" * 20000, "Many": [{"a": 1}] * 1000}
    started = time.process_time()  # what others compute meanwhile is not its own
    found = value(text, node)
    assert time.process_time() - started < SECONDS
    assert expected is None or found is expected or found == expected
    if expected is None:  # it costs more than it may
        assert found is ERROR or found is False


def test_values_of_a_job_without_end_are_not_looked_at() -> None:
    job = {"Blob": "x" * 10_000_000, "List": ["y" * 10_000_000]}
    assert value("Blob", NODE, job) is UNDEFINED
    assert value('member(List, "y")', NODE, job) is False


def test_evaluating_again_gives_the_same() -> None:
    compiled = compile_text('regexp("a+$", other.Text)')
    node = visible({"Text": "b" * 50000 + "a"})
    assert [compiled.evaluate(node, {}) for _ in range(50)] == [True] * 50
