"""Makes pytest run the C++ tests: every doctest case of `*_test.cpp` is one item.

The programs are built by ./dev test (one per room) into the folder GPUCTL_CPP_TESTS, default
build/dev/cpp-tests. Each case runs in a process of its own, so one that dies takes no other with
it, and its output is shown when it fails:

    ./dev test tests/cpp/base/fd_test.cpp::"a descriptor is closed once"
"""

from __future__ import annotations

import os
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TIMEOUT_SECONDS = 300


def programs_folder() -> Path:
    default = HERE.parent.parent / "build" / "dev" / "cpp-tests"
    return Path(os.environ.get("GPUCTL_CPP_TESTS", default))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not file_path.name.endswith("_test.cpp"):
        return None
    return DoctestFile.from_parent(parent, path=file_path)


class DoctestFile(pytest.File):
    """One source file; its cases are asked from the room's program."""

    def collect(self) -> Iterator[pytest.Item]:
        room = self.path.resolve().relative_to(HERE).parts[0]
        program = programs_folder() / f"test_{room}"
        if not program.is_file():
            reason = f"`{program}` is not built; `./dev test` builds it"
            if os.environ.get("CI") == "true":
                raise self.CollectError(reason)
            pytest.skip(reason, allow_module_level=True)
        names = case_names(program, self.path)
        if not names:
            raise self.CollectError(f"`{program}` has no case of {self.path.name}; build it again")
        for name in names:
            yield DoctestCase.from_parent(self, name=name, program=program)


class DoctestCase(pytest.Item):
    def __init__(self, *, program: Path, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.program = program

    def runtest(self) -> None:
        done = subprocess.run(
            [
                str(self.program),
                f"--source-file=*{self.path.parent.name}/{self.path.name}",
                f"--test-case={as_filter(self.name)}",
                "--no-intro=true",
                "--no-colors=true",
                "--no-path-filenames=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise DoctestError(f"exit status {done.returncode}\n{done.stdout}")
        if "test cases: 1 " not in " ".join(done.stdout.split()):
            raise DoctestError(f"not exactly this one case ran\n{done.stdout}")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class DoctestError(Exception):
    """What a case printed, for pytest to show."""


def case_names(program: Path, source: Path) -> list[str]:
    listing = subprocess.run(
        [
            str(program),
            "--list-test-cases",
            "--reporters=xml",
            f"--source-file=*{source.parent.name}/{source.name}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    tree = ElementTree.fromstring(listing.stdout)
    return list(dict.fromkeys(case.attrib["name"] for case in tree.iter("TestCase")))


def as_filter(name: str) -> str:
    """The name for doctest's `--test-case`, where a comma splits and `*` and `?` match others."""
    return "".join("?" if character in ',\\"*?[]' else character for character in name)
