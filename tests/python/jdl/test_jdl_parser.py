"""The parser: every rule of JAliEn's, accidents with their warnings, errors with their place."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from gpuctl import jdl
from gpuctl.jdl import Expression

# (text, values): the table of what JAliEn's parser gives, row by row
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("Key = value;", {"Key": Expression("value")}),
    ("Key_2x = 1;", {"Key_2x": 1}),
    ("Schlüssel = 1;", {"Schlüssel": 1}),
    ("A=1;A=2;", {"A": 2}),
    ('A = "x;y"; B = "a=b"; C = "l1\nl2";', {"A": "x;y", "B": "a=b", "C": "l1\nl2"}),
    (r'A = "q\"r";', {"A": r"q\"r"}),
    (r'A = "ends\\"; B = 1;', {"A": r"ends\\", "B": 1}),
    ('A = "";', {"A": ""}),
    ('A = {"a","b","a"};', {"A": ["a", "b"]}),
    ("A = {};", {"A": []}),
    ("A = { \n };", {"A": []}),
    ('A = {"a b","c,d"};', {"A": ["a b", "c,d"]}),
    ('A = {"x;y","{","}"};', {"A": ["x;y", "{", "}"]}),
    ('A = {"a",};', {"A": ["a"]}),
    (r'A = {"say \"hi\"","it\'s"};', {"A": [r"say \"hi\"", r"it\'s"]}),
    ("A = {1,2}; B = {x,y};", {"A": ["1,2"], "B": ["x,y"]}),
    ("A = 1; B = 007; C = 1.5e3; D = -5;", {"A": 1, "B": 7, "C": 1500.0, "D": -5.0}),
    ("A = 9223372036854775807;", {"A": 2**63 - 1}),
    ("A = 0000000000000000000000012;", {"A": 12}),
    ("A = 9223372036854775808;", {"A": float(2**63)}),
    ("A = word; B = true; C = 50GB;", {"A": "word", "B": "true", "C": "50GB"}),
    ("A = 1,5; B = a && b; C = ;", {"A": "1,5", "B": "a && b", "C": ""}),
    ("# comment\nA = 1;", {"A": 1}),
    ("  \t# indented = 1;\nA = 1;", {"A": 1}),
    ("A = 1; # behind\nB = 2;", {"A": 1, "B": 2}),
    ("A = 1; # behind, with = and ; \n   B = 2; # end", {"A": 1, "B": 2}),
    ('A = {\n"a", # one\n# "no",\n"b"\n};', {"A": ["a", "b"]}),
    ("A = a &&\n# why\nb;", {"A": "a &&\nb"}),
    ("A = 1", {"A": 1}),
    ('A = "x"', {"A": "x"}),
    ('A = 1;\r\nB = {\r\n "x"\r\n};\r\n', {"A": 1, "B": ["x"]}),
    ("A = 1 B = 2;", {"A": "1 B = 2"}),
    ("no assignment at all", {}),
    ("   \n ", {}),
    ("A = 1; trailing words", {"A": 1}),
    ("\ufeffA = 1;", {"A": 1}),
    ("A == 1;", {"A": "= 1"}),
    (r"A = a\;b;", {"A": r"a\;b"}),
    ("A\n=\n1\n;", {"A": 1}),
    ("A = 1.5.2; B = -; C = 1e400;", {"A": "1.5.2", "B": "-", "C": "1e400"}),
]


@pytest.mark.parametrize(("text", "values"), ACCEPTED, ids=[repr(row[0])[:40] for row in ACCEPTED])
def test_accepted(text: str, values: dict[str, Any]) -> None:
    doc = jdl.loads(text)
    assert dict(doc) == values
    assert list(doc) == list(values)
    for key, value in values.items():
        numeric = isinstance(value, (int, float))
        assert type(doc[key]) is type(value) if numeric else isinstance(doc[key], (str, list))
    assert jdl.loads(jdl.dumps(doc)) == doc


@pytest.mark.parametrize("text", ["true", "a && b", "50GB", "", "1,5", "other.TTL > 5"])
def test_unquoted_text_is_an_expression_and_quoted_text_is_not(text: str) -> None:
    doc = jdl.loads(f'A = {text}; B = "{text}";')
    assert type(doc["A"]) is Expression
    assert type(doc["B"]) is str
    assert doc["A"] == doc["B"]


# (text, line, column, a part of the warning)
ACCIDENTS = [
    ("A = 1 B = 2;", 1, 7, "tag `B`, is a `;` missing"),
    ('A = "x"\nB = "y";', 2, 1, "is a `;` missing"),
    ("A = {1,2};", 1, 6, "not quoted"),
    ('A = {"a", b, "c"};', 1, 11, "`b` in the list `A` stands outside quotes"),
    ('A = {"a"\nB = {"b"};', 2, 1, "`B = {` in the list `A`"),
    ('A = {\n "a",\n "a"};', 1, 5, "twice"),
    ("A = 1;\nA = 2;", 2, 1, "assigned twice"),
    ("A = 1;\na = 2;", 2, 1, "assigned twice"),
    ("A = 5 # five\n;", 1, 7, "does not start a comment"),
    ('# one\nA = "x\n  # dropped\ny";', 3, 1, "dropped"),
    ("A = 1;\n  what is this", 2, 3, "ignored"),
    ('A = {"it\'","b"};', 1, 6, "JAliEn cuts the list"),
]


@pytest.mark.parametrize(("text", "line", "column", "words"), ACCIDENTS)
def test_accident_warns_with_its_place(text: str, line: int, column: int, words: str) -> None:
    (warning,) = jdl.loads(text).warnings
    assert (warning.line, warning.column) == (line, column)
    assert words in warning.text
    assert str(warning) == f"{line}:{column}: {warning.text}"


@pytest.mark.parametrize(
    "text",
    [
        'Requirements = (a == b) && c != d && e <= 5 && f >= 6 && g =?= h && "x = y";',
        'Arguments = "--n = 5 # 6";',
        'P = {\n  "a", # with = and !\n  "b"\n};',
    ],
)
def test_usual_text_does_not_warn(text: str) -> None:
    assert jdl.loads(text).warnings == []


def test_number_of_warnings_is_bounded() -> None:
    warnings = jdl.loads("A=1;" * 5000).warnings
    assert len(warnings) == 101
    assert "more warnings" in warnings[-1].text


# (text, line, column, found, expected)
MALFORMED = [
    ("", 1, 1, "an empty text", "`Key = value;`"),
    ("\ufeff", 1, 1, "an empty text", "`Key = value;`"),
    ("= 1;", 1, 1, "`=`", "a tag"),
    ("A = 1;\n = 2;", 2, 2, "`=`", "a tag"),
    ("// comment\nA = 1;", 1, 1, "`/`", "a tag"),
    ("[A=1;]", 1, 1, "`[`", "a tag"),
    ("[\n  A = 1;\n]", 1, 1, "`[`", "a tag"),
    ("a-b=1;", 1, 2, "`-` in the tag `a`", "letters, digits, `_` or `=`"),
    ("A.B = 1;", 1, 2, "`.` in the tag `A`", "letters"),
    ("A B = 1;", 1, 3, "`B` after the tag `A`", "`=`"),
    ("A\nB = 1;", 2, 1, "`B` after the tag `A`", "`=`"),
    ("A : 1; B = 2;", 1, 3, "`:` after the tag `A`", "`=`"),
    ("A; B = 2;", 1, 2, "`;` in the tag `A`", "letters"),
    ("A = 1;; B = 2;", 1, 7, "`;`", "a tag"),
    ("A = 1;\n\n# note\n  b$ = 2;", 4, 4, "`$` in the tag `b`", "letters"),
    ('"A" = 1;', 1, 1, '`"`', "a tag"),
    ("A = 1;\r\n\r\n  *B = 2;\r\n", 3, 3, "`*`", "a tag"),
    ("\ufeff-A = 1;", 1, 1, "`-`", "a tag"),
    ("A = 1; ² = 2;", 1, 8, "`²`", "a tag"),
    ('A = "x', 1, 7, "the end of the text", "of `A` opened at line 1, column 5"),
    ('A = "x;\nB = 1;\n', 3, 1, "the end of the text", "of `A` opened at line 1, column 5"),
    ('# c\nA = 1; B = {"x", "y;\n', 3, 1, "the end of the text", "opened at line 2, column 18"),
    (r'A = "x\";', 1, 10, "the end of the text", '`"` to close the string of `A`'),
    ('A = "x" y;', 1, 9, "`y`", "`;` after the string of `A`"),
    ('A = "x"\n  + 1;', 2, 3, "`+`", "`;` after the string of `A`"),
    ('A = {"x", "y"; B = 1;', 1, 14, "`;`", "list of `A` opened at line 1, column 5"),
    ('Packages = {\n  "a",\n  "b"\n', 4, 1, "the end of the text", "opened at line 1, column 12"),
    ('A = {\n "a", # one; two\n "b"};', 2, 12, "`;`", "`}` to close the list of `A`"),
    ('A = {"a" ;', 1, 10, "`;`", "`}` to close the list of `A`"),
    ("A = {", 1, 6, "the end of the text", "`}` to close the list of `A`"),
    ("A = {x;y};", 1, 7, "`;`", "`}` to close the list of `A`"),
    ('A = {"x"} y;', 1, 12, "`;`", "`}` to close the list of `A`"),
    ("A = x\\", 1, 7, "the end of the text", "a character after the `\\`"),
    ("A = 1;\nB = \0;", 2, 5, "a NUL character", "text"),
    ("A" * 50 + " B = 1;", 1, 52, "`B` after the tag", "`=`"),
]


@pytest.mark.parametrize(
    ("text", "line", "column", "found", "expected"),
    MALFORMED,
    ids=[repr(m[0])[:30] for m in MALFORMED],
)
def test_malformed(text: str, line: int, column: int, found: str, expected: str) -> None:
    with pytest.raises(jdl.JdlSyntaxError) as caught:
        jdl.loads(text, "job.jdl")
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert error.found.startswith(found)
    assert expected in error.expected
    head, shown, caret = str(error).split("\n")
    assert head == f"job.jdl:{line}:{column}: found {error.found}, expected {error.expected}"
    assert caret.rstrip() == caret == " " * (column + 1) + "^"
    assert shown == "  " + error.source_line.replace("\0", "?")
    assert (error.code, error.exit_code, error.path) == ("malformed", 2, "job.jdl")
    assert isinstance(error, ValueError)


def test_there_are_enough_malformed_texts() -> None:
    assert len(MALFORMED) >= 25


def test_caret_stands_below_the_character_after_tabs_and_in_a_long_line() -> None:
    with pytest.raises(jdl.JdlSyntaxError) as caught:
        jdl.loads('\tA\t= "x"\ty;')
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^")] == "y"
    assert caret.count("\t") == 3
    with pytest.raises(jdl.JdlSyntaxError) as caught:
        jdl.loads('A = "' + "x" * 100_000 + '" y ' + "z" * 100_000 + ";")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^")] == "y"
    assert len(str(caught.value)) < 400


def test_error_survives_pickling() -> None:
    with pytest.raises(jdl.JdlSyntaxError) as caught:
        jdl.loads("A B = 1;", "p.jdl")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.line, again.column) == (str(caught.value), 1, 3)


def test_position_of_a_value_counts_dropped_comment_lines() -> None:
    doc = jdl.loads('# a\n# b\nA = 1;\n\n  # c\nB =\n  # d\n  "x"; C = 2;')
    assert doc.position("A") == (3, 5)
    assert doc.position("b") == (8, 3)
    assert doc.position("C") == (8, 12)
    assert doc.position("none") is None
