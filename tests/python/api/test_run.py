"""`gpuctl.run`: real payloads under the real supervisor."""

from __future__ import annotations

import _thread
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

import gpuctl
import pytest
from gpuctl.errors import GpuctlError, UsageError
from nodes.compose import compose, has_device_nodes
from schemas import validate

Runner = Callable[..., gpuctl.Report]


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    """gpuctl.run with a state directory of its own; its reports are always valid."""

    def call(argv: Any, **options: Any) -> gpuctl.Report:
        report = gpuctl.run(argv, **{"state_dir": tmp_path / "state", **options})
        validate("job-report.json", report.to_json())
        return report

    return call


def test_a_payload_runs_and_is_reported(run: Runner) -> None:
    report = run(["/bin/sh", "-c", "exit 3"], job="7", resubmission=2)
    assert (report.id, report.resubmission, report.state) == ("7", 2, "done")
    assert (report.exit_code, report.payload_exit_code, report.signal) == (3, 3, None)
    assert (report.kill_reason.name, report.ok) == ("OK", False)
    assert report.command == ("/bin/sh", "-c", "exit 3")
    assert report.wall_usec > 0
    assert report.memory_peak_bytes and report.memory_peak_bytes > 0
    assert report.cpu_usec is not None
    assert run(["true"]).ok


