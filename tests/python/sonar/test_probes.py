"""The Site Sonar probes as programs: what they print, on this machine and on stranger ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SITESONAR = Path(__file__).resolve().parents[3] / "sitesonar"
PROBES = SITESONAR / "sitesonar.d"
NAMES = ("cgroups", "containers", "cpu", "cvmfs", "disk", "gpu", "isolation", "lingering", "os")
MAX_BYTES = 3000
# what the probes may use; a test can leave some of it out
TOOLS = (
    *("attr", "cat", "cut", "df", "getconf", "getfattr", "grep", "head", "id", "ls", "nproc"),
    *("podman", "apptainer", "python3", "sed", "sh", "sleep", "sort", "stat", "systemctl", "tr"),
    *("timeout", "true", "uname", "unshare", "lspci", "taskset", "kill"),
)
NOBODY = 65534

Run = Callable[..., dict[str, Any]]


def run_probe(
    name: str,
    env: Mapping[str, str] | None = None,
    shell: Sequence[str] = ("sh",),
    probes: Path = PROBES,
    **more: Any,
) -> dict[str, Any]:
    """Its object, which is what its schema says."""
    done = subprocess.run(
        [*shell, str(probes / f"{name}.sh")],
        env={"PATH": os.environ["PATH"], **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
        **more,
    )
    assert done.returncode == 0, done.stderr
    return checked(name, done.stdout, done.stderr)


def checked(name: str, stdout: bytes, stderr: bytes = b"") -> dict[str, Any]:
    assert len(stdout) < MAX_BYTES
    assert stdout.isascii()
    assert stderr == b""
    found: dict[str, Any] = json.loads(stdout)
    schema = json.loads((SITESONAR / f"schema/{name}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(found)
    return found


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A PATH with some of TOOLS only, and more programs of the test's own."""

    def make(without: Sequence[str] = (), **scripts: str) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        for tool in set(TOOLS) - set(without):
            found = shutil.which(tool)
            if found is not None:
                (folder / tool).symlink_to(found)
        for script, text in scripts.items():
            path = folder / script.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        return {"PATH": str(folder)}

    return make


def test_a_setting_of_the_kernel_is_read_whole() -> None:
    """Its files give a shell that reads byte by byte the first digit only."""
    found = run_probe("isolation")
    setting = Path("/proc/sys/user/max_user_namespaces")
    assert found["max_user_namespaces"] == (int(setting.read_text()) if setting.exists() else None)
    if not Path("/sys/kernel/security/lsm").exists():
        assert found["landlock"] is None


