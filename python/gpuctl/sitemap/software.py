"""CVMFS: its revision, and the platforms whose packages this machine can run.

A file system that hangs must not hang the SiteMap, so it is asked in a child with a deadline.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from gpuctl.discovery.child import ask
from gpuctl.sitemap.slot import Complain, Environ

__all__ = ["cvmfs", "platforms_for"]

REPOSITORY = "/cvmfs/alice.cern.ch"
DEADLINE_SECONDS = 10.0

# the child: plain Python, no import of gpuctl
_QUESTION = """
import json, os, sys
top = sys.argv[1]
try:
    names = sorted(os.listdir(top))
except OSError:
    print("null"); sys.exit()
try:
    revision = os.getxattr(top, "user.revision").decode()
except OSError:
    revision = None
names = [name for name in names if os.path.isdir(os.path.join(top, name, "Packages"))]
print(json.dumps({"revision": revision, "platforms": names}))
"""


def cvmfs(environ: Environ, machine: str, complain: Complain) -> dict[str, Any]:
    """CVMFS is 1 where it is there, 0 where not, null where it did not answer."""
    path = environ.get("CVMFS_PATH") or REPOSITORY
    found = _asked(path, complain)
    if not isinstance(found, dict):
        told = None if found is None else 0
        return {"CVMFS": told, "CVMFS_revision": None, "platforms": None}
    revision = str(found.get("revision") or "")
    return {
        "CVMFS": 1,
        "CVMFS_revision": int(revision) if revision.isdecimal() and len(revision) < 19 else None,
        "platforms": platforms_for(found.get("platforms") or [], machine),
    }


def platforms_for(names: list[str], machine: str) -> list[str]:
    """Those of this machine's architecture: another one's programs do not run, in no container."""
    return [name for name in names if name.endswith(f"-{machine}")]


def _asked(path: str, complain: Complain) -> Any:
    """The child's answer; False where there is no repository, None where nobody knows."""
    try:
        output = ask([sys.executable, "-I", "-S", "-c", _QUESTION, path], DEADLINE_SECONDS)
    except OSError as error:
        complain(f"`{path}` was not looked at: {error}")
        return None
    if output.hung:
        complain(f"`{path}` did not answer within {DEADLINE_SECONDS:.0f} s")
        return None
    try:
        return json.loads(output.stdout) or False
    except ValueError:
        complain(f"`{path}` could not be read")
        return None
