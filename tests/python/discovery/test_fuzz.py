"""Every parser against random and broken text: it answers, and one broken part costs one device.

`GPUCTL_FUZZ_EXAMPLES` says how many examples each test tries (default 60): 20000 is a night's work.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from gpuctl.discovery.answer import make_answer
from gpuctl.discovery.kinds import KINDS, kind_of
from gpuctl.discovery.reading import Reading
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nodes.seeds import BUSES, OTHER_SEEDS, SEEDS, Seed
from schemas import validate

EXAMPLES = int(os.environ.get("GPUCTL_FUZZ_EXAMPLES", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="GPUCTL_FUZZ_EXAMPLES" not in os.environ,
    database=None,
)
KIND_NAMES = [kind.name for kind in KINDS]
DOCUMENTS = {**{name: seed.document() for name, seed in SEEDS.items()}, **OTHER_SEEDS}
JUNK = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["\0", "{", "[", "<", "]]>", '"', "\n\n", "<!ENTITY x 'y'>", "ERR!", "\x1b[2J"]
    ),
    st.sampled_from(["NaN", "1e999", "-1", "9" * 400, "[Unknown Error]", "N/A", "&lol;", "🙂"]),
)


def answered(reading: Reading) -> dict[str, Any]:
    """Through the join, as JSON, by the schema."""
    answer = make_answer([reading], [], "none")
    text = json.dumps(answer, allow_nan=False)
    validate("probe.json", json.loads(text))
    return answer


@pytest.mark.parametrize("name", KIND_NAMES)
@FUZZ
@given(text=st.text(max_size=400))
def test_any_text_is_answered(name: str, text: str) -> None:
    kind = next(kind for kind in KINDS if kind.name == name)
    kind.is_it(text)
    answered(kind.parse(text))


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
@FUZZ
@given(data=st.data())
def test_a_mutated_document_is_answered(name: str, data: st.DataObject) -> None:
    text = DOCUMENTS[name]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(JUNK) + text[at + cut :]
    kind = kind_of(name, text)
    assert kind is not None
    answered(kind.parse(text))


def addresses(text: str, name: str) -> set[str]:
    kind = kind_of(name, text)
    assert kind is not None
    return {str(gpu["pci_address"]) for gpu in answered(kind.parse(text))["gpus"]}


@pytest.mark.parametrize("name", sorted(SEEDS))
@FUZZ
@given(data=st.data())
def test_garbage_in_one_part_loses_no_other_device(name: str, data: st.DataObject) -> None:
    seed: Seed = SEEDS[name]
    broken = data.draw(st.integers(0, len(BUSES) - 1))
    part = seed.parts[broken]
    at = data.draw(st.integers(1, len(part) - 1))
    junk = data.draw(st.text(alphabet=st.characters(codec="ascii"), max_size=20))
    part = part[:at] + junk + part[at + data.draw(st.integers(0, 10)) :]
    parts = (*seed.parts[:broken], part, *seed.parts[broken + 1 :])
    found = addresses(seed.document(parts), name)
    others = {f"0000:{bus}:00.0" for at, bus in enumerate(BUSES) if at != broken}
    assert others <= found, f"{others - found} went with {part!r}"


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_cut_document_keeps_what_was_whole_and_says_so(name: str) -> None:
    seed = SEEDS[name]
    text = seed.document()
    for at in range(len(seed.head), len(text), 7):
        kind = kind_of(name, text[:at])
        if kind is None:
            continue  # too little to know it by; `--from` says so
        answer = answered(kind.parse(text[:at]))
        end, whole = len(seed.head), set()
        for bus, part in zip(BUSES, seed.parts):
            end += len(part) + len(seed.joint)
            if end <= at:
                whole.add(f"0000:{bus}:00.0")
        assert whole <= {gpu["pci_address"] for gpu in answer["gpus"]}, text[:at][-80:]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "<a>" * 100_000,
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]><nvidia_smi_log>&a;</nvidia_smi_log>',
        '<!DOCTYPE nvidia_smi_log SYSTEM "file:///etc/passwd"><nvidia_smi_log><gpu id="1"/>',
        "- " * 50_000,
        "a:\n" + "".join(" " * i + "a:\n" for i in range(2000)),
        '{"card0": {' + '"x": {' * 5000,
        "GPU[0]\t\t: " + "x" * 1_000_000,
        "GPU 0: " + "x" * 1_000_000,
        "DetectedGPUs=" + "GPU-1, " * 100_000,
        "00:00.0 " * 100_000,
    ],
    ids=range(12),
)
def test_bombs_are_answered(text: str) -> None:
    for kind in KINDS:
        kind.is_it(text)
        answered(kind.parse(text))
