"""What is known only when the supervisor starts the payload: the work directory, the job's marks.

The supervisor makes the work directory and the nonce and tells the payload by its environment; a
container's command line is made before. So the payload's first program is this shell: it puts them
where the runtime wants them, and then becomes the runtime. No process is added.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["AT_START", "WORKDIR", "with_entry"]

WORKDIR = "%W"  # at the start of one option: the job's work directory

# told by the supervisor: inside the container too
AT_START = ("GPUCTL_JOB_NONCE", "ALIEN_PROC_ID")

_HAND_IN = "; ".join(
    f'[ -z "${{{name}:-}}" ] || export APPTAINERENV_{name}="${name}"' for name in AT_START
)

# The first word that begins with the mark is ours: the payload's own words come after it.
_PUT_WORKDIR = f"""found=
for word do
    shift
    case $found$word in
    {WORKDIR}:*)
        word=${{GPUCTL_JOB_WORKDIR:?}}${{word#{WORKDIR}}}
        found=1
        ;;
    esac
    set -- "$@" "$word"
done
"""


def with_entry(argv: Sequence[str], workdir: bool) -> tuple[str, ...]:
    script = f'set -eu\n{_HAND_IN}\n{_PUT_WORKDIR if workdir else ""}exec "$@"\n'
    return ("/bin/sh", "-c", script, "gpuctl-container", *argv)
