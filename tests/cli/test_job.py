"""`gpuctl job` as a whole program: real payloads, composed nodes, real signals, bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
from nodes.compose import compose, has_device_nodes
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NEVER_STARTED, TTL_OVER, NOT_EXECUTABLE, NOT_FOUND = 125, 124, 126, 127
TRACE = re.compile(r"[A-Z][a-z]{2} [ 0-3][0-9] [0-9:]{8} \[(trace|info|warning|error)\]: .+")


class Site:
    """A folder with JDLs and scripts, and `gpuctl job` called in it."""

    def __init__(self, folder: Path, gpuctl: Run) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.work = folder / "work"
        self.work.mkdir()
        self._gpuctl = gpuctl

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

    def kept(self, report: dict[str, Any], name: str) -> str:
        return (Path(report["output_dir"]) / name).read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, gpuctl: Run) -> Site:
    return Site(tmp_path, gpuctl)


@pytest.fixture
def epn(tmp_path: Path) -> Path:
    root = compose("epn-mi50x8", tmp_path / "epn")
    if not has_device_nodes(root):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    return root


# ---- a job that runs


def test_the_first_example_runs(site: Site, repository: Path) -> None:
    done = site.job(repository / "examples" / "hello.jdl", "--job", "1234")
    assert done.returncode == 0, done.stderr
    assert "Hello from gpuctl, job 1234" in done.stdout
    assert (site.folder / "gpuctl-1234" / "greeting.txt").is_file()


@pytest.mark.parametrize("name", ["hello.jdl", "gpu.jdl", "gpu-or-cpu.jdl"])
def test_the_examples_run_on_a_node_with_gpus(
    site: Site, repository: Path, epn: Path, name: str
) -> None:
    report = site.report(repository / "examples" / name, "--root", epn)
    assert report["exit"]["code"] == 0
    assert len(report["gpus"]) >= 1
    assert report["jdl"]["warnings"] == []


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


def test_streams_of_the_payload_pass_through_untouched(site: Site) -> None:
    site.script("cat; printf 'no newline'")
    done = site.job(site.jdl('Executable = "payload.sh";'), "-q", input="a\tb\n")
    assert done.stdout == "a\tb\nno newline"
    assert done.stderr == ""


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


def test_variables_and_arguments_reach_the_payload(site: Site) -> None:
    site.script('printf "%s|" "$@"; echo "$ALIEN_JDL_LPMNAME $ALIEN_JDL_CPUCORES $ALIEN_PROC_ID"')
    text = """Executable = "payload.sh"; Arguments = {"a b", "$HOME"}; LPMName = "pass 1";
        CPUCores = 2; JDLVariables = {"LPMName"};"""
    done = site.job(site.jdl(text), "--job", "99")
    assert done.stdout == "a|b|$HOME|pass 1 2 99\n"


def test_paths_are_relative_to_the_jdl(site: Site, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    site.script("cat data.txt other.txt; pwd")
    (site.folder / "data.txt").write_text("data\n", encoding="utf-8")
    (away / "other.txt").write_text("other\n", encoding="utf-8")
    text = f'Executable = "payload.sh"; InputFile = {{"data.txt", "file:{away}/other.txt"}};'
    site.jdl(text)
    done = subprocess.run(
        [*_program(site), *site.arguments("../job.jdl", "--job", "5")],
        cwd=away,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"data\nother\n{site.work}/alien-job-5\n", done.stderr


def test_output_patterns_are_kept_with_their_options_cut_off(site: Site) -> None:
    site.script("touch a.root b.root log.txt core rest; echo hi")
    text = """Executable = "payload.sh"; Output = {"*.root@disk=2", "stdout"};
        OutputArchive = {"logs.zip:log.txt,stderr@disk=1"}; OutputErrorE = {"e.zip:core"};"""
    report = site.report(site.jdl(text))
    assert report["kept"] == ["a.root", "b.root", "core", "log.txt", "stderr", "stdout"]
    done = site.job(site.jdl(text), "--output", "text-mode")
    kept = sorted(path.name for path in (site.folder / "text-mode").iterdir())
    assert kept == ["a.root", "b.root", "core", "log.txt"]
    assert done.stdout == "hi\n"


@pytest.mark.parametrize(
    ("script", "code", "signal_name"),
    [("exit 7", 7, None), ("kill -USR1 $$; sleep 5", 128 + signal.SIGUSR1, "SIGUSR1")],
)
def test_the_payloads_status_is_ours(
    site: Site, script: str, code: int, signal_name: str | None
) -> None:
    site.script(script)
    report = site.report(site.jdl('Executable = "payload.sh";'))
    assert report["exit"]["gpuctl_exit_code"] == code
    assert report["exit"]["signal_name"] == signal_name


def test_an_executable_that_is_missing_or_cannot_run(site: Site) -> None:
    missing = site.report(site.jdl('Executable = "nowhere.sh";'))
    assert missing["exit"]["gpuctl_exit_code"] == NOT_FOUND
    (site.folder / "plain.txt").write_text("words", encoding="utf-8")
    plain = site.report(site.jdl('Executable = "plain.txt";'))
    assert plain["exit"]["gpuctl_exit_code"] == NOT_EXECUTABLE
    assert plain["state"] == "never_started"


def test_trace_report_and_payload_share_a_plain_file(site: Site) -> None:
    site.script("echo from the payload >&2")
    log, events = site.folder / "log", site.folder / "events"
    arguments = site.arguments(site.jdl('Executable = "payload.sh";'), "--job", "3")
    with log.open("wb") as stderr, events.open("wb") as stream:  # neither is opened to append
        stderr.write(b"before\n")
        stderr.flush()
        done = subprocess.run(
            [*_program(site), *arguments, f"--events=fd:{stream.fileno()}"],
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
    assert [event["event"] for event in events_of(site)].count("start") == 1


# ---- time


def test_the_ttl_of_the_jdl_ends_the_job(site: Site) -> None:
    site.script("sleep 600")
    report = site.report(site.jdl('Executable = "payload.sh"; TTL = 1;'))
    assert report["exit"]["gpuctl_exit_code"] == TTL_OVER
    assert report["kill_reason"]["name"] == "TTL"


def test_a_flag_overrides_the_times_of_the_jdl(site: Site) -> None:
    site.script("trap '' TERM; sleep 600 & wait; sleep 600")
    jdl = site.jdl('Executable = "payload.sh"; TTL = 5000; ForcedKillTimeout = 500;')
    report = site.report(jdl, "--ttl", "1s", "--forced-kill-timeout", "1s")
    assert report["kill_reason"]["name"] == "TTL"
    assert report["kill"]["killed"] >= 1
    assert report["jdl"]["ttl_usec"] == 5000_000_000


def test_what_the_site_enforces_cuts_the_jdl_and_refuses_the_flag(site: Site) -> None:
    site.script("sleep 600")
    config = site.folder / "config.json"
    config.write_text('{"enforce": {"ttl": "1s", "forced_kill_timeout": "2s"}}', encoding="utf-8")
    env = {"GPUCTL_CONFIG": str(config)}
    jdl = site.jdl('Executable = "payload.sh"; TTL = 5000; ForcedKillTimeout = 500;')
    report = site.report(jdl, env=env)
    assert report["kill_reason"]["name"] == "TTL"
    assert any("cut to 1" in line["text"] for line in report["trace"])
    refused = site.job(jdl, "--ttl", "1h", env=env)
    assert refused.returncode == 2
    assert "enforced" in refused.stderr


# ---- GPUs


def test_a_job_gets_the_first_gpus_that_fit_and_sees_no_others(site: Site, epn: Path) -> None:
    site.script('echo "$ROCR_VISIBLE_DEVICES"; echo "$CUDA_VISIBLE_DEVICES"')
    text = 'Executable = "payload.sh"; GPU = "MI50 32GB"; GPUCount = 2; GPUVendor = "amd";'
    report = site.report(site.jdl(text), "--root", epn)
    ids = [gpu["id"] for gpu in report["gpus"]]
    assert len(ids) == 2
    assert ids == sorted(ids) == report["match"]["chosen"]
    wanted = ",".join(f"GPU-{gpu['unique_id']}" for gpu in report["gpus"])
    assert site.kept(report, "stdout") == f"{wanted}\n-1\n"
    assert report["jdl"]["gpu"]["models"] == ["MI50 32GB"]


def test_a_job_whose_gpu_is_not_here_is_refused_with_reasons(site: Site, epn: Path) -> None:
    marker = site.folder / "ran"
    site.script(f"touch {marker}")
    jdl = site.jdl('Executable = "payload.sh"; GPU = "A100";')
    report = site.report(jdl, "--root", epn, "--events", "events", "--report", "report.json")
    reason = report["kill_reason"]
    assert (reason["name"], reason["code"], reason["jalien_code"]) == ("GPU_UNAVAILABLE", 901, 301)
    assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED
    assert report["state"] == "never_started"
    assert len(reason["detail"]["rejected"]) == 8
    assert report["match"]["rejected"] == reason["detail"]["rejected"]
    assert (report["match"]["chosen"], report["match"]["cpu_only"]) == ([], False)
    assert not marker.exists()
    assert json.loads((site.folder / "report.json").read_text("utf-8")) == report
    assert [event["event"] for event in events_of(site)][-2:] == ["verdict", "end"]
    words = site.job(jdl, "--root", epn).stderr
    assert "GPU_UNAVAILABLE (901, 301 in JAliEn)" in words
    assert words.count("will not do") == 8


def test_a_job_that_may_do_without_runs_on_the_cpu(site: Site, tmp_path: Path, epn: Path) -> None:
    site.script('echo "$ROCR_VISIBLE_DEVICES"')
    text = 'Executable = "payload.sh"; GPU = "A100"; GPURequired = false;'
    report = site.report(site.jdl(text), "--root", epn)
    assert report["exit"]["code"] == 0
    assert report["match"]["cpu_only"]
    assert report["gpus"] == []
    assert site.kept(report, "stdout") == "-1\n"
    assert any("CPU-only" in line["text"] for line in report["trace"])
    empty = compose("empty", tmp_path / "empty")
    done = site.job(site.jdl(text), "--root", empty)
    assert done.returncode == 0
    assert "no GPU on this node: the job runs CPU-only" in done.stderr


def test_broken_gpus_are_shown_and_passed_over(site: Site, tmp_path: Path) -> None:
    node = compose("mixed-broken", tmp_path / "node")
    site.script("true")
    jdl = site.jdl('Executable = "payload.sh"; GPUCount = 1;')
    report = site.report(jdl, "--root", node)
    (gpu,) = report["gpus"]
    assert gpu["usable"]
    assert report["match"]["rejected"]
    assert all(each["reason"] for each in report["match"]["rejected"])
    many = site.report(site.jdl('Executable = "payload.sh"; GPUCount = 50;'), "--root", node)
    assert many["kill_reason"]["name"] == "GPU_UNAVAILABLE"


def test_a_node_without_sysfs_gives_no_gpu_and_is_told_apart_from_one_without_gpus(
    site: Site, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    site.script("true")
    report = site.report(site.jdl('Executable = "payload.sh";'), "--root", bare)
    assert report["exit"]["code"] == 0
    assert any("not known" in line["text"] for line in report["trace"])
    wish = site.report(site.jdl('Executable = "payload.sh"; GPUCount = 1;'), "--root", bare)
    assert wish["kill_reason"]["name"] == "GPU_UNAVAILABLE"


# ---- inputs


@pytest.mark.parametrize(
    "tags",
    [
        'InputFile = {"LF:/alice/cern.ch/user/a/a/macro.C"};',
        'InputDataCollection = "LF:/alice/data/2026/wn.xml";',
        'InputData = {"LF:/alice/data/a.root", "LF:/alice/data/b.root,nodownload"};',
    ],
)
def test_inputs_in_the_catalogue_are_refused(site: Site, tags: str) -> None:
    site.script("true")
    report = site.report(site.jdl(f'Executable = "payload.sh"; {tags}'))
    assert report["kill_reason"]["code"] == 202
    assert report["kill_reason"]["detail"]["inputs"][0].startswith("LF:")
    assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED


def test_a_local_input_that_is_missing_is_named(site: Site) -> None:
    site.script("true")
    report = site.report(site.jdl('Executable = "payload.sh"; InputFile = "nothing.txt";'))
    assert report["kill_reason"]["name"] == "INPUT_FILES"
    assert "nothing.txt" in report["kill_reason"]["detail"]["text"]
    assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED


def test_data_that_the_payload_reads_itself_is_left_to_it(site: Site) -> None:
    site.script("true")
    text = 'Executable = "payload.sh"; InputData = {"LF:/alice/data/b.root,nodownload"};'
    assert site.report(site.jdl(text))["exit"]["code"] == 0


# ---- bad input


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


# ---- the command line


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


def events_of(site: Site) -> list[dict[str, Any]]:
    lines = (site.folder / "events").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        validate("job-events.json", event)
    return events


def test_events_and_trace_are_one_story_in_order(site: Site) -> None:
    site.script("true")
    jdl = site.jdl('Executable = "payload.sh";')
    report = site.report(jdl, "--events", "events", "--report", "report.json")
    events = events_of(site)
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
    arguments = site.arguments(jdl, "--events", f"fd:{write_end}")
    done = subprocess.run(
        [*_program(site), *arguments], pass_fds=[write_end], capture_output=True, check=False
    )
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
    arguments = site.arguments(
        site.jdl('Executable = "payload.sh";'), "--events", f"fd:{write_end}"
    )
    done = subprocess.run(
        [*_program(site), *arguments], pass_fds=[write_end], timeout=60, check=False
    )
    os.close(read_end)
    os.close(write_end)
    assert done.returncode == 0


def test_stdout_that_takes_nothing_is_not_success(site: Site) -> None:
    site.script("true")
    arguments = site.arguments(site.jdl('Executable = "payload.sh";'), "--json")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*_program(site), *arguments],
            cwd=site.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert "stdout" in done.stderr


def test_a_job_id_is_taken_once(site: Site) -> None:
    site.script("echo up > $1; exec sleep 60")
    ready = site.folder / "ready"
    jdl = site.jdl(f'Executable = "payload.sh"; Arguments = "{ready}";')
    with started(site, jdl, "--job", "42") as first:
        wait_for(ready)
        report = json.loads(site.job(jdl, "--job", "42", "--json").stdout)
        assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED
        again = site.job(site.jdl('Executable = "/bin/true";', "b.jdl"), "--job", "42.1")
        assert again.returncode == 0
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 128 + signal.SIGTERM


# ---- signals


def _program(site: Site) -> list[str]:
    return [str(site._gpuctl("help").args[0])]


def started(site: Site, jdl: Path, *more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*_program(site), *site.arguments(jdl, *more)],
        cwd=site.folder,
        env={**os.environ, "TMPDIR": str(site.folder)},  # what a killed interpreter leaves
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path, seconds: float = 60) -> str:
    """The text of a file that somebody writes, once it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text(encoding="utf-8"):
            return path.read_text(encoding="utf-8")
        time.sleep(0.02)
    raise AssertionError(f"`{path}` was not written in {seconds} s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_goes_to_the_payload_and_all_is_cleaned_up(
    site: Site, number: signal.Signals
) -> None:
    ready, told = site.folder / "ready", site.folder / "told"
    # a shell that is not interactive runs its background jobs with INT ignored: hence the reset
    script = "import signal,sys,time\n"
    script += "def tell(n, f): open(sys.argv[2], 'w').write(str(n)); sys.exit(9)\n"
    script += "signal.signal(signal.SIGTERM, tell); signal.signal(signal.SIGINT, tell)\n"
    script += "open(sys.argv[1], 'w').write('up'); time.sleep(60)\n"
    (site.folder / "payload.py").write_text(script, encoding="utf-8")
    jdl = site.jdl(
        f'Executable = "{sys.executable}"; Arguments = "../../payload.py {ready} {told}";'
    )
    with started(site, jdl, "--json", "--job", "8") as running:
        wait_for(ready)
        os.killpg(running.pid, number)  # what a terminal does: the supervisor is not in this group
        stdout, stderr = running.communicate(timeout=60)
    report = json.loads(stdout)
    validate("job-report.json", report)
    expected = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
    assert told.read_text(encoding="utf-8") == str(int(expected)), stderr
    assert report["kill_reason"]["name"] == "KILLED"
    assert report["exit"]["code"] == running.returncode == 9
    assert report["kill"]["survivors"] == []
    assert list(site.work.iterdir()) == []


