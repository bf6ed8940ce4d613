"""The runner and the collector: a whole round over HTTP, and collectors that do harm."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from gpuctl.errors import GpuctlError, NotFoundError, PermissionDeniedError, UsageError
from gpuctl.sonar import client
from gpuctl.sonar.client import Collector
from gpuctl.sonar.collector import Server, make_server, parse_address
from gpuctl.sonar.names import checked_constraints, checked_probes
from gpuctl.sonar.probes import Probes
from gpuctl.sonar.rounds import offline_round, online_round
from gpuctl.sonar.runner import probe_environment, run_probe
from gpuctl.sonar.store import Store

RULES = {"OS_NAME": ("os", "os_name"), "GPU_VENDORS": ("gpu", "vendors")}


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """On the loopback of IPv4, and on that of IPv6 alone."""
    made = make_server(request.param, 0, Store(tmp_path / "db.sqlite"), ["os", "disk"], RULES)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def stored(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path / "db.sqlite")) as database:
        return database.execute("SELECT * FROM results ORDER BY test_name").fetchall()


def test_a_round(server: Server, tmp_path: Path) -> None:
    collector = Collector(server.url, "wn1.example.org", "ALICE::CERN::EL9")
    answer = online_round(collector, server.url)
    assert answer["problems"] == []
    assert [row["name"] for row in answer["probes"]] == ["os", "disk"]
    for row in answer["probes"]:
        assert (row["uploaded"], row["exit_code"], row["message"]["EXITCODE"]) == (True, 0, 0)
        assert 0 <= row["message"]["EXECUTION_TIME"] < 60_000
    os_name = answer["probes"][0]["message"]["os_name"]
    assert answer["constraints"] == {"OS_NAME": os_name}
    rows = stored(tmp_path)
    assert [row[:3] for row in rows] == [
        ("wn1.example.org", "ALICE::CERN::EL9", "disk"),
        ("wn1.example.org", "ALICE::CERN::EL9", "os"),
    ]
    assert json.loads(rows[1][3])["os_name"] == os_name


def test_what_comes_twice_is_there_once(server: Server, tmp_path: Path) -> None:
    collector = Collector(server.url, "wn1", "")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: collector.upload("os", {"n": n}), range(24)))
    assert all(done)
    ((hostname, _, name, message, uploads, _),) = stored(tmp_path)
    assert (hostname, name, uploads) == ("wn1", "os", 24)
    assert json.loads(message)["n"] in range(24)


def test_an_upload_is_tried_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 0.01)
    busy = iter([True, True, False])
    put = server.store.put

    def sometimes(*arguments: Any) -> None:
        if next(busy):
            raise GpuctlError("database is locked")
        put(*arguments)

    monkeypatch.setattr(server.store, "put", sometimes)
    collector = Collector(server.url, "wn1", "")
    assert collector.upload("os", {"a": 1})
    assert (len(stored(tmp_path)), collector.problems) == (1, [])


@pytest.mark.parametrize(
    ("page", "query", "status"),
    [
        ("nothing.jsp", "hostname=a", 404),
        ("queryProbes.jsp", "", 400),
        ("queryProbes.jsp", "hostname=", 400),
        ("queryProbes.jsp", "hostname=" + "a" * 300, 400),
        ("queryProbes.jsp", "hostname=a%00b", 400),
        ("queryProbes.jsp", "hostname=%ff", 400),
        ("queryProbes.jsp", "hostname=a&" * 40, 400),
        ("uploadResults.jsp", "hostname=a", 400),
        ("uploadResults.jsp", "hostname=a&test_name=../x&test_message={}", 400),
        ("uploadResults.jsp", "hostname=a&test_name=x&test_message=[]", 400),
        ("uploadResults.jsp", "hostname=a&test_name=x&test_message={", 400),
        ("uploadResults.jsp", "hostname=a&test_name=x&test_message=" + "[" * 2900, 400),
        ("uploadResults.jsp", "hostname=a&test_name=x&test_message=" + "9" * 4000, 413),
        ("constraints.jsp", "hostname=a", 200),
        ("x/y/queryProbes.jsp", "hostname=a&ce_name=b", 200),
    ],
)
def test_requests_that_make_no_sense(server: Server, page: str, query: str, status: int) -> None:
    host, port = server.server_address[:2]
    with socket.create_connection((str(host), port), timeout=10) as connection:
        connection.sendall(f"GET /{page}?{query} HTTP/1.0\r\n\r\n".encode())
        assert connection.makefile("rb").readline().split()[1] == str(status).encode()


class Harmful:
    """A server that answers every connection with some bytes, at some pace."""

    def __init__(self, answer: bytes, pause: float = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._answer, self._pause = answer, pause
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._over = threading.Event()
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        step = 1 if self._pause else len(self._answer) or 1
        try:
            connection.recv(65536)
            for at in range(0, len(self._answer), step):
                connection.sendall(self._answer[at : at + step])
                if self._pause and self._over.wait(self._pause):
                    return
        except OSError:
            pass

    def close(self) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture
def harmful() -> Iterator[Callable[..., str]]:
    servers: list[Harmful] = []

    def make(answer: bytes, pause: float = 0) -> str:
        servers.append(Harmful(answer, pause))
        return servers[-1].url

    yield make
    for server in servers:
        server.close()


OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"rubbish",
        b"\x00" * 100,
        OK,
        OK + b"null",
        OK + b"[]",
        OK + b"<html>maintenance</html>",
        OK + b"\xff\xfe",
        OK + b"[" * 100000,
        OK + b'{"probes": "os"}',
        OK + b'{"probes": [1, null, "../../etc/passwd", "a b", "", {"x": 1}]}',
        OK + b'{"probes": ["' + b"x" * 70 + b'"]}',
        OK + b" " * (2 << 20),
        b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
        b"HTTP/1.0 500 no\r\n\r\n" + b'{"probes": ["os"]}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
    ids=range(17),
)
def test_a_collector_that_talks_rubbish_costs_nothing(
    harmful: Callable[..., str], answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_PAUSE_SECONDS", 0)
    collector = Collector(harmful(answer), "wn1", "")
    found = online_round(collector, collector.hostname)
    assert found["probes"] == []
    assert set(found["constraints"] or {}) <= {"probes"}  # a name as good as any


def test_a_collector_that_drips_is_left_at_the_deadline(harmful: Callable[..., str]) -> None:
    collector = Collector(harmful(OK + b" " * 10000, pause=0.05), "wn1", "", deadline=0.4)
    started = time.monotonic()
    assert collector.probes() == []
    assert time.monotonic() - started < 10
    assert any("did not answer within" in problem for problem in collector.problems)


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    collector = Collector(url, "wn1", "")
    assert (collector.probes(), collector.constraints()) == ([], None)
    assert any("did not answer" in problem for problem in collector.problems)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a/", "http://", "http:///x", "a", "http://a b/", "http://[::1", "http://a:0/"],
)
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(UsageError):
        Collector(url)


def test_names_and_values() -> None:
    assert checked_probes({"probes": ["os", "os", "gpu_2", "a-b", 5]}) == ["os", "gpu_2"]
    assert checked_probes(None) == []
    values = {"A": 1, "B": "x", "C": [1, "y"], "D": None, "E": {"x": 1}, "F-G": 1, "H": 1e999}
    assert checked_constraints(values) == {"A": 1, "B": "x", "C": [1, "y"]}
    assert checked_constraints([]) is None
    assert [parse_address(text) for text in ("127.0.0.1:80", "[::1]:0")] == [
        ("127.0.0.1", 80),
        ("::1", 0),
    ]
    for text in ("", "80", ":80", "::1:80", "a:x", "a:999999"):
        with pytest.raises(UsageError):
            parse_address(text)


def script(folder: Path, text: str, name: str = "mine") -> Path:
    path = folder / f"{name}.sh"
    path.write_text(f"#!/bin/sh\n{text}\n")
    return path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("echo '{\"a\": 1}'", None),
        ("echo '{\"a\": 1}'; exit 3", "ended with 3"),
        ("echo nonsense", "not one JSON object"),
        ("echo '{} {}'", "not one JSON object"),
        ("echo '[1]'", "no object"),
        ("echo '{\"a\": NaN}'", "not one JSON object"),
        ("printf '\\377'", "not one JSON object"),
        ("", "not one JSON object"),
        ("echo why >&2; exit 1", "why"),
        ("head -c 4000 /dev/zero | tr '\\0' x | sed 's/.*/{\"a\":\"&\"}/'", "more than 3000 bytes"),
        ("sleep 100", "did not end within"),
        ("trap '' TERM; while :; do sleep 0.1; done", "did not end within"),
        ("sleep 100 & echo '{}'", None),  # what it leaves with the pipe open is not waited for
        ("kill -9 $$", "not one JSON object"),
    ],
)
def test_a_probe_of_any_kind(tmp_path: Path, text: str, problem: str | None) -> None:
    started = time.monotonic()
    result = run_probe("mine", script(tmp_path, text), deadline=1.0)
    assert time.monotonic() - started < 30
    assert (result.problem is None) == (problem is None), result.problem
    assert problem is None or problem in str(result.problem)
    assert {"EXECUTION_TIME", "EXITCODE"} <= set(result.message)


def test_no_token_reaches_a_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JALIEN_TOKEN_CERT", "X509_USER_PROXY", "ALIEN_JOB_TOKEN", "SECRET"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    text = """printf '{"names":"%s"}' "$(env | cut -d= -f1 | sort | tr '\\n' ' ')" """
    names = set(run_probe("mine", script(tmp_path, text), 20.0).message["names"].split())
    assert names <= {
        "GPUCTL_PROBE_MARK",
        "HOME",
        "LANG",
        "LC_ALL",
        "PATH",
        "PWD",
        "TMPDIR",
        "_",
    } | {
        "OLDPWD",
        "SHLVL",
    }
    assert str(tmp_path) not in probe_environment(os.environ)["PATH"]


def test_which_directories_are_trusted(tmp_path: Path) -> None:
    assert "gpu" in Probes().names()
    with pytest.raises(NotFoundError):
        Probes().path("../os")
    with pytest.raises(NotFoundError):
        Probes(tmp_path / "nothing")
    folder = tmp_path / "probes"
    folder.mkdir(mode=0o755)
    script(folder, "echo '{}'").chmod(0o755)
    if os.geteuid() == 0:
        for each in (folder, *folder.parents):
            if each.stat().st_mode & 0o022 and not each.stat().st_mode & 0o1000:
                pytest.skip(f"`{each}` is not root's alone")
        assert Probes(folder).names() == ["mine"]
        (folder / "mine.sh").chmod(0o757)
        with pytest.raises(PermissionDeniedError, match="not root's alone"):
            Probes(folder).path("mine")
        os.chown(folder, 65534, 65534)
    with pytest.raises(PermissionDeniedError):
        Probes(folder)


def test_offline_runs_what_is_named() -> None:
    answer = offline_round(["os", "cpu"])
    assert [row["name"] for row in answer["probes"]] == ["os", "cpu"]
    assert all(row["uploaded"] is None for row in answer["probes"])
    assert (answer["collector"], answer["constraints"]) == (None, None)
    with pytest.raises(NotFoundError, match="there is no probe"):
        offline_round(["nothing"])
