"""`gpuctl job` called wrongly, with JDLs that are none, and what it says of itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_site import Run, Site


def bad_jdls(folder: Path) -> Iterator[tuple[str, Path]]:
    files = {
        "empty": b"",
        "blank": b"\n \n",
        "binary": bytes(range(256)) * 8,
        "latin-1": b'Executable = "caf\xe9";',
        "half-written": b'Executable = "payload.sh";\nArguments = "never clo',
        "half a list": b'Executable = "payload.sh";\nInputFile = {"a",',
        "no executable": b"TTL = 5;",
        "words": b"this is no JDL at all",
        "impossible value": b'Executable = "payload.sh"; GPUCount = "many";',
    }
    for name, content in files.items():
        path = folder / f"{name}.jdl"
        path.write_bytes(content)
        yield name, path
    huge = folder / "huge.jdl"
    with huge.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    yield "100 MiB", huge
    fifo = folder / "fifo.jdl"
    os.mkfifo(fifo)
    yield "fifo", fifo
    yield "missing", folder / "missing.jdl"
    yield "directory", folder
    yield "no directory", folder / "empty.jdl" / "job.jdl"


def test_a_bad_jdl_is_a_clear_error_and_nothing_is_done(site: Site) -> None:
    site.script("true")
    wrong = {}
    for name, path in bad_jdls(site.folder):
        for more in ((), ("--json",)):
            done = site.job(path, *more)
            clear = done.stderr.startswith("gpuctl: ") and path.name.split(".")[0] in done.stderr
            if (done.returncode, done.stdout, clear) != (2, "", True):
                wrong[name] = (done.returncode, done.stdout, done.stderr)
    assert wrong == {}
    assert not site.state.exists()


def test_a_syntax_error_points_at_its_place(site: Site) -> None:
    done = site.job(site.jdl('TTL = 5;\nExecutable = "x" y;'))
    head, line, caret = done.stderr.splitlines()
    assert ":2:18: " in head
    assert line.index("y") == caret.index("^")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--job", "../../etc"], "job id"),
        (["--job", ""], "job id"),
        (["--job", "x" * 65], "job id"),
        (["--resubmission", "-1"], "--resubmission"),
        (["--resubmission", "two"], "--resubmission"),
        (["--ttl", "soon"], "ttl"),
        (["--ttl", "0"], "ttl"),
        (["--forced-kill-timeout", "601s"], "forced-kill-timeout"),
        (["--fence", "iron"], "fence"),
        (["--root", "/etc/passwd"], "/etc/passwd"),
        (["--root", "/nowhere/at/all"], "/nowhere/at/all"),
        (["--events", "fd:2"], "--events"),
        (["--events", "fd:999"], "--events"),
        (["--events", "/nowhere/at/all"], "--events"),
        (["--frobnicate"], "--frobnicate"),
        (["--gpu", "0000:01:00.0"], "--gpu"),
        (["second.jdl"], "2 operands"),
        (["--ttl", "1m", "--ttl", "2m"], "twice"),
    ],
)
def test_a_wrong_call_is_refused(site: Site, arguments: list[str], word: str) -> None:
    marker = site.folder / "ran"
    site.script(f"touch {marker}")
    done = site.job(site.jdl('Executable = "payload.sh";'), *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert word in done.stderr
    assert not marker.exists()


def test_no_operand_is_a_wrong_call(gpuctl: Run) -> None:
    done = gpuctl("job")
    assert done.returncode == 2
    assert "FILE.jdl" in done.stderr


def test_a_name_cannot_move_the_cursor_of_a_terminal(site: Site) -> None:
    site.script("true")
    report = site.job(site.jdl('Executable = "payload.sh"; Arguments = "\x1b[2J\x07";'))
    assert report.returncode == 0
    assert "\x1b" not in report.stderr
    assert "\\x1b[2J" in report.stderr


def test_help_is_the_same_however_it_is_asked_for(gpuctl: Run, gpuctl_binary: Path) -> None:
    known = gpuctl("help", "job").stdout
    assert "FILE.jdl" in known
    sibling = gpuctl_binary.with_name("gpuctl-job")
    direct = subprocess.run([sibling, "--help"], capture_output=True, text=True, check=True)
    assert gpuctl("job", "--help").stdout == gpuctl("job", "-h").stdout == direct.stdout == known
    assert gpuctl("job", "--version").stdout == gpuctl("--version").stdout


def test_global_flags_count_before_the_verb_too(site: Site, gpuctl: Run, epn: Path) -> None:
    site.script("true")
    jdl = site.jdl('Executable = "payload.sh"; GPUCount = 1;')
    before = ("--json", "-q", "--state-dir", site.state, "--root", epn)
    done = gpuctl(*before, "job", jdl, "--workdir", site.work, cwd=site.folder)
    assert done.stderr == ""
    assert len(json.loads(done.stdout)["gpus"]) == 1


def test_stand_in_hardware_needs_a_state_directory(site: Site, gpuctl: Run, epn: Path) -> None:
    site.script("true")
    done = gpuctl("job", "--root", epn, site.jdl('Executable = "payload.sh";'), cwd=site.folder)
    assert done.returncode == 2
    assert "--state-dir" in done.stderr
