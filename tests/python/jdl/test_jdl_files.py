"""A JDL from a file: what is refused, with which error; nothing blocks or is read whole."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from gpuctl import jdl
from gpuctl.errors import (
    GpuctlError,
    IoError,
    MalformedError,
    NotFoundError,
    PermissionDeniedError,
)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jdl", 'A = "µ";'.encode())
    assert dict(jdl.load(path)) == dict(jdl.load(str(path))) == {"A": "µ"}
    assert jdl.load(path).name == str(path)


def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "no.jdl", write(tmp_path / "f", b"") / "below.jdl"):
        with pytest.raises(FileNotFoundError) as caught:
            jdl.load(path)
        assert isinstance(caught.value, NotFoundError)
        assert str(caught.value) == f"there is no file `{path}`"
        assert (caught.value.code, caught.value.exit_code) == ("not_found", 2)
        assert caught.value.errno in (errno.ENOENT, errno.ENOTDIR)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300])
def test_an_impossible_name(name: str) -> None:
    with pytest.raises(GpuctlError) as caught:
        jdl.load(name)
    assert caught.value.exit_code == 2


def test_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(IoError) as caught:
        jdl.load(tmp_path / "loop")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jdl", b"A = 1;")
    path.chmod(0)
    with pytest.raises(PermissionError) as caught:
        jdl.load(path)
    assert isinstance(caught.value, PermissionDeniedError)


def test_an_empty_file_names_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jdl", b"")
    with pytest.raises(jdl.JdlSyntaxError, match=f"^{path}:1:1: found an empty text"):
        jdl.load(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"A = 1;\0", "a NUL at offset 6"),
        (b"\x7fELF\x02\x01\x01\0\0", "a NUL at offset 7"),
        (b'A = "caf\xe9";', "byte 0xe9 at offset 8"),
        (b"\xff\xfeA", "byte 0xff at offset 0"),
        (b"A = 1; # \xc3", "byte 0xc3 at offset 9"),
        (b"\xed\xa0\x80", "byte 0xed at offset 0"),
    ],
)
def test_binary_data_names_the_offset(tmp_path: Path, data: bytes, words: str) -> None:
    path = write(tmp_path / "a.jdl", data)
    with pytest.raises(MalformedError, match=words) as caught:
        jdl.load(path)
    assert (caught.value.exit_code, caught.value.path) == (2, str(path))


def test_a_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.jdl"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)  # sparse: reading it would find a NUL, not the size
    with pytest.raises(MalformedError, match="104857600 bytes, over the 16777216 bytes"):
        jdl.load(path)


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    text = b"A = 1;\n#"
    path = write(tmp_path / "a.jdl", text + b"x" * (jdl.MAX_JDL_BYTES - len(text)))
    assert dict(jdl.load(path)) == {"A": 1}
    write(path, path.read_bytes() + b"x")
    with pytest.raises(MalformedError, match="16777217 bytes"):
        jdl.load(path)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, kind in (
        (tmp_path, "a directory"),
        (tmp_path / "fifo", "a FIFO"),
        (Path("/dev/zero"), "a character device"),
    ):
        with pytest.raises(MalformedError, match=f"is {kind}, give a regular file"):
            load_in_time(path)


def load_in_time(path: Path) -> jdl.Jdl:
    """Load in a thread, so that a reader that blocks fails the test instead of hanging it."""
    outcome: list[jdl.Jdl | BaseException] = []

    def load() -> None:
        try:
            outcome.append(jdl.load(path))
        except GpuctlError as error:
            outcome.append(error)

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert outcome, f"reading {path} does not end"
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
