"""`gpuctl probe` with vendor tools that misbehave: each run must answer, and in time.

The tools are small scripts that print a recording or part of it, hang, crash, fork, ignore TERM.
Times are compared with the deadline that was given, with room for a loaded machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

import gpuctl as gpuctl_api
import pytest
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Ask = Callable[..., "dict[str, Any]"]

DEADLINE = 2.0
ROOM = 20.0  # a loaded machine; a tool that were waited for would sleep for a minute
MARK = "gpuctl-test-stray"


def gpu(bus: str, name: str = "NVIDIA L40S") -> str:
    return f"""<gpu id="00000000:{bus}:00.0"><product_name>{name}</product_name>
<uuid>GPU-520e01f2-cf30-6396-abef-e8e9a5233b{bus.lower()}</uuid>
<pci><pci_bus_id>00000000:{bus}:00.0</pci_bus_id><pci_device_id>26B910DE</pci_device_id></pci>
<fb_memory_usage><total>46068 MiB</total><used>5 MiB</used></fb_memory_usage></gpu>"""


def document(*gpus: str) -> str:
    head = "<?xml version='1.0' ?><nvidia_smi_log><driver_version>570.172.08</driver_version>"
    return f"{head}<attached_gpus>{len(gpus)}</attached_gpus>{''.join(gpus)}</nvidia_smi_log>"


WHOLE = document(gpu("4A"), gpu("61"))
HALF = WHOLE[: WHOLE.index('<gpu id="00000000:61') + 60]
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"


class Tools:
    """A folder of stand-in tools, first on PATH."""

    def __init__(self, folder: Path, gpuctl: Run) -> None:
        self.folder = folder
        self.gpuctl = gpuctl

    def make(self, name: str, script: str, **texts: str) -> None:
        for key, text in texts.items():
            (self.folder / f"{name}.{key}").write_text(text, encoding="utf-8")
        tool = self.folder / name
        tool.write_text(f'#!/bin/sh\ncd "{self.folder}"\n{script}\n', encoding="utf-8")
        tool.chmod(0o755)

    def ask(self, *words: object) -> dict[str, Any]:
        """The answer, and that it came in time."""
        places = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        state: tuple[object, ...] = ("--state-dir", self.folder / "state")
        if "--deadline" not in words:
            state = (*state, "--deadline", f"{DEADLINE:.0f}s")
        started = time.monotonic()
        done = self.gpuctl("probe", "--json", *state, *words, env=places)
        assert time.monotonic() - started < DEADLINE + ROOM
        assert done.stdout, done.stderr
        answer = json.loads(done.stdout)
        validate("probe.json", answer)
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def tools(tmp_path: Path, gpuctl: Run) -> Iterator[Tools]:
    (tmp_path / "state").mkdir(mode=0o700)
    yield Tools(tmp_path, gpuctl)
    deadline = time.monotonic() + ROOM  # a killed process still has to be scheduled once to end
    while strays(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert strays(tmp_path) == [], "something of a tool is left"


def strays(folder: Path) -> list[int]:
    """Processes that have the test's folder as their working directory."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                if (each / "cwd").readlink() == folder and b"sleep" in (each / "comm").read_bytes():
                    found.append(int(each.name))
            except OSError:
                continue
    return found


def state_of(answer: dict[str, Any], source: str) -> str:
    return str(next(row["state"] for row in answer["sources"] if row["source"] == source))


def codes(answer: dict[str, Any]) -> list[str]:
    return [row["code"] for row in answer["problems"]]


