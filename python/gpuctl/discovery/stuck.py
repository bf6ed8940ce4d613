"""Which sources have a child that was killed and cannot be reaped (state D), across processes.

One file for each source in the user's own folder below the state folder; it names the process by
its identity (boot, pid namespace, pid, start), so that a reused pid is nobody. A file whose process
is gone is removed. Where no folder can be had, this process alone remembers.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from gpuctl import _core
from gpuctl.errors import GpuctlError
from gpuctl.host_paths import STATE_FOLDERS

__all__ = ["StuckRegister"]


class StuckRegister:
    """`state_dir`: as the setting; None is the usual place. One thread a source at a time."""

    def __init__(self, state_dir: str | None) -> None:
        self._state_dir = state_dir
        self._here: dict[str, dict[str, Any]] = {}

    def holder(self, source: str) -> int | None:
        """The pid of a child that is still not gone."""
        identity = self._here.get(source) or self._read(source)
        if identity is None:
            return None
        if _is_there(identity):
            return int(identity["pid"])
        self._here.pop(source, None)
        folder = self._folder(make=False)
        if folder is not None:
            (folder / f"{source}.stuck").unlink(missing_ok=True)
        return None

    def hold(self, source: str, pid: int) -> None:
        try:
            identity = dict(_core.identify("/", pid))
        except GpuctlError:
            return  # gone after all
        self._here[source] = identity
        folder = self._folder(make=True)
        if folder is None:
            return
        try:
            temporary = folder / f".{source}.{os.getpid()}"
            temporary.write_text(json.dumps(identity), encoding="utf-8")
            temporary.replace(folder / f"{source}.stuck")
        except OSError:
            return

    def _read(self, source: str) -> dict[str, Any] | None:
        folder = self._folder(make=False)
        if folder is None:
            return None
        try:
            found = json.loads((folder / f"{source}.stuck").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _folder(self, make: bool) -> Path | None:
        """Only a folder of this user's own, that nobody else may write."""
        name = f"probe-{os.getuid()}"
        if make:
            with contextlib.suppress(GpuctlError, OSError):
                (Path(_core.make_state_dir(self._state_dir)) / name).mkdir(mode=0o700)
        for state in [self._state_dir] if self._state_dir else STATE_FOLDERS:
            folder = Path(state) / name
            try:
                found = folder.lstat()
            except OSError:
                continue
            private = found.st_uid == os.getuid() and not found.st_mode & 0o022
            if private and stat.S_ISDIR(found.st_mode):
                return folder
        return None


def _is_there(identity: dict[str, Any]) -> bool:
    try:
        verdict = _core.judge(
            "/",
            str(identity["boot_id"]),
            int(identity["pid_namespace"]),
            int(identity["pid"]),
            int(identity["start_ticks"]),
            identity.get("pidfs_inode"),
        )
    except (GpuctlError, KeyError, TypeError, ValueError):
        return False
    return verdict != "dead"
