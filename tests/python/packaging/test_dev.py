"""What ./dev says: its verbs, its help, its refusals. What it does is proved by tests/fresh."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def dev(repository: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(repository / "dev"), *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def verbs(repository: Path) -> list[str]:
    return sorted(file.stem for file in (repository / "tools" / "dev" / "verbs").glob("*.sh"))


def test_alone_it_lists_each_verb_on_one_line(dev, verbs: list[str]) -> None:
    done = dev()
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == verbs
    assert {"run", "test", "bench", "lint", "dist"} <= set(verbs)
    assert all(len(line.split()) > 3 for line in lines)


def test_each_verb_has_help(dev, verbs: list[str]) -> None:
    for verb in verbs:
        done = dev(verb, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(dev().stdout.split(f"  {verb} ", 1)[1].split("\n")[0].strip())
        assert f"./dev {verb}" in done.stdout


@pytest.mark.parametrize("verb", ["tset", "../dev", "-x", "verbs/run"])
def test_an_unknown_verb_is_refused_with_the_list(dev, verb: str) -> None:
    done = dev(verb)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"unknown verb `{verb}`" in done.stderr
    assert "  test " in done.stderr


def test_an_unknown_check_is_refused(dev) -> None:
    done = dev("lint", "rufff")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown check `rufff`" in done.stderr


def shell(repository: Path, code: str) -> subprocess.CompletedProcess[str]:
    lines = ["set -euo pipefail", f"root={repository}", 'source "$root/tools/dev/common.sh"']
    lines += ['source "$root/tools/dev/packages.sh"', code]
    return subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("apt-get", "sudo apt-get install -y --no-install-recommends g++ doctest-dev"),
        ("dnf", "dnf install -y gcc-c++ doctest-devel"),
    ],
)
def test_without_root_the_line_to_type_is_printed(
    repository: Path, tmp_path: Path, manager: str, line: str
) -> None:
    (tmp_path / manager).symlink_to("/bin/false")
    stand_ins = "is_root() { false; }; is_el8() { false; }; have_compiler() { false; }"
    code = f"{stand_ins}; have_doctest() {{ false; }}; PATH={tmp_path}"
    done = shell(repository, f"{code}; need_packages compiler doctest")
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr


@pytest.mark.parametrize(
    ("need", "line"),
    [
        ("opencl", "sudo sh -c 'dnf install -y epel-release && dnf install -y pocl ocl-icd'"),
        ("lspci", "sudo sh -c 'dnf install -y pciutils hwdata'"),
        (
            "static_libc",
            "sudo sh -c 'dnf install -y epel-release && crb enable && "
            "dnf install -y glibc-static libstdc++-static'",
        ),
    ],
)
def test_what_is_in_another_repository_needs_that(
    repository: Path, tmp_path: Path, need: str, line: str
) -> None:
    (tmp_path / "dnf").symlink_to("/bin/false")
    code = f"is_root() {{ false; }}; have_{need}() {{ false; }}; PATH={tmp_path}"
    done = shell(repository, f"{code}; need_packages {need}")
    assert (done.returncode, done.stderr) == (2, f"dev: missing packages; type: {line}\n")


def test_what_only_spares_time_is_not_asked_for_and_stops_nothing(
    repository: Path, tmp_path: Path
) -> None:
    """Without root nobody is asked for ccache; root goes on where it cannot be had."""
    (tmp_path / "apt-get").symlink_to("/bin/false")
    code = f"log_dir={tmp_path}/log; have_ccache() {{ false; }}; PATH={tmp_path}:$PATH"
    done = shell(repository, f"{code}; is_root() {{ false; }}; wish_for ccache; echo on")
    assert (done.returncode, done.stdout, done.stderr) == (0, "on\n", "")
    done = shell(repository, f"{code}; is_root() {{ true; }}; wish_for ccache; echo on")
    assert (done.returncode, done.stdout) == (0, "on\n")
    assert done.stderr.endswith("going on without ccache\n")


def test_what_is_there_is_not_asked_for(repository: Path) -> None:
    code = "have_compiler() { true; }; have_doctest() { true; }; need_packages compiler doctest"
    done = shell(repository, f"install_packages() {{ echo asked; }}; {code}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_failing_step_shows_its_log_and_its_status(repository: Path, tmp_path: Path) -> None:
    code = f"log_dir={tmp_path}; step probe 'a probe' bash -c 'echo why; exit 9'"
    done = shell(repository, code)
    assert done.returncode == 9
    assert "why" in done.stderr
    assert "a probe failed (exit 9)" in done.stderr
    assert (tmp_path / "probe.log").read_text(encoding="utf-8") == "why\n"


def test_a_step_that_lasts_shows_that_it_lives(repository: Path, tmp_path: Path) -> None:
    done = shell(repository, f"log_dir={tmp_path}; step probe 'a probe' sleep 2.5")
    assert done.returncode == 0
    assert "a probe … 2 s" in done.stderr


def test_a_signal_ends_a_step_with_all_its_children(repository: Path, tmp_path: Path) -> None:
    """The child holds a pipe's end open: its end of file proves that it is gone."""
    reader, writer = os.pipe()
    code = (
        f"log_dir={tmp_path}; step probe 'a probe' bash -c 'sleep 600 & echo up >&{writer}; wait'"
    )
    setup = f"root={repository}; source $root/tools/dev/common.sh; {code}"
    process = subprocess.Popen(
        ["bash", "-c", setup], pass_fds=[writer], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert os.read(reader, 3) == b"up\n"
    process.terminate()
    assert process.wait(timeout=60) == -15
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert process.stderr is not None
    process.stderr.close()
