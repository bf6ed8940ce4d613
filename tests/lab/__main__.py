"""./dev lab: a person's way to the virtual worker node. The tests' way is conftest.py."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from nodes.compose import NODES

from lab.image import KERNELS, Image
from lab.labs import TIERS, Lab
from lab.places import cache_folder, remove_unused
from lab.progress import LabError, say
from lab.record import main as record_places
from lab.shell import shell
from lab.vm import MachineSpec, ensure_state


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)  # the end of a `with` is the same for all of them
    try:
        return int(options.verb(options))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; everything it started is gone", file=sys.stderr)
        return 130


def interrupted(*_: int | FrameType | None) -> None:
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="./dev lab", description="the virtual worker node")
    verbs = made.add_subparsers(required=True, metavar="VERB")
    one = verbs.add_parser("shell", help="a shell on a fresh node with gpuctl installed")
    one.add_argument("--tier", choices=TIERS, default="ns", help="ns (default): at once; vm: all")
    one.add_argument("--node", choices=sorted(NODES), help="the GPUs of this composed node")
    one.add_argument("--kernel", choices=sorted(KERNELS), default="6.12", help="with --tier vm")
    one.add_argument("--user", choices=("pilot", "other", "root"), default="pilot")
    one.set_defaults(verb=shell_verb)
    one = verbs.add_parser(
        "build", help="make all of it now: root file systems, kit, booted states"
    )
    one.set_defaults(verb=build_verb)
    one = verbs.add_parser("status", help="what is there and how much space it takes")
    one.set_defaults(verb=status_verb)
    one = verbs.add_parser("record", help="what a process sees in each place: tests/data/places")
    one.set_defaults(verb=record_verb)
    one = verbs.add_parser("clean", help="remove all of it from the cache, but what is in use")
    one.set_defaults(verb=clean_verb)
    return made


def shell_verb(options: argparse.Namespace) -> int:
    with Lab.ensure() as lab:
        kernel = {"kernel": options.kernel} if options.tier == "vm" else {}
        node = lab.make(options.tier, gpus=options.node, **kernel)
        say("try: gpuctl discover; lab-place slurm gpuctl discover; lab-place; exit")
        return shell(node, options.user)


def build_verb(_: argparse.Namespace) -> int:
    with Lab.ensure() as lab:
        for kernel in KERNELS:
            ensure_state(lab.image, MachineSpec(kernel), lab.kit.disk, lab.run)
    say(f"all there, in `{cache_folder()}`")
    return 0


def record_verb(_: argparse.Namespace) -> int:
    record_places()
    return 0


def status_verb(_: argparse.Namespace) -> int:
    print(f"{cache_folder()}: {_megabytes(cache_folder())} MB")
    for name, there in Image.present().items():
        size = f"{_megabytes(cache_folder() / name)} MB" if there else "not made"
        print(f"  {name:24} {size}")
    for folder in sorted(cache_folder().glob("run.*")):
        print(f"  {folder.name:24} a run, going on or killed")
    return 0


def _megabytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512 // 1_000_000


def clean_verb(_: argparse.Namespace) -> int:
    left = [entry for entry in cache_folder().iterdir() if not _removed(entry)]
    for entry in left:
        print(f"lab: `{entry}` is in use", file=sys.stderr)
    return 1 if left else 0


def _removed(entry: Path) -> bool:
    if not entry.is_dir():
        entry.unlink()
        return True
    if entry.name.startswith("."):  # of a build that was killed
        shutil.rmtree(entry)
        return True
    return remove_unused(entry)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
