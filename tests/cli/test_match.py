"""`gpuctl match` as a whole program: answers, exit codes, files that are none."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Callable

import pytest
from nodes.compose import compose
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]

YES, NO, USAGE = 0, 1, 2
JOB = 'Executable = "x"; TTL = 3600; CPUCores = 8; GPU = "Radeon Instinct MI50 32GB"; GPUCount = 2;'


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str = JOB, name: str = "job.jdl") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def sitemaps(repository: Path) -> Path:
    return repository / "tests/data/sitemaps"


def test_a_job_that_fits(gpuctl: Run, job: Callable[..., Path], sitemaps: Path) -> None:
    done = gpuctl("match", job(), "--node", sitemaps / "epn-mi50.json")
    assert (done.returncode, done.stderr) == (YES, "")
    assert done.stdout == "epn-mi50: yes, with 0000:03:00.0, 0000:27:00.0\n"


def test_a_job_that_does_not_fit_hears_everything(
    gpuctl: Run, job: Callable[..., Path], sitemaps: Path
) -> None:
    text = JOB + ' Requirements = member(other.GridPartitions,"gpu") && other.Missing > 5;'
    done = gpuctl("match", job(text), "--node", sitemaps / "cpu8-el9.json")
    assert (done.returncode, done.stderr) == (NO, "")
    assert done.stdout.splitlines() == [
        "cpu8-el9: no",
        "  the node is not in the partition `gpu`",
        "  the node looks at the user, and the job names none",
        "  `other.Missing > 5`: the node does not tell `Missing`",
        "  2 GPUs wanted, but there is none here",
    ]


def test_several_nodes_as_json(gpuctl: Run, job: Callable[..., Path], sitemaps: Path) -> None:
    nodes = [word for path in sorted(sitemaps.glob("*.json")) for word in ("--node", path)]
    done = gpuctl("match", "--json", job(), *nodes)
    assert (done.returncode, done.stderr) == (YES, "")
    answer = json.loads(done.stdout)
    validate("match.json", answer)
    assert (answer["ok"], answer["best"], answer["nearest"]) == (True, "epn-mi50", None)
    fitting = [node["name"] for node in answer["nodes"] if node["ok"]]
    assert fitting == ["epn-mi50", "epn-quarantine"]
    assert len(answer["nodes"]) == 12


def test_the_nearest_of_those_that_do_not_fit(
    gpuctl: Run, job: Callable[..., Path], sitemaps: Path
) -> None:
    nodes = [word for path in sorted(sitemaps.glob("*.json")) for word in ("--node", path)]
    text = JOB.replace("GPUCount = 2", "GPUCount = 9")
    done = gpuctl("match", job(text), *nodes)
    assert done.returncode == NO
    assert done.stdout.endswith("nearest: epn-mi50, which lacks 1 thing\n")
    answer = json.loads(gpuctl("match", "--json", job(text), *nodes).stdout)
    validate("match.json", answer)
    assert answer["nearest"] == {
        "name": "epn-mi50",
        "lacks": ["9 GPUs wanted, but 8 of 8 fit"],
    }


def test_golden(gpuctl: Run, job: Callable[..., Path], repository: Path, sitemaps: Path) -> None:
    """`GPUCTL_WRITE_GOLDEN=1 ./dev test tests/cli/test_match.py` writes it anew."""
    path = job((repository / "tests/data/jdl/o2_gpu_reco_amd.jdl").read_text("utf-8"))
    nodes = ("epn-mi50", "epn-quarantine", "mig-a100", "old-pbs")
    words = [word for name in nodes for word in ("--node", sitemaps / f"{name}.json")]
    done = gpuctl("match", "--json", path, *words)
    answer = {**json.loads(done.stdout), "jdl": "o2_gpu_reco_amd.jdl"}
    validate("match.json", answer)
    golden = repository / "tests/golden/match/o2_gpu_reco_amd.json"
    if os.environ.get("GPUCTL_WRITE_GOLDEN"):
        golden.write_text(json.dumps(answer, indent=2) + "\n", encoding="utf-8")
    assert answer == json.loads(golden.read_text("utf-8"))


def test_this_node(gpuctl: Run, job: Callable[..., Path], tmp_path: Path) -> None:
    root = compose("epn-mi50x8", tmp_path / "epn")
    (tmp_path / "state").mkdir()
    text = 'Executable = "x"; TTL = 5; WorkDirectorySize = "1MB"; GPU = "MI50 32GB"; GPUCount = 8;'
    places = ("--root", root, "--state-dir", tmp_path / "state")
    env = {"CVMFS_PATH": str(tmp_path / "no"), "TMPDIR": str(tmp_path), "CPUCores": "8"}
    done = gpuctl("match", "--json", job(text), *places, env=env)
    answer = json.loads(done.stdout)
    validate("match.json", answer)
    assert (done.returncode, len(answer["nodes"][0]["gpus"])) == (YES, 8), answer


def test_constraints_that_no_node_knows(
    gpuctl: Run, job: Callable[..., Path], sitemaps: Path
) -> None:
    path = job('Executable = "x"; CPUCores = 8; SOMETHING = "x";')
    node = ("--node", sitemaps / "epn-mi50.json")
    assert gpuctl("match", path, *node).returncode == YES
    done = gpuctl("match", path, *node, "--constraint", "Something")
    assert (done.returncode, "no value of the constraint" in done.stdout) == (NO, True)


def test_what_is_wrong_with_a_sitemap_is_told(
    gpuctl: Run, job: Callable[..., Path], tmp_path: Path
) -> None:
    node = tmp_path / "n.json"
    node.write_text('{"Localhost": "bad\\u001b[31m", "TTL": NaN, "CPUCores": "8", "GPUs": [5]}')
    done = gpuctl("match", job(), "--node", node)
    assert done.returncode == NO
    assert "\x1b" not in done.stdout
    for words in ("`TTL` is a number that is none", "`CPUCores` is a text", "`GPUs[0]`"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no JDL file"),
        (["a.jdl", "b.jdl"], "2 operands"),
        (["nothing.jdl"], "there is no file"),
        (["ok.jdl", "--node", "nothing.json"], "there is no file"),
        (["ok.jdl", "--node", "."], "a directory"),
        (["ok.jdl", "--node", "rubbish.json"], "is no JSON"),
        (["ok.jdl", "--node", "fifo"], "FIFO"),
        (["bad.jdl"], "expected"),
        (["expression.jdl"], "`Requirements`: column 13"),
        (["ok.jdl", "--nodes", "x"], "--nodes"),
    ],
)
def test_usage(
    gpuctl: Run, job: Callable[..., Path], tmp_path: Path, arguments: list[str], words: str
) -> None:
    job(name="ok.jdl")
    job("Executable = {", name="bad.jdl")
    job('Executable = "x"; Requirements = other.TTL > > 5;', name="expression.jdl")
    job("[1, 2", name="rubbish.json")
    os.mkfifo(tmp_path / "fifo")
    done = gpuctl("match", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_help(gpuctl: Run) -> None:
    done = gpuctl("match", "--help")
    assert done.returncode == YES
    assert "--node" in done.stdout


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f'Executable = "x"; TTL = 5; CPUCores = 8; Blob = "{"x" * 10_000_000}";', YES),
        (f'Executable = "x"; Requirements = other.CE == "{"x" * 10_000_000}";', USAGE),
        (f'Executable = "x"; Requirements = {"(" * 60000}1{")" * 60000};', USAGE),
        (f'Executable = "x"; Requirements = {"!" * 60000}true;', USAGE),
        ('Executable = "x"; Requirements = regexp("(x+x+)+y$", other.Text);', NO),
        (f'Executable = "x"; GPU = "{"A/" * 100000}";', NO),
        (f'Executable = "x"; Packages = {{"{"p" * 1000000}"}};', NO),
    ],
    ids=range(7),
)
def test_hostile_jdls_end_soon(
    gpuctl: Run, job: Callable[..., Path], sitemaps: Path, tmp_path: Path, text: str, code: int
) -> None:
    node = {**json.loads((sitemaps / "epn-mi50.json").read_text("utf-8")), "Text": "x" * 60000}
    (tmp_path / "node.json").write_text(json.dumps(node))
    done = gpuctl("match", job(text), "--node", tmp_path / "node.json", timeout=60)
    assert done.returncode == code, done.stderr[:500]
    assert "Traceback" not in done.stderr
    assert len(done.stdout) + len(done.stderr) < 20000
