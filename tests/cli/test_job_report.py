"""What `gpuctl job` writes: trace, report, events, and readers of them that misbehave."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from job_site import Site

TRACE = re.compile(r"[A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8} \[(trace|info|warning|error)\]: .+")


def test_the_trace_has_the_form_of_job_traces_and_the_report_follows(site: Site) -> None:
    site.script("echo out; echo err >&2")
    done = site.job(site.jdl('Executable = "payload.sh";'), "--job", "77")
    trace, report = done.stderr.split("job 77\n")
    lines = [line for line in trace.splitlines() if line != "err"]
    assert [line for line in lines if not TRACE.fullmatch(line)] == []
    assert len(lines) >= 4
    assert re.search(r"^  state +done, exit code 0$", report, re.MULTILINE)
    assert re.search(r"^  peak memory +[0-9.]+ [KM]iB$", report, re.MULTILINE)
    assert done.stdout == "out\n"


def test_json_is_alone_on_stdout_and_the_output_is_kept(site: Site) -> None:
    site.script("echo to stdout; echo to stderr >&2")
    report = site.report(site.jdl('Executable = "payload.sh";'), "--output", "kept")
    assert report["kept"] == ["stderr", "stdout"]
    assert site.kept(report, "stdout") == "to stdout\n"
    assert site.kept(report, "stderr") == "to stderr\n"
    assert (report["state"], report["kill_reason"]["name"]) == ("done", "OK")


def test_the_report_tells_what_the_jdl_asked_for(site: Site) -> None:
    site.script("true")
    text = """Executable = "payload.sh"; Arguments = "-n '10 20'  x"; TTL = 3600; CPUCores = 4;
        MemorySize = "2GB"; ForcedKillTimeout = 90; Packages = {"VO_ALICE@O2sim::v20261101-1"};"""
    report = site.report(site.jdl(text))
    asked = report["jdl"]
    assert asked["executable"] == "payload.sh"
    assert asked["arguments"] == ["-n", "10 20", "x"]
    assert (asked["cpu_cores"], asked["memory_bytes"]) == (4, 2 * 1024**3)
    assert (asked["ttl_usec"], asked["forced_kill_timeout_usec"]) == (3600_000_000, 90_000_000)
    assert asked["gpu"] is None
    assert any("Packages" in problem for problem in report["problems"])
    assert report["command"] == [str(site.folder / "payload.sh"), "-n", "10 20", "x"]


def test_trace_report_and_payload_share_a_plain_file(site: Site) -> None:
    site.script("echo from the payload >&2")
    log, events = site.folder / "log", site.folder / "events"
    command = site.command(site.jdl('Executable = "payload.sh";'), "--job", "3")
    with log.open("wb") as stderr, events.open("wb") as stream:  # neither is opened to append
        stderr.write(b"before\n")
        stderr.flush()
        done = subprocess.run(
            [*command, f"--events=fd:{stream.fileno()}"],
            cwd=site.folder,
            stderr=stderr,
            pass_fds=[stream.fileno()],
            check=False,
        )
    lines = log.read_text(encoding="utf-8").splitlines()
    assert done.returncode == 0
    assert lines[0] == "before"
    for words in ("CPU-only", "payload started", "from the payload", "job ended", "job 3"):
        assert len([line for line in lines if words in line]) == 1, (words, lines)
    assert [event["event"] for event in site.events()].count("start") == 1


def test_events_and_trace_are_one_story_in_order(site: Site) -> None:
    site.script("true")
    jdl = site.jdl('Executable = "payload.sh";')
    report = site.report(jdl, "--events", "events", "--report", "report.json")
    events = site.events()
    assert [event["text"] for event in events if event["event"] == "trace"] == [
        line["text"] for line in report["trace"]
    ]
    assert [entry["event"] for entry in report["timeline"]][:2] == ["parsed", "matched"]
    for entries in (report["timeline"], report["trace"], events):
        assert [e["at"] for e in entries] == sorted(e["at"] for e in entries)
    assert events[-1]["event"] == "end"
    assert json.loads((site.folder / "report.json").read_text(encoding="utf-8")) == report


def test_events_go_to_a_descriptor_and_do_not_reach_the_payload(site: Site) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    site.script(f"test -e /proc/self/fd/{write_end} && echo leaked")
    jdl = site.jdl('Executable = "payload.sh";')
    command = site.command(jdl, "--events", f"fd:{write_end}")
    done = subprocess.run(command, pass_fds=[write_end], capture_output=True, check=False)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as stream:
        names = [json.loads(line)["event"] for line in stream]
    assert names[0] == "trace"
    assert names[-1] == "end"
    assert done.stdout == b""


def test_a_reader_of_events_that_reads_nothing_holds_nothing_up(site: Site) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    while True:
        try:
            os.write(write_end, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write_end, True)
    site.script("true")
    command = site.command(site.jdl('Executable = "payload.sh";'), "--events", f"fd:{write_end}")
    done = subprocess.run(command, pass_fds=[write_end], timeout=60, check=False)
    os.close(read_end)
    os.close(write_end)
    assert done.returncode == 0


def test_stdout_that_takes_nothing_is_not_success(site: Site) -> None:
    site.script("true")
    command = site.command(site.jdl('Executable = "payload.sh";'), "--json")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command,
            cwd=site.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert "stdout" in done.stderr


def test_a_report_file_is_that_of_the_whole_job_and_alone(site: Site) -> None:
    site.script("true")
    real = site.folder / "places" / "real.json"
    real.parent.mkdir()
    real.write_text("old", encoding="utf-8")
    (site.folder / "link").symlink_to(real)
    done = site.job(site.jdl('Executable = "payload.sh";'), "-q", "--report", "link")
    assert (done.returncode, done.stderr) == (0, "")
    assert (site.folder / "link").is_symlink()
    assert [path.name for path in real.parent.iterdir()] == ["real.json"]
    assert json.loads(real.read_text(encoding="utf-8"))["schema"] == "gpuctl.job/1"


@pytest.mark.parametrize("kind", ["pipe", "stdout"])
def test_a_place_that_cannot_be_replaced_gets_one_report(site: Site, kind: str) -> None:
    """Neither a link such as /dev/stdout nor the file that stdout goes to is replaced."""
    site.script("echo words")
    out, fifo = site.folder / "out", site.folder / "fifo"
    os.mkfifo(fifo)
    link = site.folder / "stdout"  # not the machine's own: root could replace that
    link.symlink_to("/proc/self/fd/1")
    place = fifo if kind == "pipe" else link
    command = site.command(site.jdl('Executable = "payload.sh";'), "-q", "--report", place)
    with out.open("wb") as stream, subprocess.Popen(command, stdout=stream) as running:
        text = fifo.read_text(encoding="utf-8") if kind == "pipe" else ""
        assert running.wait(60) == 0
    assert os.readlink(link) == "/proc/self/fd/1"
    first, rest = out.read_text(encoding="utf-8").split("\n", 1)
    assert first == "words"
    assert json.loads(text or rest)["schema"] == "gpuctl.job/1"


def test_a_place_that_takes_no_report_is_told_and_the_status_stays(site: Site) -> None:
    site.script("exit 4")
    done = site.job(site.jdl('Executable = "payload.sh";'), "--report", "/nowhere/report.json")
    assert done.returncode == 4
    assert done.stderr.count("the report was not written") == 1
    assert not list((site.state / "jobs").glob("*/*"))
