"""`gpuctl job` as a whole program: a folder for its JDLs and scripts, and what became of them.

def test_it_runs(site: Site) -> None:  # the fixture of tests/cli/conftest.py
    site.script("exit 7")
    assert site.report(site.jdl('Executable = "payload.sh";'))["exit"]["code"] == 7
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Callable

from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NEVER_STARTED, TTL_OVER, NOT_EXECUTABLE, NOT_FOUND = 125, 124, 126, 127


class Site:
    """A folder with JDLs and scripts, and `gpuctl job` called in it."""

    def __init__(self, folder: Path, gpuctl: Run, binary: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.work = folder / "work"
        self.work.mkdir()
        self._gpuctl = gpuctl
        self._binary = binary

    def script(self, text: str, name: str = "payload.sh") -> Path:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def jdl(self, text: str, name: str = "job.jdl") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def arguments(self, jdl: object, *more: object) -> list[str]:
        places = ("--state-dir", self.state, "--workdir", self.work)
        return [str(word) for word in ("job", *places, *more, jdl)]

    def command(self, jdl: object, *more: object) -> list[str]:
        """For who starts it himself."""
        return [str(self._binary), *self.arguments(jdl, *more)]

    def started(self, jdl: object, *more: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(jdl, *more),
            cwd=self.folder,
            env={**os.environ, "TMPDIR": str(self.folder)},  # what a killed interpreter leaves
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def job(self, jdl: object, *more: object, **settings: Any) -> subprocess.CompletedProcess[str]:
        done = self._gpuctl(*self.arguments(jdl, *more), cwd=self.folder, **settings)
        assert "Traceback" not in done.stderr
        return done

    def report(self, jdl: object, *more: object, **settings: Any) -> dict[str, Any]:
        """The report of `--json`, which is always a valid one; nothing is left behind."""
        done = self.job(jdl, "--json", *more, **settings)
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        validate("job-report.json", report)
        assert report["schema"] == "gpuctl.job/1"
        assert done.returncode == report["exit"]["gpuctl_exit_code"]
        assert list(self.work.iterdir()) == []
        return report

    def events(self) -> list[dict[str, Any]]:
        """What `--events events` wrote."""
        lines = (self.folder / "events").read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        for event in events:
            validate("job-events.json", event)
        return events

    def kept(self, report: dict[str, Any], name: str) -> str:
        return (Path(report["output_dir"]) / name).read_text(encoding="utf-8")


def wait_for(path: Path, seconds: float = 60) -> str:
    """The text of a file that somebody writes, once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text(encoding="utf-8"):
            return path.read_text(encoding="utf-8")
        time.sleep(0.02)
    raise AssertionError(f"`{path}` was not written in {seconds} s")
