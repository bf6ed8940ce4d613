"""Records what a process sees in each place of a whole machine, for the quick tests.

    ./dev lab record        # writes tests/data/places/*.json

Each file is one place: the kernel and, by path, the contents of the process's files in /proc, of
its control group and all above it, and of the ads that HTCondor hands to a job; null is a file that
this process could not read. `env` holds the batch system's variables. nodes/places.py reads them.
"""

from __future__ import annotations

import json

from lab.labs import Lab
from lab.node import PLACES, Node
from lab.places import REPOSITORY
from lab.progress import say

FOLDER = REPOSITORY / "tests/data/places"
KERNELS = ("6.12", "5.10")

# POSIX sh: it also runs in a container that has little else. The mark is no line of any such file.
SCRIPT = r"""
show() {
    printf '%s%s\n' '=== ' "$1"
    cat "$1" 2>/dev/null && printf '\n=== ok\n' || printf '\n=== no\n'
}
for name in cgroup mountinfo stat status limits cpuset oom_score_adj; do show /proc/$$/$name; done
group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$$/cgroup)
[ -d "$group" ] || group=/sys/fs/cgroup
while :; do
    for file in "${group%/}"/*; do [ -f "$file" ] && show "$file"; done
    [ "${group%/}" = /sys/fs/cgroup ] && break
    group=${group%/*}
done
for file in "$_CONDOR_MACHINE_AD" "$_CONDOR_JOB_AD"; do [ -f "$file" ] && show "$file"; done
echo "=== pid $$"
env | grep -E '^(SLURM|_CONDOR|CUDA|ROCR|ZE_AFFINITY|GPU_DEVICE|XDG_RUNTIME|DBUS)' | sort
"""


def record(node: Node, kernel: str, place: str | None) -> dict[str, object]:
    options = ["--gres=gpu:1", "--mem=300M"] if place == "slurm" else []
    done = node.run(["sh", "-c", SCRIPT], place=place, options=options, timeout=300).check()
    files, rest = {}, done.stdout
    while not rest.startswith("=== pid "):
        head, _, rest = rest.partition("\n")
        path = head[len("=== ") :]
        text, _, rest = rest.partition("\n=== ")
        verdict, _, rest = rest.partition("\n")
        files[path] = text if verdict == "ok" else None
    head, _, rest = rest.partition("\n")
    env = dict(line.split("=", 1) for line in rest.splitlines() if "=" in line)
    release = node.run("uname -r").stdout.strip()
    return {
        "kernel": release,
        "place": place,
        "pid": int(head.split()[2]),
        "env": env,
        "files": files,
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with Lab.ensure() as lab:
        for kernel in KERNELS:
            node = lab.make("vm", kernel=kernel)
            for place in (None, *PLACES):
                found = record(node, kernel, place)
                path = FOLDER / f"{kernel}-{place or 'plain'}.json"
                path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                say(f"{path.relative_to(REPOSITORY)}: {len(found['files'])} files")  # type: ignore[arg-type]
            node.close()
