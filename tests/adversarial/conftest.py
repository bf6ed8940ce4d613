"""Arenas for payloads that fight back. Each test that takes `arena` runs as root and as a plain
user, where it can."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from adversarial.arena import Arena, arena_refusal, make_arena

PAYLOADS = Path(__file__).resolve().parent / "payloads"


@pytest.fixture(scope="session")
def tools(gpuctl_binary: Path) -> Iterator[Path]:
    """A folder that every user may enter, with the binary under test and the compiled payloads."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler for the payloads")
    with tempfile.TemporaryDirectory(prefix="gpuctl-payloads-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(gpuctl_binary, folder / "gpuctl")
        for source in PAYLOADS.glob("*.c"):
            target = str(folder / source.stem)
            subprocess.run(
                [compiler, "-O1", "-Wall", "-Werror", "-pthread", str(source), "-o", target],
                check=True,
            )
        yield folder


@pytest.fixture(scope="session")
def arena_reason() -> str | None:
    return arena_refusal()


@pytest.fixture(params=["root", "user"])
def arena(request: pytest.FixtureRequest, tools: Path, arena_reason: str | None) -> Iterator[Arena]:
    with make_arena(tools, arena_reason, request.param) as made:
        yield made


@pytest.fixture
def user_arena(tools: Path, arena_reason: str | None) -> Iterator[Arena]:
    with make_arena(tools, arena_reason, "user") as made:
        yield made


@pytest.fixture
def root_arena(tools: Path, arena_reason: str | None) -> Iterator[Arena]:
    with make_arena(tools, arena_reason, "root") as made:
        yield made


@pytest.fixture(params=["pid_namespace", "session"])
def fence(request: pytest.FixtureRequest) -> str:
    return str(request.param)
