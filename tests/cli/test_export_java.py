"""examples/java: an agent's ProcessBuilder, compiled and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nodes.compose import compose

GPU = "0000:63:00.0"
SPY = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ), os.getsid(0), os.getpid()]))
sys.exit(7)
"""


@pytest.fixture(scope="module")
def classes(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("javac") is None:
        reason = "no javac: the package default-jdk-headless has it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("classes")
    source = repository / "examples/java/GpuContainer.java"
    subprocess.run(
        ["javac", "-Xlint:all", "-Werror", "-d", folder, source], check=True, timeout=120
    )
    return folder


def program(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_an_agent_in_java_exposes_one_lease(
    classes: Path, gpuctl_binary: Path, tmp_path: Path
) -> None:
    node = compose("epn-mi50x8", tmp_path / "node", device_nodes=False)
    state = tmp_path / "state"
    reserve = ["reserve", "--owner-pid", str(os.getpid()), "--job", "L1", "--gpu", GPU]
    places = ["--root", str(node), "--state-dir", str(state)]
    subprocess.run([gpuctl_binary, *reserve, *places], check=True, capture_output=True, timeout=60)
    environment = {
        **os.environ,
        "GPUCTL": str(gpuctl_binary),
        "GPUCTL_ROOT": str(node),
        "GPUCTL_STATE_DIR": str(state),
        "APPTAINER": program(tmp_path / "apptainer", SPY),
        "APPTAINER_NV": "1",
        "HIP_VISIBLE_DEVICES": "0,1,2,3",
    }
    arguments = ["L1", "/srv/image", "sh", "-c", 'echo "a b"']
    done = subprocess.run(
        [
            "java",
            "-Xshare:auto",
            "-XX:TieredStopAtLevel=1",
            "-cp",
            classes,
            "GpuContainer",
            *arguments,
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    argv, environ, session, pid = json.loads(done.stdout)
    assert argv[:2] == ["exec", "-C"]
    assert argv[-4:] == arguments[1:]
    assert f"{node}/dev/dri/renderD131:/dev/dri/renderD131" in argv
    assert not {"--nv", "--rocm"} & set(argv)
    assert environ["APPTAINERENV_ROCR_VISIBLE_DEVICES"] == "GPU-5a1b3c0021723333"
    assert "APPTAINER_NV" not in environ
    assert "HIP_VISIBLE_DEVICES" not in environ
    assert session == pid


def test_a_lease_that_is_not_there_starts_nothing(classes: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "GPUCTL": program(tmp_path / "gpuctl", "#!/bin/sh\nexit 1\n"),
        "APPTAINER": program(tmp_path / "apptainer", SPY),
    }
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", classes, "GpuContainer", "L1", "image", "true"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "ended with 1" in done.stderr