def test_a_tool_that_answers(tools: Tools) -> None:
    tools.make("nvidia-smi", "cat nvidia-smi.xml", xml=WHOLE)
    answer = tools.ask("--source", "nvidia-smi")
    assert [each["id"] for each in answer["gpus"]] == ["0000:4a:00.0", "0000:61:00.0"]
    assert all(each["usable"] for each in answer["gpus"])
    assert answer["gpus"][0]["field_sources"]["memory_total_bytes"] == ["nvidia-smi"]
    assert (state_of(answer, "nvidia-smi"), codes(answer)) == ("ok", [])


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60",
        "trap '' TERM INT HUP; sleep 60; sleep 60",
        "cat nvidia-smi.xml; sleep 60",
        "cat nvidia-smi.xml; exec >&- 2>&-; sleep 60",
        "setsid sleep 60 & cat nvidia-smi.xml; sleep 60",
        "(setsid sh -c 'sleep 60' &) ; sleep 60",
        "while :; do echo x; sleep 0.1; done",
    ],
)
def test_a_tool_that_hangs_costs_its_own_answer(tools: Tools, script: str) -> None:
    tools.make("nvidia-smi", script, xml=WHOLE)
    tools.make("lspci", "printf 'Slot:\\t0000:4a:00.0\\nClass:\\t3D controller [0302]\\n"
               "Vendor:\\tNVIDIA Corporation [10de]\\nDevice:\\tAD102GL [L40S] [26b9]\\n"
               "Driver:\\tnvidia\\n'")  # fmt: skip
    answer = tools.ask("--source", "nvidia-smi", "--source", "lspci")
    assert state_of(answer, "nvidia-smi") == "hung"
    assert state_of(answer, "lspci") == "ok"
    assert codes(answer) == ["probe_hung"]
    card = answer["gpus"][0]
    assert (card["id"], card["device_id"]) == ("0000:4a:00.0", "26b9")
    assert card["health"]["state"] == "probe_hung"
    assert card["usable"], "a hung probe alone makes no GPU unusable"


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("(sleep 60 &); cat nvidia-smi.xml", "ok"),
        ("setsid sleep 60 & cat nvidia-smi.xml", "ok"),
        ("cat nvidia-smi.xml; kill -SEGV $$", "failed"),
        ("cat nvidia-smi.xml; exit 255", "failed"),
        ("echo WARNING: this is not XML >&2; cat nvidia-smi.xml", "ok"),
    ],
)
def test_what_was_told_is_kept(tools: Tools, script: str, state: str) -> None:
    tools.make("nvidia-smi", script, xml=WHOLE)
    answer = tools.ask("--source", "nvidia-smi")
    assert len(answer["gpus"]) == 2
    assert state_of(answer, "nvidia-smi") == state
    row = next(row for row in answer["sources"] if row["source"] == "nvidia-smi")
    assert row["duration_usec"] < DEADLINE * 1e6, "a child that holds the pipe is not waited for"


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("head -c 3000 /dev/urandom", "malformed"),
        ("echo hello", "malformed"),
        ("kill -KILL $$", "tool_failed"),
        ("exit 9", "tool_failed"),
        (f"echo '{MISMATCH}'; exit 0", "tool_failed"),
        (f"echo '{MISMATCH}' >&2; exit 18", "tool_failed"),
    ],
)
def test_a_tool_that_fails_is_a_problem(tools: Tools, script: str, code: str) -> None:
    tools.make("nvidia-smi", script)
    answer = tools.ask("--source", "nvidia-smi")
    assert answer["gpus"] == []
    assert state_of(answer, "nvidia-smi") == "failed"
    assert code in codes(answer)


HANGS_AT_THE_SECOND = """
    [ -e hang ] && { cat nvidia-smi.half; exec sleep 60; }
    exec cat nvidia-smi.xml
"""
BOTH_CARDS = "".join(
    f"Slot:\\t0000:{bus}:00.0\\nClass:\\t3D controller [0302]\\n"
    "Vendor:\\tNVIDIA Corporation [10de]\\nDevice:\\tAD102GL [L40S] [26b9]\\nDriver:\\tnvidia\\n\\n"
    for bus in ("4a", "61")
)


