"""The collector's HTTP interface, as JAliEn's clients use it: three GETs.

    queryProbes.jsp?hostname=&ce_name=                             -> {"probes": ["gpu", ...]}
    uploadResults.jsp?hostname=&ce_name=&test_name=&test_message=  -> 200
    constraints.jsp?hostname=&ce_name=                             -> {"NAME": value, ...}

An empty answer, rubbish, a refusal or silence are all "nothing", with a problem: they cost the node
at most the deadline. That covers all of a request, the look-up of the name and every byte of the
answer, since it is made in a thread that nobody waits for any longer.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from gpuctl.errors import UsageError
from gpuctl.sonar.names import checked_constraints, checked_probes

__all__ = ["MAX_MESSAGE_BYTES", "Collector"]

CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
MAX_MESSAGE_BYTES = 3000  # it travels in the URL
_MAX_ANSWER_BYTES = 1 << 20
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.5
_OK = 200


class Collector:
    """`problems` grows. Raises UsageError for a URL that is none; later on nothing."""

    def __init__(
        self,
        url: str,
        hostname: str | None = None,
        ce_name: str | None = None,
        deadline: float = CONNECT_SECONDS + READ_SECONDS,
    ) -> None:
        self.problems: list[str] = []
        self.hostname = hostname or os.environ.get("PARENT_HOSTNAME") or os.uname().nodename
        self.ce_name = ce_name if ce_name is not None else os.environ.get("CE", "")
        self._deadline = deadline
        self._url = _checked(url)

    def probes(self) -> list[str]:
        return checked_probes(self._json("queryProbes.jsp"))

    def upload(self, name: str, message: Mapping[str, Any]) -> bool:
        """Tries again when the collector is busy; a result that came twice is one there."""
        text = json.dumps(message, separators=(",", ":"))
        if len(text.encode()) > MAX_MESSAGE_BYTES:
            self._problem(f"the result of `{name}` is longer than {MAX_MESSAGE_BYTES} bytes")
            return False
        values = {"test_name": name, "test_message": text}
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE_SECONDS * attempt)
            if self._get("uploadResults.jsp", values, tell=attempt == _ATTEMPTS - 1) is not None:
                return True
        return False

    def constraints(self) -> dict[str, Any] | None:
        """None: there is no answer, which is not the same as no constraint."""
        found = checked_constraints(self._json("constraints.jsp"))
        if found is None:
            self._problem("the collector gave no constraints")
        return found

    def _json(self, page: str) -> Any:
        body = self._get(page, {})
        if not body:
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            self._problem(f"`{page}` answered something that is no JSON")
            return None

    def _get(self, page: str, values: Mapping[str, str], tell: bool = True) -> bytes | None:
        """The body; None where there is none, and why in `problems`."""
        who = {"hostname": self.hostname, "ce_name": self.ce_name}
        path = f"{self._url.path.rstrip('/')}/{page}?{urlencode({**who, **values})}"
        outcome = _within(self._deadline, lambda: _fetch(self._url, path))
        if isinstance(outcome, bytes):
            return outcome
        if tell:
            self._problem(f"`{page}` of the collector {outcome}")
        return None

    def _problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError(f"`{url[:80]}` is no collector, give `http://HOST:PORT/` or https")
    return parts


def _fetch(url: SplitResult, path: str) -> bytes | str:
    """The body, or what went wrong. Redirections are not followed."""
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=CONNECT_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(READ_SECONDS)
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read(_MAX_ANSWER_BYTES + 1)
        if response.status != _OK:
            return f"answered {response.status}"
        return body if len(body) <= _MAX_ANSWER_BYTES else "answered more than can be meant"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"did not answer: {error or type(error).__name__}"
    finally:
        connection.close()


def _within(seconds: float, work: Callable[[], bytes | str]) -> bytes | str:
    outcome: list[bytes | str] = []
    thread = threading.Thread(target=lambda: outcome.append(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else f"did not answer within {seconds:.0f} s"
