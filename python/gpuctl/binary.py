"""Where the `gpuctl` binary is: in the scripts folder of the installation that this package is in.

PATH is never searched: a binary of another version, or of a stranger, would answer.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from gpuctl.errors import UnavailableError

__all__ = ["find_binary"]


def find_binary() -> str:
    """The absolute path of `gpuctl`. Raises UnavailableError where the installation has none."""
    for folder in _script_folders():
        candidate = folder / "gpuctl"
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise UnavailableError(
        "the `gpuctl` binary is missing beside this Python package: "
        "`pip install --force-reinstall jalien-gpuctl`"
    )


def _script_folders() -> Iterator[Path]:
    """Of each installation scheme that keeps its packages where this one is; then the defaults."""
    home = Path(__file__).resolve().parent.parent
    for scheme in sysconfig.get_scheme_names():
        paths = sysconfig.get_paths(scheme)
        if home in (_resolved(paths["platlib"]), _resolved(paths["purelib"])):
            yield Path(paths["scripts"])
    yield home / "bin"  # pip install --target
    yield Path(sysconfig.get_path("scripts"))  # an editable installation


def _resolved(path: str) -> Path:
    return Path(path).resolve()
