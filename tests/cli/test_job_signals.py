"""`gpuctl job` and death: signals to it, its own end by KILL, that of its supervisor."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from job_site import NEVER_STARTED, Site, wait_for
from schemas import report_in, validate


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
    with site.started(jdl, "--json", "--job", "8") as running:
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
    with site.started(jdl, "--job", "31") as running:
        wait_for(ready)
        running.kill()
        assert running.wait(60) == -signal.SIGKILL
        go.touch()
        assert wait_for(finished) == "yes\n"
        running.stdout and running.stdout.read()  # until the supervisor, which holds it, is gone
    assert list(site.work.iterdir()) == []
    again = site.job(site.jdl('Executable = "/bin/true";'), "--job", "31")
    assert again.returncode == 0


@pytest.mark.parametrize("before", [None, "an old report"])
def test_the_report_is_written_though_the_interpreter_is_dead(
    site: Site, before: str | None
) -> None:
    ready, go, report = (site.folder / name for name in ("ready", "go", "report.json"))
    if before is not None:
        report.write_text(before, encoding="utf-8")
    site.script(f"echo up > {ready}; while [ ! -e {go} ]; do sleep 0.1; done; exit 7")
    jdl = site.jdl('Executable = "payload.sh"; TTL = 120;')
    with site.started(jdl, "--job", "32", "--report", "report.json") as running:
        wait_for(ready)
        running.kill()
        running.wait(60)
        go.touch()
        running.stdout and running.stdout.read()  # until the supervisor, which holds it, is gone
    told = report_in(site.folder)
    assert (told["schema"], told["job"]["id"]) == ("gpuctl.run/1", "32")
    assert (told["state"], told["exit"]["code"]) == ("done", 7)
    assert not list((site.state / "jobs").glob("*/*"))


def test_the_report_is_written_though_interpreter_and_supervisor_are_dead(site: Site) -> None:
    """By the next start of this user, which finds the job by its records."""
    ready = site.folder / "ready"
    site.script(f"echo up > {ready}; exec sleep 60")
    jdl = site.jdl('Executable = "payload.sh"; TTL = 120;')
    with site.started(jdl, "--job", "33", "--report", "report.json") as running:
        wait_for(ready)
        (supervisor,) = children_of(running.pid)
        running.kill()
        os.kill(supervisor, signal.SIGKILL)
        running.wait(60)
    assert not (site.folder / "report.json").exists()
    assert site.job(site.jdl('Executable = "/bin/true";', "next.jdl")).returncode == 0
    told = report_in(site.folder)
    assert told["job"]["id"] == "33"
    assert list(site.work.iterdir()) == []


def test_the_death_of_the_supervisor_is_not_taken_for_an_answer(site: Site) -> None:
    ready = site.folder / "ready"
    site.script(f"echo $PPID > {ready}; exec sleep 60")
    with site.started(site.jdl('Executable = "payload.sh"; TTL = 120;')) as running:
        wait_for(ready)
        (supervisor,) = children_of(running.pid)
        os.kill(supervisor, signal.SIGKILL)
        _, stderr = running.communicate(timeout=60)
    assert running.returncode == 3
    assert "signal 9" in stderr
    assert "Traceback" not in stderr
    assert site.job(site.jdl('Executable = "/bin/true";', "next.jdl")).returncode == 0
    assert list(site.work.iterdir()) == []  # the next start has finished it, its cgroup too


def test_a_job_id_is_taken_once(site: Site) -> None:
    site.script("echo up > $1; exec sleep 60")
    ready = site.folder / "ready"
    jdl = site.jdl(f'Executable = "payload.sh"; Arguments = "{ready}";')
    with site.started(jdl, "--job", "42") as first:
        wait_for(ready)
        report = json.loads(site.job(jdl, "--job", "42", "--json").stdout)
        assert report["exit"]["gpuctl_exit_code"] == NEVER_STARTED
        again = site.job(site.jdl('Executable = "/bin/true";', "b.jdl"), "--job", "42.1")
        assert again.returncode == 0
        first.send_signal(signal.SIGTERM)
        assert first.wait(60) == 128 + signal.SIGTERM


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(word) for word in text.split()]