def test_these_are_all_probes() -> None:
    assert sorted(path.stem for path in PROBES.glob("*.sh")) == list(NAMES)
    assert sorted(path.stem for path in (SITESONAR / "schema").glob("*.json")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_here(name: str) -> None:
    run_probe(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_in_every_shell(name: str, shell: str) -> None:
    words = shell.split()
    if shutil.which(words[0]) is None:
        assert shutil.which("apt-get") is None, "`./dev test` installs it"
        pytest.skip(f"EL has no {words[0]}")
    run_probe(name, shell=words)


@pytest.mark.parametrize("name", NAMES)
def test_as_another_user_without_home(name: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("to become another user needs root")
    # a copy: a checkout in root's home is not open to others
    with tempfile.TemporaryDirectory(prefix="gpuctl-probes-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        probes = shutil.copytree(PROBES, Path(folder) / "sitesonar.d")
        run_probe(name, probes=probes, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")


@pytest.mark.parametrize("name", NAMES)
def test_without_tools(name: str, bare: Callable[..., dict[str, str]]) -> None:
    """No lspci, no timeout, no unshare: what is not known is null."""
    left_out = ("lspci", "timeout", "unshare", "getfattr", "attr", "systemctl", "nproc", "python3")
    run_probe(name, bare(left_out))


def test_the_same_machine_by_lspci_and_by_sysfs(bare: Callable[..., dict[str, str]]) -> None:
    by_sysfs = run_probe("gpu", bare(["lspci"]))
    assert by_sysfs["source"] == "sysfs"
    if shutil.which("lspci") is not None:
        by_lspci = run_probe("gpu")
        assert by_lspci["source"] == "lspci"
        assert {**by_lspci, "source": ""} == {**by_sysfs, "source": ""}


LSPCI = """cat <<'LINES'
0000:03:00.0 0380: 1002:66a1 (rev 02)
0000:27:00.0 0380: 1002:66a1 (rev 02)
0000:41:00.0 0302: 10de:20b0 (rev a1)
0000:42:00.0 0302: 10de:20b0 (rev ff)
0000:43:00.0 0680: 10de:1af1 (rev a1)
0000:44:00.0 0403: 10de:22bc (rev a1)
0000:9a:00.0 0380: 8086:0bda (rev 2f)
0000:9b:00.0 1200: 8086:7d1d (rev 04)
0000:c4:00.0 0300: 1a03:2000 (rev 41)
0000:c5:00.0 0300: 1002:515e (rev 02)
0001:00:00.0 1200: 1002:74a1
LINES"""


def test_gpus_of_all_vendors_and_nothing_else(bare: Callable[..., dict[str, str]]) -> None:
    found = run_probe("gpu", bare(["lspci"], lspci=LSPCI))
    assert found["source"] == "lspci"
    assert (found["count"], found["vendors"]) == (5, ["nvidia", "amd", "intel"])
    assert found["devices"] == {"1002:66a1": 2, "1002:74a1": 1, "10de:20b0": 1, "8086:0bda": 1}


def test_lspci_of_a_container_where_the_host_has_none(bare: Callable[..., dict[str, str]]) -> None:
    env = bare(
        ["lspci", "apptainer"], apptainer=f'[ "$1 $2 $3" = "exec /img lspci" ] || exit 9\n{LSPCI}'
    )
    found = run_probe("gpu", {**env, "SITESONAR_IMAGE": "/img"})
    assert (found["source"], found["count"]) == ("container", 5)


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ("echo GPU 0: A100; exit 0", "ok"),
        ("echo no devices >&2; exit 6", "failed"),
        ("trap '' TERM INT; while :; do sleep 1; done", "hung"),
    ],
)
def test_a_vendor_tool_that_works_fails_or_hangs(
    bare: Callable[..., dict[str, str]], tmp_path: Path, script: str, state: str
) -> None:
    quick = 'shift 3; exec timeout -s KILL 1 "$@"'  # `timeout -s KILL 10 tool`: a second will do
    real = shutil.which("timeout")
    env = bare(
        ["timeout"], nvidia_smi=script, timeout=quick.replace("exec timeout", f"exec {real}")
    )
    assert run_probe("gpu", env)["tools"]["nvidia-smi"] == state


def test_a_hung_tool_without_timeout_is_ended_by_the_watchdog(
    bare: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    script = tmp_path / "limited.sh"
    script.write_text(
        f". {PROBES}/lib/common.sh\n"
        "limited 1 sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\necho $?\n"
    )
    done = subprocess.run(
        ["sh", script], env=bare(["timeout"]), capture_output=True, timeout=60, check=True
    )
    assert done.stdout == b"137\n"


def test_names_with_quotes_and_newlines_stay_json(bare: Callable[..., dict[str, str]]) -> None:
    folder = 'we"ird \\ \n\t name'
    found = run_probe("disk", {**bare(), "WORKDIR": f"/tmp/{folder}"})
    assert found["workdir"]["path"] == '/tmp/we"ird \\  name'
    assert found["workdir"]["free_kib"] is None


def test_cvmfs_with_platforms(bare: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    for name in ("el9-x86_64", "slc8-aarch64", "containers", "etc"):
        (tmp_path / "repo" / name).mkdir(parents=True)
    attribute = (
        'case "$3" in user.revision) echo 30512 ;; user.version) echo 2.11.2.0 ;; *) exit 1 ;; esac'
    )
    env = bare(["getfattr"], getfattr=attribute)
    found = run_probe("cvmfs", {**env, "CVMFS_PATH": str(tmp_path / "repo")})
    assert found["available"]
    assert (found["revision"], found["version"]) == (30512, "2.11.2.0")
    assert found["platforms"] == ["el9-x86_64", "slc8-aarch64"]


def test_nothing_is_left_behind(tmp_path: Path, bare: Callable[..., dict[str, str]]) -> None:
    env = {**bare(), "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    for name in NAMES:
        run_probe(name, env, cwd=tmp_path / "tmp")
    left = [path for name in ("home", "tmp") for path in (tmp_path / name).rglob("*")]
    assert left == []