def test_streams_are_the_callers(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("given\n", encoding="utf-8")
    with (tmp_path / "in").open() as given, (tmp_path / "out").open("w") as out:
        report = run(
            ["/bin/sh", "-c", "cat; echo err >&2"],
            stdin=given,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    assert report.ok
    assert (tmp_path / "out").read_text(encoding="utf-8") == "given\nerr\n"


def test_nothing_is_printed_by_the_library(run: Runner, capfd: pytest.CaptureFixture[str]) -> None:
    run(["true"])
    run(["true"], stdin=subprocess.DEVNULL, ttl="1h")
    assert capfd.readouterr() == ("", "")


def test_a_pipe_is_refused(run: Runner) -> None:
    with pytest.raises(UsageError, match="PIPE"):
        run(["true"], stdout=subprocess.PIPE)


def test_the_environment_is_laid_over_ours(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("REMOVED", "removed")
    script = 'echo "$KEPT|$REMOVED|$ADDED|$GPUCTL_MINE|$LD_PRELOAD|$GPUCTL_TTL" > "$OUT"'
    env: Mapping[str, str | None] = {
        "ADDED": "a=b\nc",
        "REMOVED": None,
        "OUT": str(tmp_path / "out"),
        "GPUCTL_MINE": "m",
        "LD_PRELOAD": "",
        "GPUCTL_TTL": "never",
    }
    assert run(["/bin/sh", "-c", script], env=env).ok
    assert (tmp_path / "out").read_text(encoding="utf-8") == "kept||a=b\nc|m||never\n"


def test_secrets_in_the_environment_are_on_no_command_line(run: Runner, tmp_path: Path) -> None:
    script = f"tr '\\0' ' ' < /proc/$PPID/cmdline > {tmp_path}/line; echo $TOKEN > {tmp_path}/token"
    assert run(["/bin/sh", "-c", script], env={"TOKEN": "s3cret"}).ok
    assert (tmp_path / "token").read_text(encoding="utf-8") == "s3cret\n"
    assert "s3cret" not in (tmp_path / "line").read_text(encoding="utf-8")


def test_a_work_directory_with_inputs_and_outputs(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("data", encoding="utf-8")
    report = run(
        ["/bin/sh", "-c", "cp data.txt copy.root; echo hi; touch other"],
        workdir=tmp_path,
        inputs=[tmp_path / "data.txt"],
        keep=["*.root"],
        output=tmp_path / "kept",
        capture_output=True,
    )
    assert report.kept == ("copy.root", "stderr", "stdout")
    assert (tmp_path / "kept" / "copy.root").read_text(encoding="utf-8") == "data"
    assert (tmp_path / "kept" / "stdout").read_text(encoding="utf-8") == "hi\n"
    assert report.workdir is not None
    assert report.cleaned == (report.workdir,)
    assert not Path(report.workdir).exists()


@pytest.mark.parametrize(
    ("ttl", "usable"),
    [
        *((good, True) for good in (1, 1.0, "1s")),
        *((bad, False) for bad in (0.5, -1, True, "soon", "", float("nan"), float("inf"), 0)),
    ],
)
def test_durations(run: Runner, ttl: Any, usable: bool) -> None:
    if not usable:
        with pytest.raises(UsageError):
            run(["true"], ttl=ttl)
        return
    report = run(["sleep", "600"], ttl=ttl)
    assert (report.exit_code, report.kill_reason.name) == (124, "TTL")


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": "../x"},
        {"job": ""},
        {"resubmission": -1},
        {"fence": "iron"},
        {"gpus": ["0000:ff:00.0"]},
        {"gpus": "0000:ff:00.0"},
        {"forced_kill_timeout": 601},
        {"keep": ["*"]},
        {"capture_output": True},
        {"root": "/nowhere/at/all", "gpus": ["x"]},
        {"env": {"": "x"}},
        {"env": {"A=B": "x"}},
        {"env": {"A": "nul\0"}},
    ],
)
def test_a_call_that_makes_no_sense_raises_and_runs_nothing(
    run: Runner, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    with pytest.raises((UsageError, ValueError)) as caught:
        run(["touch", tmp_path / "ran"], **wrong)
    assert isinstance(caught.value, GpuctlError)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("argv", [[], "true", b"true", [""], ["a\0b"]])
def test_a_command_that_is_none(run: Runner, argv: Any) -> None:
    with pytest.raises(UsageError):
        run(argv)


def test_words_that_look_like_flags_are_values(run: Runner, tmp_path: Path) -> None:
    report = run(
        ["/bin/sh", "-c", "touch ./-x.root"], workdir=tmp_path, keep=["-*"], output=tmp_path / "k"
    )
    assert report.kept == ("-x.root",)


def test_what_never_started_is_a_report_too(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = run(["/nowhere/at/all"], stderr=subprocess.DEVNULL)
    assert (missing.exit_code, missing.state) == (127, "never_started")
    refused = run(["true"], workdir=tmp_path / "no-parent", stderr=subprocess.DEVNULL)
    assert (refused.exit_code, refused.kill_reason.name) == (125, "SANDBOX_CREATE")
    monkeypatch.setenv("GPUCTL_TEST_WITHOUT", "private_dev,landlock,device_filter")
    fenced = run(["true"], fence="strict", stderr=subprocess.DEVNULL)
    assert (fenced.exit_code, fenced.kill_reason.code) == (125, 904)


def test_gpus_by_id_and_by_record(run: Runner, tmp_path: Path) -> None:
    root = compose("epn-mi50x8", tmp_path / "epn")
    if not has_device_nodes(root):
        pytest.skip("making stand-in device nodes needs CAP_MKNOD")
    first, second, *_ = gpuctl.Host(root).discover().gpus
    script = f"echo $ROCR_VISIBLE_DEVICES > {tmp_path}/seen"
    report = run(["/bin/sh", "-c", script], root=root, gpus=[first.id, second])
    assert report.gpus == (first, second)
    seen = (tmp_path / "seen").read_text(encoding="utf-8")
    assert seen == f"GPU-{first.unique_id},GPU-{second.unique_id}\n"


def test_events_come_while_the_job_runs(run: Runner, tmp_path: Path) -> None:
    events: list[Mapping[str, Any]] = []
    go = tmp_path / "go"

    def take(event: Mapping[str, Any]) -> None:
        validate("job-events.json", event)
        events.append(event)
        if event["event"] == "start":
            go.touch()  # the payload waits for it

    script = f"while [ ! -e {go} ]; do sleep 0.05; done"
    report = run(["/bin/sh", "-c", script], on_event=take, ttl=60)
    assert report.ok
    assert [event["event"] for event in events if event["event"] in ("start", "end")] == [
        "start",
        "end",
    ]


def test_an_exception_while_waiting_ends_the_job_first(run: Runner, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"trap 'echo TERM > {told}; exit' TERM; echo up; while :; do sleep 0.05; done"

    def fail(event: Mapping[str, Any]) -> None:
        if event["event"] == "start":
            time.sleep(0.3)  # for the trap to stand
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(["/bin/sh", "-c", script], on_event=fail, job="11", workdir=tmp_path, stdout=-3)
    assert told.read_text(encoding="utf-8") == "TERM\n"
    assert not (tmp_path / "alien-job-11").exists()


def test_ctrl_c_goes_to_the_payload_and_is_raised_when_it_is_gone(
    run: Runner, tmp_path: Path
) -> None:
    script = textwrap.dedent(
        """
        import signal, sys, time
        def tell(number, frame):
            open(sys.argv[1], "w").write(str(number)); sys.exit(0)
        signal.signal(signal.SIGINT, tell)
        open(sys.argv[2], "w").close()
        time.sleep(60)
        """
    )
    told, ready = tmp_path / "told", tmp_path / "ready"

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        _thread.interrupt_main()

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    # interrupt_main does not end a blocking read by itself; a real signal does
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            run([sys.executable, "-c", script, told, ready], job="12", workdir=tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        watcher.join()
    assert told.read_text(encoding="utf-8") == str(int(signal.SIGINT))
    assert not (tmp_path / "alien-job-12").exists()


def calling(payload: str, how: str, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A process of its own that calls `gpuctl.run`, to be killed."""
    state = str(tmp_path / "state")
    caller = (
        f"import sys, gpuctl; gpuctl.run(['sh', '-c', sys.argv[1]], {how}, state_dir={state!r})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", caller, payload],
        env={**os.environ, "TMPDIR": str(tmp_path)},  # what a killed interpreter leaves
        stdout=subprocess.PIPE,
    )


def test_the_job_outlives_its_caller_unless_it_is_told_not_to(tmp_path: Path) -> None:
    ready, go, finished = (tmp_path / name for name in ("ready", "go", "finished"))
    payload = f"echo up > {ready}; while [ ! -e {go} ]; do sleep 0.05; done; echo > {finished}"
    with calling(payload, "ttl=60", tmp_path) as process:
        wait_until(ready.exists)
        process.kill()
        process.wait()
        go.touch()
        wait_until(finished.exists)
        assert process.stdout is not None
        process.stdout.read()  # until the supervisor is gone too


def test_with_die_with_parent_the_job_ends_with_its_caller(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    payload = f"echo up > {ready}; exec sleep 600"
    with calling(payload, "ttl=600, die_with_parent=True", tmp_path) as process:
        wait_until(ready.exists)
        process.kill()
        assert process.stdout is not None
        process.stdout.read()  # ends when nobody holds the pipe any more
    assert list((tmp_path / "state" / "jobs" / str(os.getuid())).iterdir()) == []


def test_jobs_may_run_in_several_threads(run: Runner) -> None:
    codes: dict[int, int] = {}

    def one(number: int) -> None:
        codes[number] = run(["/bin/sh", "-c", f"exit {number}"]).exit_code

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {number: number for number in range(6)}


def test_no_report_folder_is_left(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    run(["true"])
    with pytest.raises(UsageError):
        run(["true"], gpus=["nope"])
    assert list(folder.iterdir()) == []


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_more_memory_than_it_may_use(run: Runner) -> None:
    """Without a cgroup gpuctl measures; the reason says who decided."""
    eat = "b = bytearray(150 << 20); import time; time.sleep(60)"
    command = [sys.executable, "-I", "-S", "-c", eat]
    report = run(command, memory="80", cgroups=False, forced_kill_timeout=1)
    assert (report.kill_reason.name, report.kill_reason.jalien_code) == ("MEMORY_USAGE", 80)
    within = run([sys.executable, "-c", "pass"], memory="2GB", cpus=1.5, pids=500)
    assert within.exit_code == 0


@pytest.mark.parametrize(
    "options",
    [{"memory": "lots"}, {"memory": "0"}, {"cpus": 0}, {"cpus": "-1"}, {"pids": 0}, {"pids": -3}],
    ids=str,
)
def test_limits_that_cannot_be(run: Runner, options: Mapping[str, Any]) -> None:
    with pytest.raises(UsageError):
        run(["true"], **options)


def test_ctrl_c_while_it_starts_ends_it(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the start and the hold on it; the payload would run on with nobody to end it."""
    started = []
    real = subprocess.Popen

    def start(*args: object, **more: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = real(*args, **more)  # type: ignore[call-overload]
        started.append(process)
        signal.raise_signal(signal.SIGINT)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "60"])
    [process] = started
    assert process.returncode is not None