def test_the_death_of_the_interpreter_leaves_the_payload_alone(site: Site) -> None:
    ready, go, finished = (site.folder / name for name in ("ready", "go", "finished"))
    site.script(
        f"echo up > {ready}; while [ ! -e {go} ]; do sleep 0.1; done; echo yes > {finished}"
    )
    jdl = site.jdl('Executable = "payload.sh"; TTL = 120;')
    with started(site, jdl, "--job", "31") as running:
        wait_for(ready)
        running.kill()
        assert running.wait(60) == -signal.SIGKILL
        go.touch()
        assert wait_for(finished) == "yes\n"
        running.stdout and running.stdout.read()  # until the supervisor, which holds it, is gone
    assert list(site.work.iterdir()) == []
    again = site.job(site.jdl('Executable = "/bin/true";'), "--job", "31")
    assert again.returncode == 0


def test_the_death_of_the_supervisor_is_not_taken_for_an_answer(site: Site) -> None:
    ready = site.folder / "ready"
    site.script(f"echo $PPID > {ready}; exec sleep 60")
    with started(site, site.jdl('Executable = "payload.sh"; TTL = 120;')) as running:
        wait_for(ready)
        (supervisor,) = children_of(running.pid)
        os.kill(supervisor, signal.SIGKILL)
        _, stderr = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "signal 9" in stderr
    assert "Traceback" not in stderr


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]


# ---- names that are no UTF-8


def test_names_that_are_no_utf8_are_names_too(site: Site) -> None:
    folder = site.folder / "caf\udce9"
    folder.mkdir()
    site.script("touch out", name="caf\udce9/payload.sh")
    jdl = site.jdl('Executable = "payload.sh"; Output = {"out"};', "caf\udce9/job.jdl")
    report = site.report(jdl, "--output", folder / "o", "--events", "events")
    assert report["exit"]["code"] == 0
    assert "caf\ufffd" in report["jdl"]["path"]
    assert events_of(site)[-1]["event"] == "end"
    refused = site.job(jdl, "--job", "\udce9")
    assert refused.returncode == 2
    assert "job id" in refused.stderr
    missing = site.job(folder / "no.jdl")
    assert missing.returncode == 2
