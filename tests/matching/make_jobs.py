"""200 jobs in the shapes of real productions, and for each of 12 nodes whether and why it fits.

Verdicts are written by hand, one line for each thing that a job may ask: a character for each
node (`.` it has it, `x` it has not, `?` it does not tell), in the order of NODES. A job is a few of
those things together, so what it lacks on a node is what they lack. Nothing here compares values.

    python tests/matching/make_jobs.py > tests/data/matching/jobs.tsv

The table has one line a job: name, twelve cells, the JDL with `\\n`. A cell is `yes`, or the names
of the conditions that are not met, `?` behind those that nobody can tell.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["NODES", "Thing", "rows"]

NODES = (
    "epn-mi50",
    "epn-mi50-16",
    "epn-mi100",
    "perlmutter-40",
    "perlmutter-80",
    "alps-gh200",
    "cpu8-el8",
    "cpu8-el9",
    "whole-el9",
    "epn-quarantine",
    "mig-a100",
    "old-pbs",
)
COUNT = 200


class Thing(NamedTuple):
    """`tags` are lines of the JDL, `condition` a part of Requirements; `lacks` by condition."""

    kind: str
    tags: str = ""
    condition: str = ""
    lacks: tuple[tuple[str, str], ...] = ()


def _thing(kind: str, tags: str = "", condition: str = "", **lacks: str) -> Thing:
    return Thing(kind, tags, condition, tuple(lacks.items()))


CORES = (
    _thing("cores", "", required_cpus="xxx...x..x.."),
    _thing("cores", "CPUCores = 8;", cpu_cores="..........xx", disk="...........x"),
    _thing("cores", 'CPUCores = "16";', cpu_cores="......xx..xx", disk="......xx...x"),
    _thing("cores", "CPUCores = 64;", cpu_cores="......xx..xx", disk="......xx..xx"),
    # more than 100 counts as one, in JAliEn and here
    _thing("cores", "CPUCores = 128;", required_cpus="xxx...x..x.."),
    _thing(
        "cores",
        'CPUCores = 8;\nWorkDirectorySize = "110GB";',
        cpu_cores="..........xx",
        disk=".......x...x",
    ),
    _thing("cores", 'CPUCores = 8;\nWorkDirectorySize = "5GB";', cpu_cores="..........xx"),
    _thing(
        "cores",
        "",
        "other.LocalDiskSpace > 20000",
        required_cpus="xxx...x..x..",
        disk="...........x",
    ),
)
TTLS = (
    _thing("ttl"),
    _thing("ttl", "TTL = 20000;", ttl="...........x"),
    _thing("ttl", 'TTL = "36000";', ttl="..........xx"),
    _thing(
        "ttl", "TTL = 43200;", "other.TTL > 43200", ttl="...xx..x..xx", requirements="...xx..x..xx"
    ),
    _thing("ttl", "TTL = 86000;", ttl="...xx..x..xx"),
    _thing("ttl", "TTL = 86400;", ttl="xxxxxx.x.xxx"),
    _thing("ttl", "", "other.TTL > 50000", ttl="...xx..x..xx", requirements="...xx..x..xx"),
)
PARTITIONS = (
    _thing("partition"),
    _thing("partition", "", 'member(other.GridPartitions,"prod")', partition="xxxxxx.x.xxx"),
    _thing("partition", "", 'member(other.GridPartitions,"gpu")', partition="...xxxxxx..x"),
    _thing("partition", "", 'member(other.GridPartitions, "HPC")', partition="xxx..xxxxxxx"),
)
PLATFORMS = (
    _thing("platform"),
    _thing("platform", 'Platform = "el9-x86_64";', platform=".x...xx....x"),
    _thing("platform", 'Platform = "el9-aarch64";', platform="xxxxx.xxxxxx"),
    _thing("platform", 'Platform = "sles15-x86_64";', platform="xxx..xxxxxxx"),
    _thing("platform", 'platform = "EL8-x86_64";', platform="x.x..x.x.xxx"),
    _thing("platform", 'Platform = {"el8-x86_64", "el9-x86_64"};', platform=".....x.....x"),
)
PACKAGES = (
    _thing("packages"),
    _thing("packages", 'Packages = {"VO_ALICE@O2PDPSuite::v1"};', packages="...........x"),
    _thing("packages", 'Packages = {"VO_ALICE@AliPhysics::v5-09", "VO_ALICE@ROOT::v6-30"};'),
    _thing("packages", "", 'member(other.Packages,"VO_ALICE@O2sim::v2")', packages="...........x"),
)
REVISIONS = (
    _thing("cvmfs"),
    _thing("cvmfs", "", "other.CVMFS_Revision >= 30000", cvmfs_revision="..x........?"),
)
CES = (
    _thing("ce"),
    _thing("ce", "", 'other.CE == "ALICE::EPN::EPN"', ce="...xxxxxx.?x"),
    _thing("ce", "", '!other.CE == "ALICE::EPN::EPN"', ce="xxx......x?."),
    _thing("ce", "", 'other.CE != "alice::epn::epn"', ce="xxx......x?."),
    _thing(
        "ce",
        "",
        '(other.CE == "ALICE::LBL_HPC::Perlmutter" || other.CE == "ALICE::CERN::WHOLE")',
        ce="xxx..xxx.x?x",
    ),
)
STORAGE = (
    _thing("storage"),
    _thing("storage", "", 'member(other.CloseSE,"ALICE::CERN::EOS")', close_se="...xxxx...??"),
    _thing("storage", "", '!member(other.CloseSE,"ALICE::LBL::EOS")', close_se="...xx.....??"),
)
USERS = (
    _thing("user", 'User = "alidaq";'),
    _thing("user", 'User = "alitrain";', user=".......x...."),
    _thing("user", 'User = "banned";', user=".......xx..."),
    _thing("user", user=".......??..."),
)
MI50 = 'GPU = "Radeon Instinct MI50 32GB";'
GPUS = (
    _thing("gpu"),
    _thing("gpu", MI50, gpu=".xxxxxxxx.x?"),
    _thing("gpu", f"{MI50}\nGPUCount = 5;", gpu=".xxxxxxxx.x?"),
    _thing("gpu", f"{MI50}\nGPUCount = 6;", gpu=".xxxxxxxxxx?"),
    _thing("gpu", 'GPU = "MI50 16GB";', gpu="x.xxxxxxxxx?"),
    _thing("gpu", 'GPU = "MI50";\nGPUCount = 8;', gpu="..xxxxxxxxx?"),
    _thing("gpu", 'GPUVendor = "amd";\nGPUCount = 1;', gpu="...xxxxxx.x?"),
    _thing("gpu", 'GPUVendor = "NVIDIA";', gpu="xxx...xxxx.?"),
    _thing("gpu", 'GPUArchitecture = "gfx908";\nGPUCount = "4";', gpu="xx.xxxxxxxx?"),
    _thing("gpu", 'GPU = "A100 80GB";', gpu="xxxx.xxxxxx?"),
    _thing("gpu", 'GPU = "A100";', gpu="xxx..xxxxx.?"),
    _thing("gpu", 'GPU = "A10";', gpu="xxxxxxxxxxx?"),
    _thing("gpu", 'GPUMemory = "80GB";', gpu="xxxx..xxxxx?"),
    _thing("gpu", 'GPUCount = 1;\nGPUMemory = "30GB";', gpu=".x....xxx.x?"),
    _thing("gpu", "GPUCount = 4;", gpu=".....xxxx..?"),
    _thing("gpu", 'GPU = "A100";\nGPURequired = false;'),
    _thing("gpu", 'GPU = {"MI100", "A100 40GB"};', gpu="xx..xxxxxxx?"),
    _thing("gpu", 'GPU = "GH200";\nGPUArchitecture = "Hopper";', gpu="xxxxx.xxxxx?"),
    _thing(
        "gpu",
        "",
        'countMatches(vendor == "amd" && memory_total_bytes >= 32000000000 && available, '
        "other.GPUs) >= 2",
        requirements=".x.xxxxxx.x?",
    ),
)
OTHERS = (
    _thing("other"),
    _thing("other", "", 'other.Type == "machine"'),
    _thing("other", "", "( other.Price <= 1 )"),
    _thing("other", "", 'regexp("^el[89]-", other.Platform)', requirements="...xx......x"),
    _thing("other", "", 'other.machine == "x86_64"', requirements=".....x.....?"),
    _thing(
        "other", "", "(other.GPUCount > 0 || other.CPUCores >= 64)", requirements="......xx...?"
    ),
    _thing("other", "", "other.NoSuchThing == 5", requirements="????????????"),
    _thing("other", "", 'other.Site == "CERN"', requirements="xxxxxxx..x?x"),
)
CONSTRAINTS = (
    _thing("constraint"),
    _thing("constraint", 'OS_NAME = "AlmaLinux";', os_name=".?????x?.???"),
    _thing("constraint", 'CPU_flags = "%avx512%";', cpu_flags="????????.???"),
)
KINDS = (
    *(CORES, TTLS, PARTITIONS, PLATFORMS, PACKAGES, REVISIONS, CES, STORAGE, USERS, GPUS),
    *(OTHERS, CONSTRAINTS),
)
USUAL = (CORES[1], TTLS[1], USERS[0])

# What productions carry along, and what a matching must not stumble over
_BODIES = (
    'Executable = "/alice/cern.ch/user/a/aliprod/bin/aliroot_new.sh";\n'
    'Arguments = "--run 297595 --mode sim --nevents 50";\n'
    'JDLVariables = {"Packages", "OutputDir", "CPUCores"};\n'
    'OutputDir = "/alice/sim/2026/LHC26a1/297595/#alien_counter_03i#";\n'
    'Split = "production:1-1000";\nMasterResubmitThreshold = "99%";\nPrice = 1;\n',
    "# async reconstruction on the event processing nodes\n"
    'Executable = "/alice/cern.ch/user/a/alidaq/bin/async_pass.sh";\n'
    'InputDataCollection = "LF:/alice/cern.ch/user/a/alidaq/list.xml,nodownload";\n'
    'OutputArchive = {"log.zip:stdout,stderr@disk=1", "root_archive.zip:*.root@disk=2"};\n'
    'JobTag = {"comment:pass4 of LHC26c"};\nLPMActivity = 1;\nLPMPassID = 4711;\n',
    'Executable = "train.sh";\nArguments = "HYPERLOOP 12345";\nMaxWaitingTime = 86400;\n'
    'ValidationCommand = "/alice/cern.ch/user/a/alitrain/bin/validate.sh";\n'
    'OutputErrorE = {"log.zip:stdout,stderr"};\nRemoteTimeout = 3600;\n',
    'executable = "quick.sh";\nEmail = "someone@example.org";\nDebugTag = {"a", "b"};\n',
)


def rows() -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Name, cells, JDL."""
    for number, things in enumerate(_choices()):
        kinds = [f"{thing.kind}{KINDS[_index(thing)].index(thing)}" for thing in things]
        yield f"{number:03}-" + "-".join(kinds), cells(things), jdl(number, things)


