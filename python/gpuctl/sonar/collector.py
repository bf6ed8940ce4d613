"""A small collector, for tests and for sites that have none.

    server = make_server("127.0.0.1", 0, Store("sonar.sqlite"), ["gpu", "os"])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Collector(server.url).probes()

It believes what nodes say of themselves: put it where only nodes reach it. A request is at most a
line of 64 KiB and takes at most ten seconds to arrive.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpuctl.errors import GpuctlError, UsageError
from gpuctl.sonar.client import MAX_MESSAGE_BYTES
from gpuctl.sonar.names import is_name
from gpuctl.sonar.rules import RULES, Rules, constraints_of
from gpuctl.sonar.store import Store

__all__ = ["Server", "make_server", "parse_address"]

_MAX_NAME = 255
_REQUEST_SECONDS = 10
_HOST_CHARACTERS = frozenset("-._:@/")


class RefusedRequestError(Exception):
    """Answered with a status and words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, family: socket.AddressFamily, address: tuple[str, int], store: Store
    ) -> None:
        self.address_family = family
        self.store = store
        self.probes: Sequence[str] = ()
        self.rules: Rules = RULES
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = host.decode() if isinstance(host, bytes) else str(host)
        return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of our own name, which may take its time."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()


def make_server(
    host: str, port: int, store: Store, probes: Sequence[str], rules: Rules = RULES
) -> Server:
    """`host` is a numeric address. Raises UsageError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = Server(family, (host, port), store)
    except (OSError, OverflowError) as error:
        raise UsageError(f"the collector cannot listen on `{host}`, port {port}: {error}") from None
    server.probes, server.rules = probes, rules
    return server


def parse_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:8080`, `[::1]:8080`"""
    host, _, port = text.rpartition(":")
    numeric = port.isascii() and port.isdecimal() and len(port) < 6
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not plain or not numeric or (":" in host and plain == host):
        raise UsageError(f"`--serve {text[:60]}`: expected `127.0.0.1:8080` or `[::1]:8080`")
    return plain, int(port)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _REQUEST_SECONDS
    protocol_version = "HTTP/1.0"
    server_version = "gpuctl"
    sys_version = ""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        pages = {
            "queryProbes.jsp": self._probes,
            "uploadResults.jsp": self._upload,
            "constraints.jsp": self._constraints,
        }
        page = pages.get(parts.path.rsplit("/", 1)[-1])
        try:
            if page is None:
                raise RefusedRequestError(404, "there is no such page")
            self._answer(200, page(_values(parts.query)))
        except RefusedRequestError as refused:
            self._answer(refused.status, {"error": str(refused)})
        except GpuctlError:
            self._answer(503, {"error": "try again"})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line for each request of each node is no help."""

    def _probes(self, values: Mapping[str, str]) -> dict[str, Any]:
        _who(values)
        return {"probes": list(self.server.probes)}

    def _upload(self, values: Mapping[str, str]) -> dict[str, Any]:
        hostname, ce_name = _who(values)
        name = values.get("test_name", "")
        if not is_name(name):
            raise RefusedRequestError(400, "test_name is no name")
        self.server.store.put(hostname, ce_name, name, _message(values.get("test_message", "")))
        return {"stored": name}

    def _constraints(self, values: Mapping[str, str]) -> dict[str, Any]:
        results = self.server.store.results(*_who(values))
        return constraints_of(results, self.server.rules)

    def _answer(self, status: int, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _values(query: str) -> dict[str, str]:
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise RefusedRequestError(400, "the query is no query") from None
    return {name: values[-1] for name, values in found.items()}


def _who(values: Mapping[str, str]) -> tuple[str, str]:
    hostname, ce_name = values.get("hostname", ""), values.get("ce_name", "")
    for name in (hostname, ce_name):
        plain = all(c.isascii() and (c.isalnum() or c in _HOST_CHARACTERS) for c in name)
        if len(name) > _MAX_NAME or not plain:
            raise RefusedRequestError(400, "hostname or ce_name is none")
    if not hostname:
        raise RefusedRequestError(400, "hostname is missing")
    return hostname, ce_name


def _message(text: str) -> dict[str, Any]:
    if len(text.encode("utf-8", "replace")) > MAX_MESSAGE_BYTES:
        raise RefusedRequestError(413, "test_message is too long")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise RefusedRequestError(400, "test_message is no JSON object")
    return message
