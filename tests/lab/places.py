"""Where the lab keeps things: the cache, with all that can be made again, and one run's scratch.

    cache/                     $XDG_CACHE_HOME/gpuctl/lab
      worker-0123456789ab/    a root file system, by the hash of its recipe: image.py
      kit-0123456789ab/       gpuctl built for the worker, by the hash of its sources: kit.py
      run.XXXXXX/             one run's sockets, disks and overlays; gone at its end: keeper.py

An entry in use is held by a shared flock(2) on its directory, so that cleaning leaves it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

LAB = Path(__file__).resolve().parent
REPOSITORY = LAB.parent.parent


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(base) / "gpuctl" / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, in the order of their names; no compiled Python."""
    for path in paths:
        if path.is_dir():
            yield from files_below(sorted(path.iterdir()))
        elif path.suffix != ".pyc":
            yield path


def hash_of(paths: Iterable[Path], *more: str) -> str:
    """Names, modes and contents of files and folders, in twelve hexadecimal digits."""
    digest = hashlib.sha256("\0".join(more).encode())
    for path in files_below(paths):
        text = path.read_bytes()
        mode = path.stat().st_mode & 0o111
        name = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path
        digest.update(f"\0{name}\0{mode}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()[:12]


class Hold:
    """A lock on a folder for as long as the object lives, or until `release()`."""

    def __init__(self, folder: Path, *, exclusive: bool = False, wait: bool = True) -> None:
        self.descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(self.descriptor, kind | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def remove_unused(folder: Path) -> bool:
    """Removes an entry that nobody holds; False where somebody does."""
    try:
        hold = Hold(folder, exclusive=True, wait=False)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    try:
        shutil.rmtree(folder)
    finally:
        hold.release()
    return True


def remove_older(name: str, keep: Path) -> None:
    """The entries NAME-* other than `keep`, where they are not in use."""
    for entry in cache_folder().glob(f"{name}-*"):
        if entry != keep:
            remove_unused(entry)
