"""Patterns against Python's own engine, where that one is safe, and what they refuse."""

from __future__ import annotations

import re

import pytest
from gpuctl.match.expression.budget import Budget
from gpuctl.match.expression.pattern import Pattern, PatternError
from hypothesis import given, settings
from hypothesis import strategies as st

ATOMS: tuple[str, ...] = (
    "a",
    "b",
    "A",
    "1",
    "_",
    "-",
    ".",
    r"\.",
    r"\d",
    r"\W",
    r"\s",
    "[ab]",
    "[^a1]",
    "[a-c_]",
)
ATOMS += (r"[\d-]", "[]a]", r"\bb", "^", "$", r"a\B", r"\n", r"\x41")
REPEATS = ("", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?")


def _repeated(atom: str) -> st.SearchStrategy[str]:
    simple = not atom.startswith(("^", "$", "\\b")) and not atom.endswith("\\B")
    return st.sampled_from(REPEATS).map(lambda repeat: atom + repeat if simple else atom)


_piece = st.sampled_from(ATOMS).flatmap(_repeated)
_sequence = st.lists(_piece, min_size=1, max_size=4).map("".join)
_group = st.lists(_sequence, min_size=1, max_size=3).map(lambda each: f"({'|'.join(each)})")
_pattern = st.lists(st.one_of(_sequence, _group, _group.map(lambda g: g + "?")), max_size=4)


@settings(max_examples=250, deadline=None)
@given(_pattern.map("".join), st.text("abAB1_-. \n", max_size=12), st.booleans())
def test_the_answer_is_pythons(pattern: str, text: str, ignoring_case: bool) -> None:
    flags = re.ASCII | (re.IGNORECASE if ignoring_case else 0)
    expected = re.search(pattern, text, flags) is not None
    assert Pattern(pattern, ignoring_case).search(text, Budget()) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("", "", True),
        ("", "x", True),
        ("el[89]", "el9-x86_64", True),
        ("^el9$", "el9-x86_64", False),
        ("MI50", "Radeon Instinct MI50 32GB", True),
        ("mi50", "Radeon Instinct MI50 32GB", False),
        ("(?i)mi50", "Radeon Instinct MI50 32GB", True),
        ("^(?:A100|H100).*80GB$", "H100 SXM5 80GB", True),
        ("(?P<model>A10)0", "A100", True),
        ("[[:digit:]]{3}", "abc123", True),
        (r"\A\w+\z", "abc", True),
        (r"\A\w+\z", "abc\n", False),
        (r"\A\w+\Z", "abc\n", True),
        ("a$", "a\nb", False),
        ("x{", "x{", True),
        ("x{,2}", "x{,2}", True),
        ("[^a]", "a", False),
        ("[a-]", "-", True),
        (r"[\D]", "1", False),
        (r"[\D]", "x", True),
        ("é", "café", True),
    ],
)
def test_found(pattern: str, text: str, found: bool) -> None:
    assert Pattern(pattern).search(text, Budget()) is found


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "a)", "(a", "[a", "[", "[z-a]", "*", "a**", "a*+", "a++", "+a", "a|*"),
        *(r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?>a)", "(?R)", "\\", r"\x4", r"\q", r"\p{L}"),
        *("a{3,2}", "a{1001}", "(a{1000}){1000}", "(" * 60 + ")" * 60, "[[:foo:]]"),
    ],
)
def test_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern)
