"""The table of health, and how a GPU comes back: bad news at once, good news only when it lasts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gpuctl.discovery.health import RULES, STATES, rule_for, worst
from gpuctl.discovery.history import GOOD_IN_A_ROW, History
from gpuctl.discovery.reading import Finding

ID = "0000:63:00.0"


@pytest.mark.parametrize(
    ("topic", "value", "code", "usable"),
    [
        (
            "nvidia.message",
            "GPU is lost.  Reboot the system to recover this GPU",
            "gpu_lost",
            False,
        ),
        ("nvidia.message", "Unknown Error", "unknown_error", False),
        (
            *("nvidia.message", "Failed to initialize NVML: Driver/library version mismatch"),
            *("driver_mismatch", False),
        ),
        (
            "nvidia.message",
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make",
            "driver_not_loaded",
            False,
        ),
        ("nvidia.message", "Driver Not Loaded", "driver_not_loaded", False),
        ("nvidia.message", "No devices were found", "driver_sees_none", False),
        ("nvidia.message", "something that nobody saw before", "tool_error", True),
        ("nvidia.cell", "temperature: ERR!", "unknown_error", False),
        ("nvidia.ecc_uncorrected", "2", "ecc_uncorrected", False),
        ("nvidia.retired_pending", "Yes", "retire_pending", False),
        ("nvidia.remap_pending", "Yes", "remap_pending", False),
        ("nvidia.remap_failure", "1", "remap_failed", False),
        ("nvidia.xid", "79, GPU has fallen off the bus", "xid", False),
        ("nvidia.xid", "31, pid=4711", "xid_application", True),
        ("nvidia.thermal", "Active", "thermal_brake", True),
        ("nvidia.power_brake", "Active", "power_brake", True),
        ("nvidia.recovery_action", "Reset", "recovery_wanted", False),
        ("amd.ras", "uncorrectable: 3", "ras_uncorrected", False),
        ("pci.revision", "ff", "config_all_ones", False),
        ("driver", "vfio-pci", "passed_through", False),
        ("probe", "hung", "probe_hung", True),
    ],
)
def test_what_a_finding_means(topic: str, value: str, code: str, usable: bool) -> None:
    rule = rule_for(Finding(topic, value))
    assert rule is not None
    assert (rule.code, rule.usable) == (code, usable)


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ("nvidia.ecc_uncorrected", "0"),
        ("nvidia.remap_pending", "No"),
        ("nvidia.thermal", "Not Active"),
        ("nvidia.recovery_action", "None"),
        ("nvidia.retired_pending", "0"),
        ("no.such.topic", "1"),
    ],
)
def test_what_says_nothing(topic: str, value: str) -> None:
    assert rule_for(Finding(topic, value)) is None


def test_every_row_is_of_a_known_state_and_on_the_page(repository: Path) -> None:
    page = (repository / "docs/design/discovery.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert rule.state in STATES
        assert rule.clears in ("steady", "test", "reboot")
        assert f"| `{rule.code}` | {rule.state} |" in page
    assert worst(["ok", "lost", "degraded"]) == "lost"


def answer(*codes: str) -> dict[str, Any]:
    rules = [next(rule for rule in RULES if rule.code == code) for code in codes]
    reasons = [{"code": r.code, "detail": r.detail, "since_at": None} for r in rules]
    health = {"state": worst([rule.state for rule in rules]), "reasons": reasons}
    usable = all(rule.usable for rule in rules)
    return {"gpus": [{"id": ID, "health": health, "usable": usable}]}


def judged(history: History, *codes: str) -> tuple[str, bool]:
    [gpu] = history.judge(answer(*codes))["gpus"]
    return gpu["health"]["state"], gpu["usable"]


def test_good_news_must_last() -> None:
    history = History()
    assert judged(history) == ("ok", True)
    assert judged(history, "no_driver") == ("no_driver", False)
    for _ in range(GOOD_IN_A_ROW - 1):
        assert judged(history) == ("no_driver", False)
    assert judged(history, "no_driver") == ("no_driver", False)  # it flickers: from the start
    for _ in range(GOOD_IN_A_ROW - 1):
        assert judged(history) == ("no_driver", False)
    assert judged(history) == ("ok", True)


def test_a_lost_card_needs_its_test() -> None:
    history = History()
    judged(history, "gpu_lost")
    for _ in range(20):
        assert judged(history) == ("lost", False)
    assert not history.readmit(ID, test=lambda: False)
    assert judged(history) == ("lost", False)
    assert history.readmit(ID, test=lambda: True)
    assert judged(history) == ("ok", True)


def test_a_test_does_not_clear_what_is_still_seen() -> None:
    history = History()
    judged(history, "gpu_lost")
    assert history.readmit(ID, test=lambda: True)
    assert judged(history) == ("lost", False)


def test_a_mismatch_lasts_until_the_machine_was_booted() -> None:
    history = History()
    judged(history, "driver_mismatch")
    for _ in range(10):
        assert judged(history) == ("no_driver", False)
    history._boot_id = "another"
    assert judged(history) == ("ok", True)


def test_since_is_the_first_time_and_survives_a_restart(tmp_path: Path) -> None:
    ticks = iter(range(10**15, 10**16, 10**6))
    history = History(clock=lambda: next(ticks))
    first = history.judge(answer("gpu_lost"))["gpus"][0]["health"]["reasons"][0]["since_at"]
    history.save(tmp_path / "health.json")
    again = History()
    again.load(tmp_path / "health.json")
    reason = again.judge(answer("gpu_lost"))["gpus"][0]["health"]["reasons"][0]
    assert reason["since_at"] == first
    (tmp_path / "health.json").write_text('{"a": [{}]}', encoding="utf-8")
    again.load(tmp_path / "health.json")  # what cannot be read is no error


def test_a_hung_probe_takes_no_gpu_away() -> None:
    assert judged(History(), "probe_hung") == ("probe_hung", True)
