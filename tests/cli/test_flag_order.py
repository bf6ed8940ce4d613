"""Flags may stand before and after the operands of a verb, whichever part of gpuctl it is in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def schemas(gpuctl: Run, *orders: tuple[object, ...]) -> list[str]:
    """Of the answer to each order of words; all end well."""
    found = []
    for words in orders:
        done = gpuctl(*words)
        assert done.returncode in (0, 1, 4), f"{words}: {done.stderr}"
        answer: dict[str, Any] = json.loads(done.stdout)
        found.append(str(answer["schema"]))
    return found


@pytest.mark.parametrize(
    ("verb", "operand", "flags", "schema"),
    [
        ("tree", "PID", ("--json",), "gpuctl.tree/1"),
        ("cgroup", "PID", ("--json", "--processes"), "gpuctl.cgroup/1"),
        ("match", "JDL", ("--json", "-q"), "gpuctl.match/1"),
    ],
)
def test_before_and_after(
    gpuctl: Run, tmp_path: Path, verb: str, operand: str, flags: tuple[str, ...], schema: str
) -> None:
    if operand == "PID":
        operand = str(os.getpid())
    if operand == "JDL":
        path = tmp_path / "job.jdl"
        path.write_text('Executable = "/bin/true";', encoding="utf-8")
        operand = str(path)
    orders = ((verb, operand, *flags), (verb, *flags, operand), (*flags[:1], verb, operand))
    assert schemas(gpuctl, *orders) == [schema] * 3


def test_what_belongs_to_a_command_is_left_to_it(gpuctl: Run, tmp_path: Path) -> None:
    state = ("--state-dir", tmp_path / "state")
    done = gpuctl("run", "-q", *state, "sh", "-c", 'echo "$@"', "sh", "--json", "--ttl", "1s")
    assert (done.stdout, done.returncode) == ("--json --ttl 1s\n", 0)
