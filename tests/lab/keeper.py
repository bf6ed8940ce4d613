"""Takes away what a run of the lab leaves, however it ends.

Started beside the run as a process of its own session, with a pipe as its stdin. When the pipe's
other end is gone (the run ended, was interrupted or killed), it waits until the processes of the
run's control groups are gone, removes the control groups by name, and then the scratch folder. The
processes themselves die with their parent (prctl(2) PR_SET_PDEATHSIG): the keeper signals nobody.

    python3 -I keeper.py SCRATCH        # stdin: one control group's path a line
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

PATIENCE = 20.0  # seconds for what is dying


def remove_group(top: Path) -> bool:
    """Bottom up: a control group with children or members refuses (EBUSY)."""
    folders = [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def remove_scratch(scratch: Path) -> bool:
    """False while something is mounted in it or still written to it."""
    mounts = Path("/proc/self/mountinfo").read_text()
    if f" {scratch}/" in mounts:
        return False
    shutil.rmtree(scratch, ignore_errors=True)
    return not scratch.exists()


def main() -> None:
    scratch = Path(sys.argv[1])
    groups = [Path(line.strip()) for line in sys.stdin]
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        groups = [group for group in groups if not remove_group(group)]
        if not groups and remove_scratch(scratch):
            return
        time.sleep(0.02)
    left = [*map(str, groups), str(scratch)]
    sys.exit(f"lab: could not remove: {' '.join(left)}")


main()
