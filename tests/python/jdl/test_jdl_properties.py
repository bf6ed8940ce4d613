"""For any text: what parses prints and parses to the same; what does not is a JdlSyntaxError.

And the cost: time grows with the size, whatever the text is made of.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from gpuctl import jdl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SAMPLES = sorted((Path(__file__).resolve().parents[2] / "data" / "jdl").glob("*.jdl"))
RUNS = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# the characters that mean something, and a few that mean nothing
MEANINGFUL = "Ab1_ \t\n\r\f\x1c=;\"\\{},#'.-+Ee5"
texts = st.text(alphabet=MEANINGFUL, max_size=60)
any_texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=40)

keys = st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True)
plain = st.text(alphabet="ab =;{},.äµ€", max_size=12)
values = st.one_of(
    plain,
    st.lists(plain, max_size=4),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.sampled_from(["other.TTL > 5", "50GB", 'member(other.L, "x;y") &&\n !b', ""]).map(
        jdl.Expression
    ),
)


def check_round_trip(text: str) -> None:
    try:
        doc = jdl.loads(text)
    except jdl.JdlSyntaxError as error:
        assert error.line >= 1
        assert error.column >= 1
        assert str(error).endswith("^")
        return
    printed = jdl.dumps(doc)
    assert jdl.loads(printed) == doc
    assert jdl.dumps(jdl.loads(printed)) == printed


@given(texts)
@RUNS
def test_any_text_of_meaningful_characters(text: str) -> None:
    check_round_trip(text)


@given(st.lists(texts, min_size=1, max_size=4))
@RUNS
def test_any_values(contents: list[str]) -> None:
    check_round_trip("\n".join(f"K{i} = {text};" for i, text in enumerate(contents)))


@given(st.lists(texts, max_size=4))
@RUNS
def test_any_list_elements(contents: list[str]) -> None:
    check_round_trip("L = {" + ",".join(f'"{text}"' for text in contents) + "};")


@given(any_texts)
@RUNS
def test_any_text_at_all(text: str) -> None:
    check_round_trip(text)
    check_round_trip(f'Key = "{text}"; K = {{"{text}"}}; L = {text};')


@given(st.dictionaries(keys, values, max_size=6))
@RUNS
def test_any_generated_document(contents: dict[str, jdl.Value]) -> None:
    doc = jdl.Jdl(contents)
    again = jdl.loads(jdl.dumps(doc))
    assert again == doc
    assert again.warnings == []


@given(st.sampled_from(SAMPLES), st.data())
@RUNS
def test_any_half_written_or_damaged_sample(path: Path, data: st.DataObject) -> None:
    text = path.read_bytes().decode("utf-8")
    cut = data.draw(st.integers(0, len(text)))
    check_round_trip(text[:cut])
    check_round_trip(text[:cut] + data.draw(texts) + text[cut:])


SHAPES = {
    "quotes": ("A=", '"', "\n"),
    "empty strings in a list": ("A={", '"",', "}"),
    "open braces": ("A=", "{", "}"),
    "braces": ("A={", "{}", "}"),
    "keys": ("", "K{i}=1;", ""),
    "keys on lines": ("# c\n", 'K{i} = "x";\n', ""),
    "the same key": ("", "A=1;", ""),
    "comment lines": ("", "#\n", "A=1;"),
    "comments in a string": ('A="', "x\n#\n", '"'),
    "comments between elements": ('A={"x"', ",#\n", "}"),
    "elements": ("A={", '"e{i}",\n', "}"),
    "text between elements": ("A={", '"e"x', "}"),
    "backslashes": ("A=", "\\\\", ""),
    "words": ("A=", "a ", ""),
    "one word": ("A=", "a", " "),
    "blanks in a list": ('A={"x"', " ", 'x,"y"}'),
    "digits": ("A=", "1", ""),
    "newlines": ("", "\n", "A=1;B"),
    "no assignment": ("", "word ", ""),
    "one long key": ("", "k", " x = 1;"),
    "hashes behind a value": ("A=1;", "#", ""),
}


def text_of(shape: str, characters: int) -> str:
    head, unit, tail = SHAPES[shape]
    if "{i}" not in unit:
        return head + unit * (characters // len(unit)) + tail
    return (
        head + "".join(unit.replace("{i}", str(i)) for i in range(characters // len(unit))) + tail
    )


def seconds_to_parse(shape: str, characters: int, times: int = 3) -> float:
    text = text_of(shape, characters)
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        with contextlib.suppress(jdl.JdlSyntaxError):
            jdl.loads(text)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("shape", SHAPES)
def test_time_grows_with_the_size_only(shape: str) -> None:
    """Eight times the text may cost up to 24 times the time; a quadratic parser needs 64 times."""
    small, large = 40_000, 320_000
    floor = 0.002  # below it the clock and the fixed cost decide, not the parser
    assert seconds_to_parse(shape, large) < 24 * max(seconds_to_parse(shape, small), floor)


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["braces", "keys on lines", "empty strings in a list"])
def test_ten_mebibytes(shape: str) -> None:
    small, large = 1024 * 1024, 10 * 1024 * 1024
    assert seconds_to_parse(shape, large, times=1) < 30 * seconds_to_parse(shape, small)


@pytest.mark.parametrize("text", ["A=" + "{" * 100_000 + "}" * 100_000 + ";", "A=" + "(" * 200_000])
def test_deep_nesting_is_flat(text: str) -> None:
    assert len(jdl.loads(text)) == 1
