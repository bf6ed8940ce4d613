"""`import gpuctl`: what it exports, and that it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import gpuctl


def run_python(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_public_names_are_these() -> None:
    assert sorted(gpuctl.__all__) == [
        "Gpu",
        "GpuctlError",
        "Host",
        "Inventory",
        "KillReport",
        "Report",
        "__version__",
        "cgroups",
        "errors",
        "jdl",
        "kill",
        "processes",
        "run",
    ]
    assert set(gpuctl.__all__) <= set(dir(gpuctl))


def test_every_public_name_can_be_had_first() -> None:
    for name in gpuctl.__all__:
        assert run_python(f"import gpuctl; print(gpuctl.{name} is not None)") == "True\n"


def test_a_star_import_gives_them_all() -> None:
    code = "from gpuctl import *; print(run.__name__, Host.__name__, jdl.__name__, __version__)"
    assert run_python(code).split()[:3] == ["run", "Host", "gpuctl.jdl"]


def test_importing_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import gpuctl; print(*set(sys.modules) - before)"
    assert run_python(code, "-I").split() == ["gpuctl"]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    try:
        gpuctl.nothing  # noqa: B018
    except AttributeError as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("no error")
    assert not hasattr(gpuctl, "_PLACES2")


def test_host_and_run_do_not_load_numpy() -> None:
    calls = "gpuctl.Host().root; gpuctl.run; len(gpuctl.processes.snapshot())"
    code = f"import sys, gpuctl; {calls}; print('numpy' in sys.modules)"
    assert run_python(code) == "False\n"


def test_the_errors_are_one_tree() -> None:
    for name in gpuctl.errors.__all__:
        thing = getattr(gpuctl.errors, name)
        if isinstance(thing, type):
            assert issubclass(thing, gpuctl.GpuctlError)
