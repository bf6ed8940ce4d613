"""`gpuctl config`: every setting, where it comes from, and what may not be weakened."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def settings(gpuctl: Run, *arguments: object, **env: str) -> dict[str, dict[str, Any]]:
    done = gpuctl("config", "--json", *arguments, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["schema"] == "gpuctl.config/1"
    return {each["key"]: each for each in answer["settings"]}


def refused(gpuctl: Run, *arguments: object, **env: str) -> str:
    done = gpuctl(*arguments, env=env)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_defaults_name_themselves(gpuctl: Run) -> None:
    found = settings(gpuctl)
    assert found["fence"]["value"] == "best"
    assert {each["origin"] for each in found.values()} <= {"default", "/etc/gpuctl/config.json"}
    assert found["ttl"]["value"] is None


def test_each_source_over_the_one_before(gpuctl: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", {"ttl": "1h", "outer_grace": 7, "fence": "advisory"})
    env = {"GPUCTL_CONFIG": str(file), "GPUCTL_OUTER_GRACE": "8"}
    found = settings(gpuctl, "--state-dir", "/from/flag", **env)
    assert (found["ttl"]["value"], found["ttl"]["origin"]) == ("1h", str(file))
    assert (found["outer_grace"]["value"], found["outer_grace"]["origin"]) == (
        "8",
        "environment GPUCTL_OUTER_GRACE",
    )
    assert (found["state_dir"]["value"], found["state_dir"]["origin"]) == (
        "/from/flag",
        "flag --state-dir",
    )
    assert found["fence"]["enforced_by"] is None


def test_text_for_people_has_every_setting(gpuctl: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", {"enforce": {"fence": "strict"}})
    done = gpuctl("config", env={"GPUCTL_CONFIG": str(file)})
    for key in settings(gpuctl):
        assert f"{key} = " in done.stdout
    assert f"enforced by {file}" in done.stdout


@pytest.mark.parametrize(
    ("enforced", "variable", "weaker", "stronger"),
    [
        ({"fence": "best"}, "GPUCTL_FENCE", "advisory", "strict"),
        ({"ttl": "1h"}, "GPUCTL_TTL", "2h", "3599"),
        ({"forced_kill_timeout": "60s"}, "GPUCTL_FORCED_KILL_TIMEOUT", "61", "1m"),
        ({"state_dir": "/one"}, "GPUCTL_STATE_DIR", "/two", "/one"),
    ],
)
def test_enforced_values_can_only_get_stronger(
    gpuctl: Run, tmp_path: Path, enforced: dict[str, str], variable: str, weaker: str, stronger: str
) -> None:
    file = write(tmp_path / "c.json", {"enforce": enforced})
    [key] = enforced
    env = {"GPUCTL_CONFIG": str(file)}
    assert settings(gpuctl, **env)[key]["enforced_by"] == str(file)
    assert settings(gpuctl, **env, **{variable: stronger})[key]["value"] == stronger
    words = refused(gpuctl, "config", **env, **{variable: weaker})
    assert "enforced by" in words
    assert variable in words


def test_run_obeys_what_is_enforced(gpuctl: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", {"enforce": {"ttl": "5"}})
    words = refused(gpuctl, "run", "--ttl", "6", "--", "true", GPUCTL_CONFIG=str(file))
    assert "enforced" in words


def test_a_files_own_settings_are_held_to_its_enforce(gpuctl: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", {"fence": "advisory", "enforce": {"fence": "strict"}})
    assert "enforced" in refused(gpuctl, "config", GPUCTL_CONFIG=str(file))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"ttl": "1h"', "not a JSON object"),
        ('{"ttl": 1}x', "not a JSON object"),
        ("\0\1\2", "not a JSON object"),
        ({"tttl": "1h"}, "unknown setting `tttl`"),
        ({"ttl": -1}, "expected a string, a number or a boolean"),
        ({"ttl": None}, "expected a string, a number or a boolean"),
        ({"ttl": ["1h"]}, "expected a string, a number or a boolean"),
        ({"ttl": "soon"}, "a duration"),
        ({"fence": "Strict"}, "expected one of"),
        ({"enforce": []}, "`enforce` is not a JSON object"),
        ({"enforce": {"enforce": {}}}, "unknown setting `enforce`"),
        ({"state_dir": ""}, "expected a path"),
    ],
)
def test_bad_files(gpuctl: Run, tmp_path: Path, content: object, words: str) -> None:
    file = write(tmp_path / "c.json", content)
    said = refused(gpuctl, "config", GPUCTL_CONFIG=str(file))
    assert words in said
    assert str(file) in said


def test_a_config_that_is_no_file(gpuctl: Run, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "missing"):
        assert str(place) in refused(gpuctl, "config", GPUCTL_CONFIG=str(place))
    huge = tmp_path / "huge"
    huge.write_bytes(b" " * (2 << 20))
    assert "larger than" in refused(gpuctl, "config", GPUCTL_CONFIG=str(huge))


def test_deep_nesting_is_refused(gpuctl: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", '{"ttl":' + "[" * 100_000 + "]" * 100_000 + "}")
    assert "`ttl`" in refused(gpuctl, "config", GPUCTL_CONFIG=str(file))


def test_an_empty_variable_is_none(gpuctl: Run) -> None:
    assert settings(gpuctl, GPUCTL_TTL="")["ttl"]["origin"] == "default"
