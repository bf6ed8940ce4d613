"""Where probes are, and whether they may be trusted.

A probe runs as the agent, beside its tokens. Those of the installation are as trustworthy as the
code that reads this; another directory must be CVMFS, or root's all the way up and writable by
nobody else, and so must the script.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from gpuctl.errors import NotFoundError, PermissionDeniedError
from gpuctl.sonar.names import is_name

__all__ = ["Probes", "installed_folder"]

_CVMFS = Path("/cvmfs")
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH
_STICKY = stat.S_ISVTX


def installed_folder() -> Path:
    """`sitesonar.d`, beside this package in an installation."""
    return Path(__file__).resolve().parent / "sitesonar.d"


class Probes:
    """The scripts of one directory. Raises what fits when it may not be used."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._installed = folder is None
        self.folder = installed_folder() if folder is None else Path(folder).resolve()
        if not self.folder.is_dir():
            raise NotFoundError(
                f"there are no probes at `{self.folder}`", path=str(self.folder), exit_code=2
            )
        if not self._installed:
            _demand_trust(self.folder)

    def names(self) -> list[str]:
        """Sorted."""
        found = [path.stem for path in self.folder.glob("*.sh") if path.is_file()]
        return sorted(name for name in found if is_name(name))

    def path(self, name: str) -> Path:
        """Of a probe that is there. NotFoundError; PermissionDeniedError for a script of others."""
        path = self.folder / f"{name}.sh"
        if not is_name(name) or not path.is_file():
            known = ", ".join(self.names())
            raise NotFoundError(f"there is no probe `{name[:64]}`; there are: {known}", exit_code=2)
        if not self._installed:
            _demand_trust(path.resolve())
        return path


def _demand_trust(path: Path) -> None:
    if _CVMFS in path.parents:
        return
    for each in (path, *path.parents):
        status = each.stat()
        writable = status.st_mode & _WRITABLE and not status.st_mode & _STICKY
        if status.st_uid != 0 or writable or (each == path and status.st_mode & _WRITABLE):
            raise PermissionDeniedError(
                f"probes at `{path}` are not trusted: `{each}` is not root's alone; "
                "use a directory of root's, CVMFS, or the installation's probes",
                path=str(path),
                exit_code=2,
            )
