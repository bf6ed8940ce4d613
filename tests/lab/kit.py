"""What enters every node: gpuctl, built in the worker's own userland, and the lab's programs.

A kit is a folder that a node sees at /opt/lab (a Python environment, so that `bin/gpuctl`,
`bin/gpuctl-job` and `bin/python3 -c 'import gpuctl'` work there), and the same as a small disk:

    kit = Kit.ensure(image)
    kit.folder / "bin/gpuctl"      # static: it runs in an image without any libc
    kit.disk                       # the folder as an ext4 file system
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from lab.image import Image, building, log_file, make_disk, make_entry
from lab.places import LAB, REPOSITORY, Hold, cache_folder, files_below, hash_of, remove_older
from lab.progress import run_step

SOURCES = (
    *("CMakeLists.txt", "LICENSE", "README.md", "VERSION", "pyproject.toml"),
    *("cmake", "cpp", "sitesonar"),
)
PINNED = [REPOSITORY / "requirements" / f"{name}.txt" for name in ("build", "run", "constraints")]
DISK_BYTES = 64 << 20


@dataclass
class Kit:
    entry: Path
    hold: Hold

    @classmethod
    def ensure(cls, image: Image) -> Kit:
        with building():
            entry = make_entry(cls.expected(image), lambda out: _make(image, out))
            return cls(entry, Hold(entry))

    @staticmethod
    def expected(image: Image) -> Path:
        sources = [REPOSITORY / name for name in (*SOURCES, "python")]
        code = hash_of([*sources, LAB / "kit", LAB / "kit.py", LAB / "build-kit.sh", *PINNED])
        return cache_folder() / f"kit-{hash_of([], code, image.builder.name)}"

    @property
    def folder(self) -> Path:
        return self.entry / "folder"

    @property
    def disk(self) -> Path:
        return self.entry / "kit.img"


def _make(image: Image, out: Path) -> None:
    wheels = _wheels()
    folder = out / "folder"
    folder.mkdir()
    kept = cache_folder() / image.builder.name.replace("builder", "objects")  # of the last build
    kept.mkdir(exist_ok=True)
    remove_older("objects", keep=kept)
    source = _copy_changed(kept / "source")
    run_step(
        "compiling gpuctl for the worker",
        [LAB / "build-kit.sh", image.builder, source, wheels, kept, folder],
        log_file("kit"),
        env={**os.environ, "LAB_SCRATCH": str(out / "build")},
    )
    shutil.rmtree(out / "build", ignore_errors=True)
    for program in sorted((LAB / "kit/bin").iterdir()):
        shutil.copy(program, folder / "bin" / program.name)
    make_disk(folder, out / "kit.img", DISK_BYTES)


def _copy_changed(target: Path) -> Path:
    """The sources beside their objects: what differs is written anew, so that its time is.

    Checkouts share the objects, and a file of one may be older than what another has compiled.
    """
    wanted = {}
    for path in files_below(REPOSITORY / name for name in (*SOURCES, "python", "requirements")):
        wanted[path.relative_to(REPOSITORY)] = path
    for path in list(files_below([target])) if target.exists() else []:
        if path.relative_to(target) not in wanted:
            path.unlink()
    for name, path in wanted.items():
        copy = target / name
        if not copy.exists() or copy.read_bytes() != path.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            copy.chmod(path.stat().st_mode & 0o777)
    return target


def _wheels() -> Path:
    """The pinned build tools and what gpuctl runs with, as this machine's pip gets them: the
    builder has no network.
    """
    build, run, constraints = PINNED

    def fetch(out: Path) -> None:
        run_step(
            "fetching requirements/build.txt and run.txt",
            [
                *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check"),
                *("--no-input", "--only-binary", ":all:", "--dest", out),
                *("-r", build, "-r", run, "-c", constraints),
            ],
            log_file("wheels"),
        )

    return make_entry(cache_folder() / f"wheels-{hash_of(PINNED)}", fetch)
