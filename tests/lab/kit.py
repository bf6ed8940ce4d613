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
from lab.places import LAB, REPOSITORY, Hold, cache_folder, hash_of, remove_older
from lab.progress import run_step

SOURCES = ("CMakeLists.txt", "LICENSE", "README.md", "VERSION", "pyproject.toml", "cmake", "cpp")
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
        code = hash_of([*sources, LAB / "kit", LAB / "kit.py", LAB / "build-kit.sh"])
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
    run_step(
        "compiling gpuctl for the worker",
        [LAB / "build-kit.sh", image.builder, REPOSITORY, wheels, kept, folder],
        log_file("kit"),
        env={**os.environ, "LAB_SCRATCH": str(out / "build")},
    )
    shutil.rmtree(out / "build", ignore_errors=True)
    for program in sorted((LAB / "kit/bin").iterdir()):
        shutil.copy(program, folder / "bin" / program.name)
    make_disk(folder, out / "kit.img", DISK_BYTES)


def _wheels() -> Path:
    """The pinned build tools, as this machine's pip gets them: the builder has no network."""
    pinned = REPOSITORY / "requirements/build.txt"

    def fetch(out: Path) -> None:
        run_step(
            "fetching requirements/build.txt",
            [
                *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check"),
                *("--no-input", "--only-binary", ":all:", "--dest", out, "-r", pinned),
            ],
            log_file("wheels"),
        )

    return make_entry(cache_folder() / f"wheels-{hash_of([pinned])}", fetch)
