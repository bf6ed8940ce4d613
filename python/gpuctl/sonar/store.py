"""What a collector keeps: the latest result of each probe of each node, in SQLite.

A result is one row for (hostname, ce_name, test_name), however often it comes. Writers of several
processes wait for each other; what cannot be written in time is an error of the request, after
which the node tries again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from gpuctl.errors import IoError

__all__ = ["Store"]

_WAIT_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    hostname TEXT NOT NULL,
    ce_name TEXT NOT NULL,
    test_name TEXT NOT NULL,
    test_message TEXT NOT NULL,
    uploads INTEGER NOT NULL DEFAULT 1,
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (hostname, ce_name, test_name)
) WITHOUT ROWID
"""
_PUT = """
INSERT INTO results (hostname, ce_name, test_name, test_message) VALUES (?, ?, ?, ?)
ON CONFLICT (hostname, ce_name, test_name) DO UPDATE SET
    test_message = excluded.test_message,
    uploads = uploads + 1,
    updated_at = excluded.updated_at
"""
_GET = "SELECT test_name, test_message FROM results WHERE hostname = ? AND ce_name = ?"


class Store:
    """One file, opened for each request: any number of threads may use it."""

    def __init__(self, path: str | Path) -> None:
        self._path = str(path)
        self._lock = threading.Lock()
        with self._lock, closing(self._open()) as database, database:
            database.execute(_SCHEMA)

    def put(self, hostname: str, ce_name: str, test_name: str, message: dict[str, Any]) -> None:
        """Raises IoError where it cannot be written now."""
        row = (hostname, ce_name, test_name, json.dumps(message, sort_keys=True))
        try:
            with self._lock, closing(self._open()) as database, database:
                database.execute(_PUT, row)
        except sqlite3.Error as error:
            raise IoError(f"`{self._path}` was not written: {error}", path=self._path) from None

    def results(self, hostname: str, ce_name: str) -> dict[str, dict[str, Any]]:
        """By probe."""
        try:
            with closing(self._open()) as database:
                rows = database.execute(_GET, (hostname, ce_name)).fetchall()
        except sqlite3.Error as error:
            raise IoError(f"`{self._path}` was not read: {error}", path=self._path) from None
        return {name: json.loads(message) for name, message in rows}

    def _open(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(self._path, timeout=_WAIT_SECONDS)
        except sqlite3.Error as error:
            raise IoError(f"`{self._path}` cannot be opened: {error}", path=self._path) from None
