"""`pip install .` as a stranger does it: build isolation, a new environment, nothing of ./dev."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

# glibc alone; before 2.34 it came in these pieces
OF_LIBC = re.compile(r"lib(c|m|dl|rt|pthread)\.so\.\d+|ld-linux[\w.-]*\.so\.\d+")
NOT_SOURCE = (".git", "build", "dist", "*_cache", "__pycache__", "gpuctl-*")


@pytest.fixture(scope="module")
def source(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed files alone, so that one that was forgotten is missed here."""
    folder = tmp_path_factory.mktemp("export") / "gpuctl"
    if shutil.which("git") and (repository / ".git").exists():
        archive = folder.with_suffix(".tar")
        run("git", "-C", repository, "archive", "--format=tar", f"--output={archive}", "HEAD")
        folder.mkdir()
        run("tar", "-xf", archive, "-C", folder)
    else:
        shutil.copytree(repository, folder, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return folder


@pytest.fixture(scope="module")
def prefix(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment into which `pip install .` put gpuctl."""
    folder = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", source, env=environment(**compiler_cache(source)))
    return folder


def compiler_cache(source: Path) -> dict[str, str]:
    """`./dev test` has just compiled the same files with the same compiler ($CXX) and flags: ccache
    has them, and finds them when the build folder stands to the sources as there.
    """
    if shutil.which("ccache") is None:
        return {}
    return {
        "CMAKE_CXX_COMPILER_LAUNCHER": "ccache",
        "CCACHE_BASEDIR": str(source),
        "SKBUILD_BUILD_DIR": "build/dev",
    }


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return {**kept, **more}


def run(*command: object, **settings: object) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=1800,
        check=False,
        **{"env": environment(), **settings},  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def needed(file: Path) -> list[str]:
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", file))


def extension(prefix: Path) -> Path:
    (found,) = prefix.glob("lib/python3*/site-packages/gpuctl/_core*.so")
    return found


def test_the_binary_says_the_version_of_the_repository(prefix: Path, repository: Path) -> None:
    version = (repository / "VERSION").read_text(encoding="utf-8").strip()
    assert version in run(prefix / "bin" / "gpuctl", "--version").split()


def test_the_binary_needs_only_libc(prefix: Path) -> None:
    binary = prefix / "bin" / "gpuctl"
    assert binary.read_bytes()[:4] == b"\x7fELF"
    assert [name for name in needed(binary) if not OF_LIBC.fullmatch(name)] == []


def test_the_extension_needs_only_libc(prefix: Path) -> None:
    names = needed(extension(prefix))
    assert "libc.so.6" in names
    assert [name for name in names if not OF_LIBC.fullmatch(name)] == []


def test_a_verb_of_the_python_layer_is_beside_the_binary(prefix: Path) -> None:
    assert "FILE.jdl" in run(prefix / "bin" / "gpuctl", "job", "--help", env={"PATH": "/bin"})


def test_the_package_imports_typed_and_without_numpy(prefix: Path) -> None:
    code = "import sys, gpuctl; print(gpuctl.__file__, 'numpy' in sys.modules)"
    file, numpy = run(prefix / "bin" / "python", "-c", code).split()
    assert numpy == "False"
    assert (Path(file).parent / "py.typed").is_file()


def test_the_installation_needs_lark_alone(prefix: Path) -> None:
    shown = run(prefix / "bin" / "pip", "show", "jalien-gpuctl", "lark")
    assert re.findall(r"^Requires: *(.*)$", shown, re.MULTILINE) == ["lark", ""], shown


def test_it_brings_what_matches_and_probes(prefix: Path, tmp_path: Path) -> None:
    job = tmp_path / "job.jdl"
    job.write_text('Executable = "x"; TTL = 5; Requirements = other.CPUCores >= 1;')
    node = tmp_path / "node.json"
    node.write_text('{"Localhost": "n", "TTL": 10, "CPUCores": 1, "Disk": 99000000}')
    gpuctl = prefix / "bin" / "gpuctl"
    assert run(gpuctl, "match", job, "--node", node) == "n: yes\n"
    assert run(gpuctl, "sonar", "--offline", "--probe", "os").startswith("os: {")


def test_the_man_page_is_installed(prefix: Path) -> None:
    page = (prefix / "share" / "man" / "man1" / "gpuctl.1").read_text(encoding="utf-8")
    assert page.startswith(".TH GPUCTL 1")


def test_the_completions_are_installed(prefix: Path) -> None:
    bash = prefix / "share" / "bash-completion" / "completions" / "gpuctl"
    run("bash", "-n", bash)
    assert "complete" in bash.read_text(encoding="utf-8")
    zsh = prefix / "share" / "zsh" / "site-functions" / "_gpuctl"
    assert zsh.read_text(encoding="utf-8").startswith("#compdef gpuctl")
