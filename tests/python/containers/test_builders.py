"""The command lines, as they arrive at a runtime: a stand-in that prints what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from compiled import FUTURE, image_with
from gpuctl.containers import apptainer, choose, podman
from gpuctl.containers.choose import ContainerError, Wish, choose_container
from gpuctl.containers.probe import find_runtime
from gpuctl.containers.request import Bind, ContainerRequest, Exposure, Launch
from gpuctl.settings import Settings

SPY = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""
PAYLOAD = ("/bin/echo", "%W:not ours", "$HOME `id` \"'", "", "--nv")
EXPOSURE = Exposure(
    argv=("--bind", "/dev/nvidia0:/dev/nvidia0"),
    environment={"APPTAINERENV_CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"},
    unset=("APPTAINER_NV",),
)
REQUEST = ContainerRequest(
    "/srv/image", PAYLOAD, EXPOSURE, (Bind("/srv/data", "/data", True),), {"ALIEN_SITE": "X"}
)


@pytest.fixture
def spy(tmp_path: Path) -> str:
    path = tmp_path / "spy"
    path.write_text(SPY, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def heard(launch: Launch, **told: str) -> tuple[list[str], dict[str, str]]:
    base = {**os.environ, "APPTAINER_NV": "1", **told}
    done = subprocess.run(
        launch.argv, env=launch.environ(base), capture_output=True, text=True, check=True
    )
    argv, environ = json.loads(done.stdout)
    return argv, environ


def test_apptainer(spy: str, tmp_path: Path) -> None:
    work = str(tmp_path / 'a "$(b)" c')
    argv, environ = heard(
        apptainer.launch(spy, REQUEST), GPUCTL_JOB_WORKDIR=work, GPUCTL_JOB_NONCE="ab12"
    )
    assert argv == [
        *("--silent", "exec", "--containall", *(["--no-privs"] if os.geteuid() == 0 else [])),
        *("--bind", "/dev/nvidia0:/dev/nvidia0"),
        *("--bind", f"{work}:/workdir", "--pwd", "/workdir", "--bind", "/srv/data:/data:ro"),
        *("/srv/image", *PAYLOAD),
    ]
    assert environ["APPTAINERENV_CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert environ["APPTAINERENV_GPUCTL_JOB_NONCE"] == "ab12"
    assert environ["APPTAINERENV_GPUCTL_JOB_WORKDIR"] == "/workdir"
    assert environ["APPTAINERENV_ALIEN_SITE"] == "X"
    assert "APPTAINER_NV" not in environ
    assert "APPTAINERENV_ALIEN_PROC_ID" not in environ  # it has none


def test_podman(spy: str, tmp_path: Path) -> None:
    request = replace(REQUEST, exposure=Exposure(("--device=/dev/nvidia0",)), shm_bytes=1 << 30)
    request = replace(request, image=str(tmp_path), rlimits=(("nofile", 1024, 4096),))
    launch = podman.launch(spy, request, ("--cgroup-manager=cgroupfs",))
    argv, environ = heard(launch, GPUCTL_JOB_WORKDIR="/srv/work", ALIEN_PROC_ID="4711")
    assert argv[:2] == ["--cgroup-manager=cgroupfs", "run"]
    options = argv[2 : argv.index("--rootfs")]
    assert {
        *("--rm", "--cgroups=disabled", "--network=host", "--pid=private"),
        *("--device=/dev/nvidia0", "--shm-size=1073741824b", "--ulimit=nofile=1024:4096"),
        *("/srv/work:/workdir", "--workdir=/workdir", "--volume=/srv/data:/data:ro"),
        *("--env=ALIEN_SITE", "--env=ALIEN_PROC_ID", "--env=GPUCTL_JOB_WORKDIR=/workdir"),
    } <= set(options)
    assert argv[argv.index("--rootfs") :] == [
        *("--rootfs", f"{tmp_path}:O"),
        *("/opt/gpuctl/bin/gpuctl", "container-init", "--", *PAYLOAD),
    ]
    assert (environ["ALIEN_SITE"], environ["ALIEN_PROC_ID"]) == ("X", "4711")


def test_neither_ever_binds_all_devices(spy: str) -> None:
    for launch in (apptainer.launch(spy, REQUEST), podman.launch(spy, REQUEST)):
        options = launch.argv[4 : launch.argv.index("/srv/image")]
        assert not {"--nv", "--nvccli", "--rocm", "--privileged", "--gpus"} & set(options)
        assert not any(word.rstrip("/").endswith(("=/dev", ":/dev")) for word in options)


def test_without_a_work_directory_none_is_told(spy: str) -> None:
    argv, environ = heard(apptainer.launch(spy, replace(REQUEST, workdir=False)))
    assert "--pwd" not in argv
    assert "APPTAINERENV_GPUCTL_JOB_WORKDIR" not in environ


def test_a_lost_work_directory_starts_nothing(spy: str) -> None:
    launch = apptainer.launch(spy, REQUEST)
    base = {name: value for name, value in os.environ.items() if name != "GPUCTL_JOB_WORKDIR"}
    done = subprocess.run(launch.argv, env=launch.environ(base), capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == ""


# ---- which runtime ----


def runtime_in(folder: Path, name: str, script: str) -> Path:
    path = folder / name / ("current" if os.uname().machine == "x86_64" else "none") / "bin" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    path.chmod(0o755)
    return path


def settings(folder: Path, **more: Any) -> Settings:
    return Settings.load(more)


def test_the_sites_folder_comes_before_path(tmp_path: Path) -> None:
    own = runtime_in(tmp_path, "apptainer", "exit 0")
    found = find_runtime("apptainer", tmp_path, {"PATH": "/nowhere"})
    assert found is not None
    assert found.program == str(own)
    forced = find_runtime("apptainer", tmp_path, {"PATH": "/nowhere", "FORCE_BINPATH": "/bin/true"})
    assert forced is not None
    assert forced.program == "/bin/true"
    assert find_runtime("podman", tmp_path, {"PATH": "/nowhere"}) is None


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site whose runtimes are in its folder; no podman on PATH is met."""
    monkeypatch.setenv("GPUCTL_RUNTIME_DIR", str(tmp_path / "bin"))
    monkeypatch.setenv("GPUCTL_IMAGE_DIR", str(tmp_path / "images"))
    (tmp_path / "images/default").mkdir(parents=True)
    return tmp_path


