"""`gpuctl job` looks whether the job fits before it reserves: a person is told, a CE refused."""

from __future__ import annotations

import pytest
from job_site import NEVER_STARTED, Site

CE = "ALICE::CERN::EL9"
TEXT = """Executable = "payload.sh"; TTL = 3600; CPUCores = 2; WorkDirectorySize = "1MB";
    Requirements = member(other.GridPartitions,"prod") && other.NoSuchThing > 5;"""


@pytest.fixture
def ran(site: Site) -> Site:
    site.script(f"touch {site.folder / 'ran'}")
    return site


def reasons(report: dict[str, object]) -> list[tuple[str, str]]:
    match = report["match"]
    assert isinstance(match, dict)
    return [(each["name"], each["state"]) for each in match["unmet"]]


def test_by_hand_it_is_told(ran: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CE", raising=False)
    monkeypatch.setenv("CPUCores", "8")
    report = ran.report(ran.jdl(TEXT))
    assert report["exit"]["code"] == 0
    assert reasons(report) == [("partition", "unmet"), ("requirements", "unknown")]
    told = [line["text"] for line in report["trace"] if "does not fit" in line["text"]]
    assert told == [
        "does not fit: the node is not in the partition `prod`",
        "does not fit: `other.NoSuchThing > 5`: the node does not tell `NoSuchThing`",
    ]


@pytest.mark.parametrize("how", ["slot", "flag"])
def test_in_a_ces_slot_it_is_refused(ran: Site, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setenv("CPUCores", "8")
    monkeypatch.delenv("CE", raising=False)
    if how == "slot":
        monkeypatch.setenv("CE", CE)
    more = ("--match", "always") if how == "flag" else ()
    report = ran.report(ran.jdl(TEXT), *more)
    reason = report["kill_reason"]
    assert (reason["name"], reason["jalien_code"]) == ("JOBBROKER", 301)
    assert (report["state"], report["exit"]["gpuctl_exit_code"]) == ("never_started", NEVER_STARTED)
    assert [each["name"] for each in reason["detail"]["unmet"]] == ["partition", "requirements"]
    assert "the job does not fit this node" in reason["detail"]["text"]
    assert not (ran.folder / "ran").exists()


def test_a_job_that_fits_runs_in_a_slot(ran: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"CE": CE, "CPUCores": "8", "partition": ",prod,"}.items():
        monkeypatch.setenv(name, value)
    text = TEXT.replace("NoSuchThing", "CPUCores")
    report = ran.report(ran.jdl(text))
    assert (report["exit"]["code"], reasons(report)) == (0, [])


def test_who_does_not_want_it_looked_at(ran: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CE", CE)
    report = ran.report(ran.jdl(TEXT), "--match", "never")
    assert (report["exit"]["code"], reasons(report)) == (0, [])


def test_requirements_that_are_no_expression(ran: Site) -> None:
    done = ran.job(ran.jdl('Executable = "payload.sh"; Requirements = other.TTL >;'))
    assert done.returncode == 2
    assert "`Requirements`: column 12" in done.stderr
