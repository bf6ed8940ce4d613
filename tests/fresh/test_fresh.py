"""The two commands on a bare Debian system: see fresh-machine.sh.

Too slow and too much for every run (each makes a root file system, fetches a compiler and compiles
everything), so only `./dev test --fresh tests/fresh` runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.fresh, pytest.mark.slow]
LIMIT_SECONDS = 40 * 60


@pytest.fixture
def fresh_machine(repository: Path):
    if os.geteuid() != 0:
        pytest.skip("making a root file system needs root")
    if not shutil.which("apt-get"):
        pytest.skip("the bare system is made with this machine's apt, and there is none")
    if not shutil.which("git") or not (repository / ".git").exists():
        pytest.skip("the bare system gets a clone, and this is no git checkout")

    def run(suite: str, *commands: str) -> str:
        script = repository / "tests" / "fresh" / "fresh-machine.sh"
        process = subprocess.Popen(
            [str(script), suite, *commands],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = process.communicate(timeout=LIMIT_SECONDS)
        finally:
            # TERM, so that it unmounts and removes what it made
            process.terminate()
            process.wait()
        assert process.returncode == 0, output
        return output

    return run


def test_the_first_job_runs(fresh_machine) -> None:
    output = fresh_machine("bookworm", "./dev run")
    assert "fresh: bookworm: ./dev run: exit 0" in output
    assert "[trace]" in output


@pytest.mark.parametrize("suite", ["bullseye", "bookworm", "trixie"])
def test_the_two_commands(fresh_machine, suite: str) -> None:
    output = fresh_machine(suite, "./dev run", "./dev test")
    assert f"fresh: {suite}: ./dev test: exit 0" in output
    assert " passed" in output


def test_a_second_run_compiles_nothing(fresh_machine) -> None:
    output = fresh_machine("bookworm", "./dev run", "rm build/log/*; ./dev run", "ls build/log")
    assert "build.log" not in output.rsplit("fresh: bookworm: ls build/log\n", 1)[1]


def test_a_failing_command_fails_the_proof(fresh_machine) -> None:
    with pytest.raises(AssertionError, match="exit 7"):
        fresh_machine("bookworm", "exit 7", "echo not reached")