NO_PATH = {"PATH": "/nowhere"}


def test_a_runtime_that_cannot_start_the_image_is_passed_over(site: Path) -> None:
    runtime_in(site / "bin", "apptainer", "echo FATAL: no user namespaces >&2; exit 255")
    runtime_in(site / "bin", "podman", "echo gpuctl-container-works; echo status 127")
    container = choose_container(Wish("auto"), Settings.load({}), NO_PATH)
    assert container.runtime is not None
    assert container.runtime.name == "podman"


def test_none_that_works_and_none_demanded_is_no_container(site: Path) -> None:
    runtime_in(site / "bin", "apptainer", "echo FATAL: no user namespaces >&2; exit 255")
    container = choose_container(Wish("auto"), Settings.load({}), NO_PATH)
    assert container.runtime is None
    assert "no user namespaces" in container.warnings[0]
    assert container.launch(("a", "b")).argv == ("a", "b")


def test_its_words_are_told_without_their_colours(site: Path) -> None:
    """Apptainer's last line of words is followed by one that ends the colour."""
    script = "printf '\\033[31mFATAL: no such image\\n\\033[0m\\n' >&2; exit 255"
    runtime_in(site / "bin", "apptainer", script)
    with pytest.raises(ContainerError, match=r"cannot start it: FATAL: no such image$"):
        choose_container(Wish("apptainer"), Settings.load({}), NO_PATH)


@pytest.mark.parametrize(
    "wish", [Wish("apptainer"), Wish("auto", job_container="/srv/image"), Wish("podman")]
)
def test_one_that_was_demanded_must_be_had(site: Path, wish: Wish) -> None:
    with pytest.raises(ContainerError, match="not installed"):
        choose_container(wish, Settings.load({}), NO_PATH)


def test_jalien_may_forbid_nested_containers(site: Path) -> None:
    runtime_in(site / "bin", "apptainer", "echo gpuctl-container-works")
    environ = {**NO_PATH, "DISABLE_NESTED_CONTAINERS": "1"}
    assert choose_container(Wish("auto"), Settings.load({}), environ).runtime is None
    assert choose_container(Wish("auto"), Settings.load({}), NO_PATH).runtime is not None
    assert choose_container(Wish("none"), Settings.load({}), NO_PATH).runtime is None


def test_a_drivers_library_that_the_image_cannot_load_is_the_reason(
    site: Path, libc: Path, future_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started: the version by name, unless the image brings its own."""
    runtime_in(site / "bin", "apptainer", "echo gpuctl-container-works")
    monkeypatch.setattr(choose, "host_libraries", lambda vendors: (str(future_library),))
    wish = Wish("auto", gpu_ids=("0000:63:00.0",), vendors=("nvidia",))
    wish = replace(wish, image=str(image_with(site / "el8", libc)))
    with pytest.raises(ContainerError, match=f"needs {FUTURE} of libc.so.6") as caught:
        choose_container(wish, Settings.load({}), NO_PATH)
    assert caught.value.sanity