class Watched(Tools):
    """A node with two cards, of which the second hangs while the file `hang` is there."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools.folder, tools.gpuctl)
        self.make("nvidia-smi", HANGS_AT_THE_SECOND, xml=WHOLE, half=HALF)
        self.make("lspci", f"printf '{BOTH_CARDS}'")

    def probe(self, hang: bool) -> list[str]:
        """The codes of what it says."""
        flag = self.folder / "hang"
        flag.touch() if hang else flag.unlink(missing_ok=True)
        return codes(self.ask("--source", "nvidia-smi", "--source", "lspci", "--deadline", "1s"))

    def ledger(self, verb: str, *words: object) -> dict[str, Any]:
        done = self.gpuctl(verb, "--json", "--state-dir", self.folder / "state", *words)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def drained(self) -> list[tuple[str, str]]:
        return [(each["unit_id"], each["cause"]) for each in self.ledger("status")["drains"]]


@pytest.fixture
def watched(tools: Tools) -> Watched:
    return Watched(tools)


def test_three_hung_probes_in_a_row_drain_that_gpu_alone(watched: Watched) -> None:
    for hang in (True, True, False, True, True):
        assert "quarantined" not in watched.probe(hang)
    assert watched.drained() == []
    assert "quarantined" in watched.probe(hang=True)
    assert watched.drained() == [("0000:61:00.0", "health")]
    refused = watched.gpuctl("undrain", "0000:61:00.0", "--state-dir", watched.folder / "state")
    assert (refused.returncode, "a check that passes" in refused.stderr) == (1, True)


def test_a_quarantine_does_not_weaken_what_the_administrator_said(watched: Watched) -> None:
    host = gpuctl_api.Host(state_dir=watched.folder / "state")
    host.drain("0000:61:00.0", "new driver", level="evict")
    for _ in range(3):
        assert "quarantined" not in watched.probe(hang=True)
    (drain,) = watched.ledger("status")["drains"]
    assert (drain["level"], drain["reason"]) == ("evict", "new driver")


def test_probes_at_the_same_time_are_one(watched: Watched) -> None:
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda _: watched.probe(hang=True), range(4)))
    assert all("quarantined" not in each for each in said)
    assert "quarantined" not in watched.probe(hang=True)
    assert "quarantined" in watched.probe(hang=True)


def test_a_probe_that_finds_nothing_wrong_leaves_no_ledger(watched: Watched) -> None:
    assert watched.probe(hang=False) == []
    assert not (watched.folder / "state" / "ledger").exists()


def test_watching_counts_too(watched: Watched) -> None:
    (watched.folder / "hang").touch()
    places = {"PATH": f"{watched.folder}:{os.environ['PATH']}"}
    words = ("--watch", "0", "--count", "3", "--source", "nvidia-smi", "--source", "lspci")
    state = ("--state-dir", watched.folder / "state", "--deadline", "1s")
    done = watched.gpuctl("probe", "--json", *words, *state, env=places)
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    for sample in samples:
        validate("telemetry.json", sample)
    said = ["quarantined" in [row["code"] for row in sample["problems"]] for sample in samples]
    assert said == [False, False, True]


def test_half_a_document_loses_no_device(tools: Tools) -> None:
    tools.make("nvidia-smi", "cat nvidia-smi.xml", xml=HALF)
    answer = tools.ask("--source", "nvidia-smi")
    assert [each["id"] for each in answer["gpus"]] == ["0000:4a:00.0", "0000:61:00.0"]
    assert answer["gpus"][0]["memory_total_bytes"] == 46068 << 20
    assert "malformed" in codes(answer)


def test_a_flood_is_cut_off(tools: Tools) -> None:
    tools.make("nvidia-smi", "cat nvidia-smi.xml; exec cat /dev/zero", xml=WHOLE)
    answer = tools.ask("--source", "nvidia-smi")
    assert state_of(answer, "nvidia-smi") == "hung"


def test_an_error_of_the_driver_is_on_every_card(tools: Tools) -> None:
    tools.make("nvidia-smi", f"echo '{MISMATCH}'; exit 18")
    tools.make("lspci", "printf '0000:4a:00.0 3D controller [0302]: NVIDIA Corporation AD102GL "
               "[L40S] [10de:26b9] (rev a1)\\n'")  # fmt: skip
    answer = tools.ask("--source", "nvidia-smi", "--source", "lspci")
    [card] = answer["gpus"]
    assert "driver_mismatch" in [row["code"] for row in card["health"]["reasons"]]
    assert not card["usable"]


def test_a_tool_that_is_not_installed_is_missing(tools: Tools) -> None:
    answer = tools.ask("--source", "xpu-smi")
    assert (state_of(answer, "xpu-smi"), codes(answer)) == ("missing", [])


def test_a_file_that_cannot_be_executed_is_missing(tools: Tools) -> None:
    tools.make("xpu-smi", "")
    (tools.folder / "xpu-smi").write_bytes(b"\x7fELF not really")
    assert state_of(tools.ask("--source", "xpu-smi"), "xpu-smi") == "missing"


def test_lspci_from_a_container_where_the_host_has_none(tools: Tools) -> None:
    line = "0000:4a:00.0 3D controller [0302]: NVIDIA Corporation AD102GL [L40S] [10de:26b9]"
    tools.make("apptainer", f"echo \"$@\" > said; echo '{line} (rev a1)'")
    places = {"PATH": str(tools.folder)}
    for name in ("cat", "sh"):
        (tools.folder / name).symlink_to(f"/bin/{name}")
    words = ("--source", "lspci", "--container", "image.sif", "--state-dir", tools.folder / "state")
    done = tools.gpuctl("probe", "--json", *words, env=places)
    row = next(row for row in json.loads(done.stdout)["sources"] if row["source"] == "lspci")
    if (tools.folder / "said").exists():  # else this host has lspci in a usual place
        assert "image.sif lspci" in (tools.folder / "said").read_text(encoding="utf-8")
    assert row["state"] == "ok"


def test_the_words_of_the_command(gpuctl: Run) -> None:
    for words, remedy in (
        (("--from", "/nowhere/at/all"), "give `--from` KIND=FILE"),
        (("--from", "lspci=/nowhere"), "`/nowhere` is not there"),
        (("--source", "magic"), "unknown source `magic`"),
        (("--deadline", "0"), "`deadline` is 0"),
        (("--deadline", "soon"), "expected"),
        (("--count", "3"), "goes with `--watch`"),
        (("--watch", "1s", "--count", "0"), "give a number above 0"),
        (("--watch", "1s", "--from", "/dev/null"), "leave out `--watch`"),
        (("--from", "/dev/null", "--source", "lspci"), "leave out its options"),
        (("file.txt",), "is no option"),
    ):
        done = gpuctl("probe", *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert remedy in done.stderr, done.stderr


def test_watch_prints_a_line_a_sample(tools: Tools) -> None:
    tools.make("nvidia-smi", "cat nvidia-smi.xml", xml=WHOLE)
    places = {"PATH": f"{tools.folder}:{os.environ['PATH']}"}
    words = ("--watch", "0", "--count", "3", "--source", "nvidia-smi", "--json")
    done = tools.gpuctl("probe", *words, "--state-dir", tools.folder / "state", env=places)
    samples = [json.loads(line) for line in done.stdout.splitlines()]
    for sample in samples:
        validate("telemetry.json", sample)
    assert [len(sample["gpus"]) for sample in samples] == [2, 2, 2]
    assert samples[0]["gpus"][0]["memory_used_bytes"] == 5 << 20
    assert done.returncode == 0


def test_watch_tells_a_gpu_that_goes(tools: Tools) -> None:
    script = "if [ -e seen ]; then cat nvidia-smi.one; else touch seen; cat nvidia-smi.two; fi"
    tools.make("nvidia-smi", script, two=WHOLE, one=document(gpu("4A")))
    places = {"PATH": f"{tools.folder}:{os.environ['PATH']}"}
    words = ("--watch", "0", "--count", "2", "--source", "nvidia-smi", "--json")
    done = tools.gpuctl("probe", *words, "--state-dir", tools.folder / "state", env=places)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["events"] == [{"action": "gone", "id": "0000:61:00.0"}]
