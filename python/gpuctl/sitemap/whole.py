"""All of the SiteMap, in order; what cannot be known is null and told under `problems`."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from gpuctl import _core
from gpuctl.host import Host
from gpuctl.settings import Settings
from gpuctl.sitemap import machine, slot
from gpuctl.sitemap.containers import usable_containers
from gpuctl.sitemap.gpus import gpu_part
from gpuctl.sitemap.software import cvmfs

__all__ = ["SCHEMA", "merged", "sitemap"]

SCHEMA = "gpuctl.sitemap/1"


def sitemap(
    *,
    root: str | None = None,
    state_dir: str | None = None,
    environ: Mapping[str, str] | None = None,
    constraints: Mapping[str, Any] | None = None,
    try_containers: bool = True,
) -> dict[str, Any]:
    """The SiteMap of this node; `root` stands in for its hardware, `environ` for its environment.

    `constraints` are Site Sonar's; they never override a key that gpuctl sets. To try containers
    takes seconds; without it `containers` is null.
    """
    given = os.environ if environ is None else environ
    problems: list[str] = []
    settings = Settings.load({"root": root, "state-dir": state_dir})
    host = Host(root=root, state_dir=state_dir)
    memory = machine.memory_bytes(given, problems.append)
    folder = slot.work_folder(given, settings.text("workdir"))
    system = os.uname()
    software = cvmfs(given, system.machine, problems.append)
    # a CVMFS that does not answer would hold up the look for runtimes and images too
    try_containers = try_containers and software["CVMFS"] is not None
    answer = {
        "schema": SCHEMA,
        "created_at": _core.rfc3339(int(time.time() * 1e6)),
        "gpuctl_version": _core.version,
        **slot.place(given, system.nodename),
        **slot.close_storage(given, problems.append),
        **slot.users(given),
        "TTL": slot.ttl_seconds(given, time.time(), problems.append),
        **machine.cores(given, memory, problems.append),
        **machine.disk(given, folder, problems.append),
        "memory_bytes": memory,
        "Platform": machine.platform_name(problems.append),
        "machine": system.machine,
        **software,
        "Packages": None,
        "InstalledPackages": None,
        "containers": usable_containers(settings, given) if try_containers else None,
        **gpu_part(host, given, problems.append),
    }
    return merged(answer, constraints, problems)


def merged(
    answer: dict[str, Any], constraints: Mapping[str, Any] | None, problems: list[str]
) -> dict[str, Any]:
    """Each constraint as a key, as JAliEn has it, and all of them under `constraints`."""
    ours = {key.lower() for key in (*answer, "constraints", "problems")}
    taken = {}
    for name, value in (constraints or {}).items():
        if name.lower() in ours:
            problems.append(f"the constraint `{name[:60]}` would replace a key of gpuctl")
        else:
            taken[name] = value
    told = None if constraints is None else taken
    return {**answer, **taken, "constraints": told, "problems": problems}
