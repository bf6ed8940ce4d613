"""`./dev dist`: the tarball that a site unpacks on a node where nothing can be installed."""

from __future__ import annotations

import platform
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="dist builds for x86_64 only"),
]


@pytest.fixture(scope="module")
def tarball(repository: Path) -> Path:
    done = subprocess.run(
        [str(repository / "dev"), "dist"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version = (repository / "VERSION").read_text(encoding="utf-8").strip()
    return repository / "dist" / f"gpuctl-{version}-x86_64.tar.gz"


@pytest.fixture(scope="module")
def unpacked(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(["tar", "-xzf", str(tarball), "-C", str(folder)], check=True)
    (top,) = folder.iterdir()
    return top


def test_it_holds_the_binary_and_its_papers(unpacked: Path) -> None:
    files = {str(f.relative_to(unpacked)) for f in unpacked.rglob("*") if f.is_file()}
    assert files == {
        "LICENSE",
        "README.md",
        "bin/gpuctl",
        "share/bash-completion/completions/gpuctl",
        "share/man/man1/gpuctl.1",
        "share/tmpfiles.d/gpuctl.conf",
        "share/zsh/site-functions/_gpuctl",
    }


def test_its_owner_and_times_are_not_those_of_the_builder(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    assert len({member.mtime for member in members}) == 1
    assert [member.name for member in members] == sorted(member.name for member in members)


def test_the_binary_runs_without_any_library(unpacked: Path, repository: Path) -> None:
    binary = unpacked / "bin" / "gpuctl"
    sections = subprocess.run(
        ["readelf", "-d", "-l", str(binary)], capture_output=True, text=True, check=True
    )
    assert "NEEDED" not in sections.stdout
    assert "INTERP" not in sections.stdout
    said = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True)
    assert (repository / "VERSION").read_text(encoding="utf-8").strip() in said.stdout


def test_the_binary_names_no_path_of_the_builder(unpacked: Path, repository: Path) -> None:
    content = (unpacked / "bin" / "gpuctl").read_bytes()
    assert str(repository).encode() not in content
    assert str(Path.home() / ".cache").encode() not in content
