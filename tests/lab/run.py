"""One run of the lab: a scratch folder, and all that is started in it, taken away at its end.

with Run() as run:
    process = run.start(["qemu-system-x86_64", …], log=run.scratch / "qemu.log")
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.places import LAB, Hold, cache_folder, remove_unused
from lab.progress import die_with_parent


class Run:
    def __init__(self) -> None:
        sweep()
        self.scratch = Path(tempfile.mkdtemp(prefix="run.", dir=cache_folder()))
        self.scratch.chmod(0o755)
        self.hold = Hold(self.scratch)
        self.children: list[subprocess.Popen[bytes]] = []
        self.keeper = subprocess.Popen(
            [sys.executable, "-I", str(LAB / "keeper.py"), str(self.scratch)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def keep_group(self, group: Path) -> None:
        """Makes a control group that the keeper removes."""
        assert self.keeper.stdin is not None
        self.keeper.stdin.write(f"{group}\n".encode())
        self.keeper.stdin.flush()
        group.mkdir()

    def start(
        self, argv: Sequence[object], log: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """A process that dies with this one, its words in `log`."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(each) for each in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,
                env={**os.environ, **(env or {})},
            )
        self.children.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        if process in self.children:
            self.children.remove(process)

    def close(self) -> None:
        for process in list(self.children):
            self.stop(process)
        self.hold.release()
        assert self.keeper.stdin is not None
        self.keeper.stdin.close()
        self.keeper.wait()


def sweep() -> None:
    """Scratch folders whose run and keeper were both killed: nobody holds them."""
    for folder in cache_folder().glob("run.*"):
        if not any(folder.iterdir()):
            continue  # just made, not held yet
        if remove_unused(folder):
            shutil.rmtree(folder, ignore_errors=True)
