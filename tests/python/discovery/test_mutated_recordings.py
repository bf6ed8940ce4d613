"""Recorded outputs, broken at many places: each is answered, and no device vanishes without a word.

That a line is missing cannot be seen in a list of lines; in a document (JSON, XML) it can.
`GPUCTL_FUZZ_EXAMPLES` says how often each recording is broken (default 60, a tenth of them here).
"""

from __future__ import annotations

import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpuctl.discovery.answer import make_answer
from gpuctl.discovery.documents import decode
from gpuctl.discovery.kinds import kind_of
from nodes.cases import NO_RECORDING, Case, all_cases
from schemas import validate

TIMES = max(2, int(os.environ.get("GPUCTL_FUZZ_EXAMPLES", "60")) // 10)


def texts(case: Case, recordings: Path) -> Iterator[tuple[str, str]]:
    for file in case.files(recordings):
        data = file.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        text = decode(data)
        if b"ustar" not in data[:600] and kind_of(case.kind, text) is not None and text.strip():
            yield file.name, text


def ask(case: Case, text: str) -> dict[str, Any]:
    kind = kind_of(case.kind, text)
    assert kind is not None
    answer = make_answer([kind.parse(text)], [], "none")
    validate("probe.json", json.loads(json.dumps(answer, allow_nan=False)))
    return answer


def broken(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    junk = "".join(chr(chance.randrange(1, 0x3000)) for _ in range(chance.randrange(12)))
    return chance.choice(
        [
            text[:at],
            text[:at] + junk + text[at:],
            text[:at] + text[at + chance.randrange(1, 150) :],
            text[:at] + '\0\n{"<' + text[at + 6 :],
            text[:at] + text[at : at + 300] * 2 + text[at:],
        ]
    )


def is_document(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[", "<")


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_broken_recording_is_answered(case: Case, recordings: Path) -> None:
    if case.name == NO_RECORDING:
        pytest.fail(f"`{recordings}` has no INDEX.tsv")
    chance = random.Random(case.name)
    for name, text in texts(case, recordings):
        cards = [gpu for gpu in ask(case, text)["gpus"] if gpu["kind"] == "gpu"]
        for _ in range(TIMES):
            mutated = broken(text, chance)
            if kind_of(case.kind, mutated) is None:
                continue
            answer = ask(case, mutated)
            left = [gpu for gpu in answer["gpus"] if gpu["kind"] == "gpu"]
            if is_document(text) and len(left) < len(cards):
                assert answer["problems"], f"{name}: a device is gone and nothing says so"
