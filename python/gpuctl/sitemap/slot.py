"""What the environment says of the slot; the names are JAliEn's. Pure functions of it.

An agent gets these variables from its CE, whose entry in LDAP they repeat. A value that means
nothing is left out and told as a problem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["DEFAULT_TTL_SECONDS", "close_storage", "place", "ttl_seconds", "users", "work_folder"]

DEFAULT_TTL_SECONDS = 12 * 3600  # JAliEn's, for a CE that says nothing

Environ = Mapping[str, str]
Complain = Callable[[str], None]

_USERS = re.compile(r'other\.user\s*==\s*"(\w+)"', re.IGNORECASE)
_EXCLUDED_USERS = re.compile(r'other\.user\s*!=\s*"(\w+)"', re.IGNORECASE)
_CPUS = re.compile(r"other\.cpucores\s*(>=|<=|>|<|==|=|!=)\s*([0-9]{1,9})", re.IGNORECASE)
_MAX_REQUIREMENTS = 65536
_MAX_FEATURE_BYTES = 4096


def place(environ: Environ, hostname: str) -> dict[str, Any]:
    """Who and where the slot is."""
    above = environ.get("ALIEN_CM_AS_LDAP_PROXY") or hostname
    return {
        "Localhost": environ.get("PARENT_HOSTNAME") or hostname,
        "alienCm": above,
        "Host": above.split(":")[0],
        "CE": environ.get("CE") or None,
        "CEhost": environ.get("CEhost") or None,
        "Site": environ.get("site") or None,
        "Partition": environ.get("partition") or None,
    }


def close_storage(environ: Environ, complain: Complain) -> dict[str, Any]:
    """`ALICE::CERN::EOS` is close, so jobs for the site CERN may come here too."""
    names = [name.strip() for name in environ.get("closeSE", "").split(",") if name.strip()]
    sites = []
    for name in names:
        parts = name.split("::")
        if len(parts) > 1 and parts[1]:
            sites.append(parts[1])
        else:
            complain(f"`closeSE` names `{name[:60]}`, which is no `VO::SITE::STORAGE`")
    return {"closeSE": names or None, "Extrasites": list(dict.fromkeys(sites)) or None}


def users(environ: Environ) -> dict[str, Any]:
    """Of `cerequirements`: whom the CE takes, whom it does not, and how many cores."""
    text = environ.get("cerequirements", "")[:_MAX_REQUIREMENTS]
    cpus = _CPUS.search(text)
    required = "".join(cpus.groups()) if cpus else environ.get("RequiredCpusCe") or None
    return {
        "Users": _USERS.findall(text) or None,
        "NoUsers": _EXCLUDED_USERS.findall(text) or None,
        "RequiredCpusCe": required,
        "cpuIsolation": flag(environ.get("cpuIsolation")),
    }


def ttl_seconds(environ: Environ, now: float, complain: Complain) -> int:
    """What is left of the slot: TTL, but no longer than the machine and the batch job live."""
    left = number(environ, "TTL", complain)
    ends = [feature("MACHINEFEATURES", "shutdowntime", environ, complain)]
    ends.append(number(environ, "SLURM_JOB_END_TIME", complain))
    seconds = [DEFAULT_TTL_SECONDS if left is None else left]
    seconds += [int(end - now) for end in ends if end]
    return max(0, min(seconds))


def work_folder(environ: Environ, setting: str | None) -> str:
    """Where a job's work directory is made. HOME counts only where an agent runs the jobs."""
    if setting:
        return setting
    for name in ("TMPBATCH", "WORKDIR"):
        if environ.get(name):
            return environ[name]
    if environ.get("CE") and environ.get("HOME"):
        return environ["HOME"]
    return environ.get("TMPDIR") or "/tmp"


def number(environ: Environ, name: str, complain: Complain) -> int | None:
    """A whole number from 0; None where it is not set."""
    text = environ.get(name, "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    complain(f"`{name}` is `{text[:40]}`, expected a whole number")
    return None


def flag(text: str | None) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get((text or "").strip().lower())


def feature(folder: str, name: str, environ: Environ, complain: Complain) -> int | None:
    """MachineJobFeatures (HSF-TN-2016-02): a folder of small files, named by a variable."""
    where = environ.get(folder)
    if not where or "://" in where:
        return None
    path = Path(where) / name
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            text = file.read(_MAX_FEATURE_BYTES).decode("ascii", "replace").strip()
    except (OSError, ValueError) as error:
        complain(f"`{path}` cannot be read: {error}")
        return None
    return number({name: text}, name, complain)
