"""`gpuctl job` as a whole program: what the payload gets and keeps, its status, time, inputs."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from job_site import NEVER_STARTED, NOT_EXECUTABLE, NOT_FOUND, TTL_OVER, Site


def test_the_first_example_runs(site: Site, repository: Path) -> None:
    done = site.job(repository / "examples" / "hello.jdl", "--job", "1234")
    assert done.returncode == 0, done.stderr
    assert "Hello from gpuctl, job 1234" in done.stdout
    assert (site.folder / "gpuctl-1234" / "greeting.txt").is_file()


def test_streams_of_the_payload_pass_through_untouched(site: Site) -> None:
    site.script("cat; printf 'no newline'")
    done = site.job(site.jdl('Executable = "payload.sh";'), "-q", input="a\tb\n")
    assert done.stdout == "a\tb\nno newline"
    assert done.stderr == ""


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
        site.command("../job.jdl", "--job", "5"),
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


def test_the_ttl_of_the_jdl_ends_the_job(site: Site) -> None:
    site.script("sleep 600")
    report = site.report(site.jdl('Executable = "payload.sh"; TTL = 1;'))
    assert report["exit"]["gpuctl_exit_code"] == TTL_OVER
    assert report["kill_reason"]["name"] == "TTL"


def test_a_fifth_more_memory_than_the_jdl_asks_for(site: Site) -> None:
    """JAliEn's margin; what the flag says goes before."""
    site.script("exec python3 -I -S -c 'b = bytearray(100 << 20); import time; time.sleep(3)'")
    jdl = site.jdl('Executable = "payload.sh"; MemorySize = "100";')
    assert site.report(jdl, "--no-cgroups")["kill_reason"]["name"] == "OK"
    report = site.report(jdl, "--no-cgroups", "--memory", "60", "--forced-kill-timeout", "1s")
    assert report["kill_reason"]["name"] == "MEMORY_USAGE"


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


def test_names_that_are_no_utf8_are_names_too(site: Site) -> None:
    folder = site.folder / "caf\udce9"
    folder.mkdir()
    site.script("touch out", name="caf\udce9/payload.sh")
    jdl = site.jdl('Executable = "payload.sh"; Output = {"out"};', "caf\udce9/job.jdl")
    report = site.report(jdl, "--output", folder / "o", "--events", "events")
    assert report["exit"]["code"] == 0
    assert "caf\ufffd" in report["jdl"]["path"]
    assert site.events()[-1]["event"] == "end"
    refused = site.job(jdl, "--job", "\udce9")
    assert refused.returncode == 2
    assert "job id" in refused.stderr
    missing = site.job(folder / "no.jdl")
    assert missing.returncode == 2