def _index(thing: Thing) -> int:
    return next(i for i, kind in enumerate(KINDS) if kind[0].kind == thing.kind)


def _choices() -> Iterator[tuple[Thing, ...]]:
    """Each thing alone among the usual, then several together."""
    chosen: dict[frozenset[Thing], tuple[Thing, ...]] = {}
    for thing in (thing for kind in KINDS for thing in kind):
        things = _with(USUAL, thing)
        chosen.setdefault(_asked(things), things)
    source = random.Random(20260101)
    while len(chosen) < COUNT:
        things = USUAL
        for kind in source.sample(KINDS, source.randint(2, 5)):
            things = _with(things, source.choice(kind))
        chosen.setdefault(_asked(things), things)
    yield from chosen.values()


def _asked(things: tuple[Thing, ...]) -> frozenset[Thing]:
    return frozenset(thing for thing in things if thing.tags or thing.condition)


def _with(things: tuple[Thing, ...], one: Thing) -> tuple[Thing, ...]:
    return (*(each for each in things if each.kind != one.kind), one)


def cells(things: tuple[Thing, ...]) -> tuple[str, ...]:
    found = []
    for place in range(len(NODES)):
        lacking = {}
        for thing in things:
            for name, verdicts in thing.lacks:
                if verdicts[place] != ".":
                    lacking[name] = name + ("?" if verdicts[place] == "?" else "")
        found.append(",".join(sorted(lacking.values())) or "yes")
    return tuple(found)


def jdl(number: int, things: tuple[Thing, ...]) -> str:
    tags = "\n".join(thing.tags for thing in things if thing.tags)
    conditions = [thing.condition for thing in things if thing.condition]
    joined = " && ".join(f"( {each} )" if number % 3 else each for each in conditions)
    requirements = f"Requirements = {joined};\n" if conditions else ""
    return f"{_BODIES[number % len(_BODIES)]}{requirements}{_closed(tags)}\n"


def _closed(tags: str) -> str:
    return tags if not tags or tags.endswith(";") else f"{tags};"


def main() -> None:
    sys.stdout.write("\t".join(("name", *NODES, "jdl")) + "\n")
    for name, verdicts, text in rows():
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
        sys.stdout.write("\t".join((name, *verdicts, escaped)) + "\n")


if __name__ == "__main__":
    main()
