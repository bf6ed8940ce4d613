"""The lab's root file systems, and what a virtual machine boots; made once, kept by hash.

image = Image.ensure()      # minutes when cold, nothing when warm
image.worker                # the node's root file system, a folder
image.machine / "disk.raw"  # the same as a disk; kernels and RAM disks beside it
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import initrd
from lab.places import (
    LAB,
    REPOSITORY,
    Hold,
    cache_folder,
    hash_of,
    remove_older,
)
from lab.progress import LabError, run_step, say

CONTAINER_IMAGES = ("debian11", "debian13")
PILOT = "2000:2000"  # whose the container images are
DISK_BYTES = 4 << 30
KERNELS = {"6.12": "6.12.*", "5.10": "5.10.*"}  # a name for tests, and what its release looks like


@dataclass
class Image:
    worker: Path
    machine: Path
    qemu: Path
    builder: Path
    holds: list[Hold] = field(default_factory=list, repr=False)

    @classmethod
    def ensure(cls) -> Image:
        """All of it; LabError where it cannot be made."""
        check_machine()
        with building():
            # each waits for the network as long as it computes: two at a time
            with ThreadPoolExecutor(2) as pool:
                tools = [pool.submit(_root, name) for name in ("qemu", "builder")]
                containers = {name: _root(name) for name in CONTAINER_IMAGES}
                worker = _worker(containers)
                machine = _machine(worker)
                qemu, builder = (made.result() for made in tools)
                image = cls(worker, machine, qemu, builder)
            image.holds = [Hold(entry) for entry in image.entries()]
        return image

    @classmethod
    def present(cls) -> dict[str, bool]:
        """Which entries there are, by the names of their folders."""
        worker = _worker_folder()
        entries = [worker, _machine_folder(worker), *map(_folder, ("qemu", "builder"))]
        return {entry.name: entry.is_dir() for entry in entries}

    def entries(self) -> list[Path]:
        return [self.worker, self.machine, self.qemu, self.builder]

    def kernel(self, name: str) -> Path:
        return self.machine / f"vmlinuz-{name}"


def check_machine() -> None:
    """LabError in one line where the lab cannot be made or run."""
    if os.geteuid() != 0:
        raise LabError("needs root (mounts, namespaces, mmdebstrap); type: sudo ./dev lab …")
    if os.uname().machine != "x86_64":
        raise LabError(f"is made for x86_64 machines; this is {os.uname().machine}")
    if shutil.which("apt-get") is None:
        raise LabError("takes its packages with Debian's apt; this machine has none")
    needed = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "unshare": "util-linux"}
    missing = [package for program, package in needed.items() if shutil.which(program) is None]
    if missing:
        raise LabError(f"type: apt-get install -y --no-install-recommends {' '.join(missing)}")


@contextmanager
def building() -> Iterator[None]:
    """One at a time builds in the cache; the next one finds the work done."""
    folder = cache_folder()
    try:
        hold = Hold(folder, exclusive=True, wait=False)
    except BlockingIOError:
        say("waiting for another build of the lab")
        hold = Hold(folder, exclusive=True)
    try:
        yield
    finally:
        hold.release()


def make_entry(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder` as `make(unfinished)` fills it; it appears whole or not at all."""
    if folder.is_dir():
        return folder
    name = folder.name.rsplit("-", 1)[0]
    for remains in folder.parent.glob(f".{name}.*"):  # of a build that was killed: we hold the lock
        shutil.rmtree(remains)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
    try:
        unfinished.chmod(0o755)
        make(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    remove_older(name, keep=folder)
    return folder


def log_file(name: str) -> Path:
    folder = REPOSITORY / "build" / "log"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"lab-{name}.log"
    path.write_bytes(b"")
    return path


# ---- root file systems ----


def _recipe_hash(name: str, *more: str) -> str:
    roots = LAB / "roots"
    settings = REPOSITORY / "tests/fresh/settings.sh"
    return hash_of([roots / "build.sh", roots / name, settings], *more)


def _folder(name: str) -> Path:
    return cache_folder() / f"{name}-{_recipe_hash(name)}"


def _root(name: str) -> Path:
    return make_entry(_folder(name), lambda out: _build(name, out))


def _build(name: str, out: Path) -> None:
    run_step(
        f"making the root file system `{name}`",
        [LAB / "roots/build.sh", name, out],
        log_file(name),
    )


def _worker_folder() -> Path:
    inside = [_recipe_hash(name) for name in CONTAINER_IMAGES]
    return cache_folder() / f"worker-{_recipe_hash('worker', PILOT, *inside)}"


def _worker(containers: dict[str, Path]) -> Path:
    def make(out: Path) -> None:
        _build("worker", out)
        for name, root in containers.items():
            subprocess.run(["cp", "-a", str(root), str(out / "srv/images" / name)], check=True)
        # as a user has it who unpacked an image: rootless podman writes mount points into it
        subprocess.run(["chown", "-R", "-h", PILOT, str(out / "srv/images")], check=True)

    return make_entry(_worker_folder(), make)


# ---- what a virtual machine boots ----


def _machine_folder(worker: Path) -> Path:
    code = hash_of([LAB / "initrd.py"], worker.name, repr((KERNELS, DISK_BYTES)))
    return cache_folder() / f"machine-{code}"


def _machine(worker: Path) -> Path:
    def make(out: Path) -> None:
        for name, pattern in KERNELS.items():
            modules = _newest(worker / "usr/lib/modules", pattern)
            shutil.copy(worker / "boot" / f"vmlinuz-{modules.name}", out / f"vmlinuz-{name}")
            (out / f"initrd-{name}").write_bytes(initrd.make(worker, modules))
        make_disk(worker, out / "disk.raw", DISK_BYTES)

    return make_entry(_machine_folder(worker), make)


def _newest(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise LabError(f"the worker has no kernel {pattern}")
    return found[-1]


def make_disk(folder: Path, disk: Path, size: int) -> None:
    """An ext4 file system of `size` bytes, sparse, with what is in `folder`."""
    with disk.open("wb") as file:
        file.truncate(size)
    run_step(
        f"making {disk.name}",
        ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-d", folder, disk],
        log_file(disk.stem),
    )
