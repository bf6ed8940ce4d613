"""The tree of errors: codes as in the core, builtins that fit, the message alone in str()."""

from __future__ import annotations

import builtins
import errno
import pickle

import pytest
from gpuctl import errors

LEAVES = [
    ("not_found", "NotFoundError", "FileNotFoundError", 3),
    ("permission", "PermissionDeniedError", "PermissionError", 3),
    ("malformed", "MalformedError", "ValueError", 3),
    ("unsupported", "UnsupportedError", "NotImplementedError", 3),
    ("unavailable", "UnavailableError", "RuntimeError", 3),
    ("busy", "BusyError", "Exception", 3),
    ("timeout", "TimedOutError", "TimeoutError", 3),
    ("vanished", "VanishedError", "ProcessLookupError", 3),
    ("io", "IoError", "OSError", 3),
    ("usage", "UsageError", "ValueError", 2),
]


@pytest.mark.parametrize(("code", "name", "builtin", "exit_code"), LEAVES)
def test_leaf(code: str, name: str, builtin: str, exit_code: int) -> None:
    error = errors.error_for(code, "a `thing` broke", path="/p", errno=errno.EIO, detail="why")
    assert type(error).__name__ == name
    assert isinstance(error, errors.GpuctlError)
    assert isinstance(error, getattr(builtins, builtin))
    assert str(error) == "a `thing` broke"
    assert (error.code, error.exit_code) == (code, exit_code)
    assert (error.path, error.errno, error.detail) == ("/p", errno.EIO, "why")


@pytest.mark.parametrize(("code", "name", "builtin", "exit_code"), LEAVES)
def test_leaf_can_be_raised_plainly_and_pickled(
    code: str, name: str, builtin: str, exit_code: int
) -> None:
    leaf = getattr(errors, name)
    with pytest.raises(getattr(builtins, builtin)) as caught:
        raise leaf("plain")
    assert (str(caught.value), caught.value.path, caught.value.errno) == ("plain", None, None)
    again = pickle.loads(pickle.dumps(leaf("m", errno=5, path="/p", exit_code=7)))
    assert (type(again), str(again), again.errno, again.path, again.exit_code) == (
        leaf,
        "m",
        5,
        "/p",
        7,
    )
    assert again.code == code


def test_an_unknown_code_keeps_its_message() -> None:
    error = errors.error_for("tomorrow", "new")
    assert (type(error), error.code, str(error)) == (errors.GpuctlError, "tomorrow", "new")
    assert errors.GpuctlError("other").code != "tomorrow"


def test_all_names_every_leaf() -> None:
    assert {name for _, name, _, _ in LEAVES} | {"GpuctlError", "error_for"} == set(errors.__all__)
