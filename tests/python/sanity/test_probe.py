"""The probe program: small, and older than any image."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = "cpp/sanity_probe/spirv.hpp"


@pytest.fixture(scope="session")
def probe(gpuctl_binary: Path) -> Path:
    return gpuctl_binary.with_name("gpuctl-sanity-probe")


def test_it_asks_for_nothing_newer_than_glibc_2_17(probe: Path) -> None:
    text = subprocess.run(
        ["readelf", "-W", "--version-info", "--dynamic", str(probe)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    versions = {tuple(map(int, each.split("."))) for each in re.findall(r"GLIBC_([0-9.]+)", text)}
    assert versions
    assert max(versions) <= (2, 17)
    needed = set(re.findall(r"Shared library: \[(\S+)\]", text))
    assert needed == {"libc.so.6", "libdl.so.2"}


def test_it_is_small(probe: Path) -> None:
    assert probe.stat().st_size < 200_000


def test_a_wrong_call_says_who_calls_it(probe: Path) -> None:
    for arguments in ([], ["--api"], ["--api", "vulkan"], ["--api", "cuda", "--bytes", "7"]):
        done = subprocess.run([probe, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert "gpuctl sanity" in done.stderr


def test_foreign_nodes_are_looked_at_even_without_a_library(probe: Path, tmp_path: Path) -> None:
    mine = tmp_path / "node"
    mine.touch()
    arguments = ["--api", "cuda", "--any-devices", "--foreign", str(tmp_path / "none")]
    done = subprocess.run([probe, *arguments], capture_output=True, text=True)
    levels = [json.loads(line) for line in done.stdout.splitlines()]
    assert levels[-1]["result"] == "pass"
    done = subprocess.run([probe, *arguments, "--foreign", mine], capture_output=True, text=True)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["result"], last["detail"]) == ("fail", f"`{mine}` can be opened")


def test_the_spirv_is_what_its_comment_says(repository: Path, tmp_path: Path) -> None:
    text = (repository / SOURCE).read_text(encoding="ascii")
    assembly = "\n".join(re.findall(r"^//   (.*)$", text, re.MULTILINE))
    words = [int(each, 16) for each in re.findall(r"0x([0-9a-f]{8})", text)]
    assert words[0] == 0x07230203
    if shutil.which("spirv-as") is None:
        pytest.skip("no spirv-as to assemble it again")
    source, target = tmp_path / "mad.spvasm", tmp_path / "mad.spv"
    source.write_text(assembly, encoding="ascii")
    subprocess.run(
        ["spirv-as", "--target-env", "spv1.0", str(source), "-o", str(target)], check=True
    )
    made = list(struct.unpack(f"<{len(words)}I", target.read_bytes()))
    made[2] = 0  # which assembler it was
    assert made == words
