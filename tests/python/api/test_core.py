"""The extension module: its stub tells the truth, its tables are those of the binary, its errors
are the leaves of the one tree.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Callable

import gpuctl
import pytest
from gpuctl import _core, errors

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def stub() -> ast.Module:
    path = Path(_core.__file__).with_name("_core.pyi")
    return ast.parse(path.read_text(encoding="utf-8"))


def names_of(stub: ast.Module) -> Iterator[str]:
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.ClassDef) and not node.bases:  # the others are TypedDicts
            yield node.name


def test_stub_and_module_have_the_same_names(stub: ast.Module) -> None:
    public = [name for name in dir(_core) if not name.startswith("_")]
    assert sorted(names_of(stub)) == sorted(public)


def test_stub_and_module_have_the_same_arguments(stub: ast.Module) -> None:
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            signature = (getattr(_core, node.name).__doc__ or "").splitlines()[0]
            inside = signature[signature.index("(") + 1 : signature.rindex(")")]
            found = re.findall(r"(?:^|, )(\w+):", inside)
            assert found == [argument.arg for argument in node.args.args], signature


def test_stub_and_module_have_the_same_members(stub: ast.Module) -> None:
    for node in stub.body:
        if isinstance(node, ast.ClassDef) and not node.bases:
            names = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
            members = [name for name in names if not name.startswith("__")]
            public = [name for name in dir(getattr(_core, node.name)) if not name.startswith("_")]
            assert sorted(members) == sorted(public)


def test_rows_have_the_keys_of_the_stub(stub: ast.Module) -> None:
    rows: dict[str, Sequence[Mapping[str, object]]] = {
        "Setting": _core.load_config({}),
        "Flag": _core.flags("job"),
        "ExitCode": _core.exit_codes(),
        "KillReason": _core.kill_reasons(),
        "Description": [_core.describe_gpu(0x10DE, 0x20B0, None, None, "none")],
        "Identity": [_core.identify("/", os.getpid())],
    }
    for node in stub.body:
        if isinstance(node, ast.ClassDef) and node.bases:
            keys = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]  # type: ignore
            for row in rows[node.name]:
                assert list(row) == keys


def test_the_version_is_that_of_the_binary(gpuctl: Run) -> None:
    assert gpuctl("--version").stdout == f"gpuctl {_core.version}\n"


def test_the_flags_are_those_of_the_help(gpuctl: Run) -> None:
    for verb in ("job", "run", "kill", "discover"):
        shown = re.findall(r"^ .*?--([a-z-]+)", gpuctl("help", verb).stdout, re.MULTILINE)
        named = [flag["name"] for flag in _core.flags(verb)]
        assert named == [name for name in dict.fromkeys(shown) if name in named]


def test_the_settings_are_those_of_the_command(
    gpuctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUCTL_TTL", "77m")
    rows = {row["key"]: row for row in _core.load_config({"fence": "strict"})}
    assert rows["ttl"]["usec"] == 77 * 60 * 1_000_000
    assert rows["ttl"]["origin"] == "environment GPUCTL_TTL"
    assert rows["fence"]["value"] == "strict"
    lines = gpuctl("config", env={"GPUCTL_TTL": "77m"}).stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(rows)


@pytest.mark.parametrize(
    ("call", "leaf"),
    [
        (lambda: _core.discover_json("/nowhere/at/all", "none", {}), errors.UsageError),
        (lambda: _core.load_config({"ttl": "soon"}), errors.UsageError),
        (lambda: _core.flags("fly"), errors.UsageError),
        (lambda: _core.parse_job_id("../x"), ValueError),
        (lambda: _core.parse_duration_usec("1e3", "`x`"), ValueError),
    ],
)
def test_a_failure_is_a_leaf_of_the_tree(call: Callable[[], object], leaf: type[Exception]) -> None:
    with pytest.raises(leaf) as caught:
        call()
    assert isinstance(caught.value, errors.GpuctlError)
    assert str(caught.value)


def test_an_error_carries_path_and_errno(tmp_path: Path) -> None:
    with pytest.raises(errors.GpuctlError) as caught:
        gpuctl.Host(root=tmp_path / "nothing").discover()
    assert caught.value.path == str(tmp_path / "nothing")
    assert caught.value.detail


def test_a_path_that_is_no_text_survives_the_way_back(tmp_path: Path) -> None:
    name = str(tmp_path) + "/caf\udce9"
    with pytest.raises(errors.GpuctlError) as caught:
        gpuctl.Host(root=name).discover()
    assert "caf" in str(caught.value)


def test_wrong_types_are_type_errors() -> None:
    with pytest.raises(TypeError):
        _core.load_config(["ttl"])  # type: ignore[arg-type]


def test_stamps() -> None:
    assert _core.rfc3339(1_755_641_173_042_000) == "2025-08-19T22:06:13.042Z"
    assert re.fullmatch(r"Aug (19|20) \d\d:\d\d:\d\d", _core.trace_stamp(1_755_641_173_042_000))
