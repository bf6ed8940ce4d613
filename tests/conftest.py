"""What every test may ask for: the installed binary, the repository, the recorded nodes.

`gpuctl(...)` runs the real binary and returns its CompletedProcess (text); it never raises on a
non-zero exit, because exit codes are part of the contract and tests assert them.

    def test_version(gpuctl):
        done = gpuctl("--version")
        assert (done.returncode, done.stderr) == (0, "")

Recorded nodes belong to third parties and are never in the repository: without them tests that
need them are skipped with that reason, and fail where CI=true says that they must be there.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from installed import installed_binary
from live_cgroup import LiveGroup, make_live_group

Gpuctl = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fresh", action="store_true", help="also prove the two commands on bare Debian systems"
    )
    parser.addoption(
        "--lab", action="store_true", help="also run the tests on the virtual worker node"
    )
    parser.addoption(
        "--stress", action="store_true", help="also kill 200 random process trees at random moments"
    )
    parser.addoption("--stress-seed", type=int, metavar="N", help="the trees of an earlier run")


def pytest_configure() -> None:
    """Start what tests start with a terminal's signals, also under nohup or a CI that ignores them.

    A child inherits ignored signals; one that the parent handles is at its default there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def gpuctl_binary() -> Path:
    """The binary under test: `GPUCTL_BINARY`, else the installed one."""
    return installed_binary()


@pytest.fixture(scope="session")
def gpuctl(gpuctl_binary: Path) -> Gpuctl:
    """Run gpuctl: `gpuctl(*args, env=None, input=None, timeout=60, cwd=None)`.

    `env` is laid over the environment of the test run, from which `GPUCTL_*` and `PYTHON*`
    settings were removed; a value of None removes that variable. Standard input is empty unless
    given.
    """

    def run(
        *args: object,
        env: Mapping[str, str | None] | None = None,
        input: str | None = None,
        timeout: float = 60,
        cwd: os.PathLike[str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(gpuctl_binary), *map(str, args)],
            env=_environment(env),
            input="" if input is None else input,
            timeout=timeout,
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )

    return run


def _environment(extra: Mapping[str, str | None] | None) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GPUCTL_", "PYTHON"))}
    for name, value in (extra or {}).items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = value
    return kept


@pytest.fixture(scope="session")
def recordings(repository: Path) -> Path:
    """The folder of recorded nodes: `GPUCTL_RECORDINGS`, else ../shared/data/nodes."""
    named = os.environ.get("GPUCTL_RECORDINGS")
    folder = Path(named) if named else repository.parent / "shared" / "data" / "nodes"
    if folder.is_dir():
        return folder
    reason = f"no recorded nodes at `{folder}`; set GPUCTL_RECORDINGS to their folder"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def live_group() -> Iterator[LiveGroup]:
    """A cgroup of the test's own; skipped where none can be made."""
    made = make_live_group("one")
    yield made
    made.remove()
