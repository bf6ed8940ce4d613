"""Which image a job's container is made of.

JAliEn's rules. The first that is named decides: the caller (`--image`, the site's setting), the
JDL's `JobContainer`, JOB_CONTAINER_PATH of the agent; else the platforms that the job can run on
(`el9-x86_64`, `SLC7`): the oldest of them that has an image `compat_PLATFORM`; else the site's
default. A platform of another machine (`el9-aarch64` on x86_64) is not looked at.

Example:
    choice = choose_image(None, None, "el8-x86_64, el9-x86_64", folder, {}, machine="x86_64")
    choice.path    # .../compat_el8-x86_64, or .../default, or None
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ImageChoice", "choose_image"]

BY_JOB = "the JDL's `JobContainer`"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(frozen=True)
class ImageChoice:
    """`demanded`: named by somebody, so that it must be had. `reason` is words."""

    path: str | None
    demanded: bool
    reason: str

    @property
    def is_the_jobs(self) -> bool:
        return self.reason == BY_JOB


def choose_image(
    given: str | None,
    job_container: str | None,
    platform: str | None,
    folder: Path,
    environ: Mapping[str, str],
    machine: str,
) -> ImageChoice:
    named = {
        "the caller named it": given,
        BY_JOB: job_container,
        "JOB_CONTAINER_PATH": environ.get("JOB_CONTAINER_PATH"),
    }
    for reason, image in named.items():
        if image:
            return ImageChoice(image, True, reason)
    machine = _MACHINES.get(machine, machine)
    return _by_platform(platform or "", folder, machine) or _default(platform, folder, machine)


def _by_platform(platform: str, folder: Path, machine: str) -> ImageChoice | None:
    """As JAliEn, the oldest alone is tried, not the next older one that has an image."""
    found = [each.group() for each in _pattern(machine).finditer(platform)]
    if not found:
        return None
    oldest = min(found, key=lambda each: int(re.sub(r"-.*|[^0-9]", "", each)))
    path = folder / f"compat_{oldest}"
    return ImageChoice(str(path), False, f"for platform {oldest}") if path.exists() else None


def _pattern(machine: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:el|SLC)[0-9]{{1,2}}(?:-{re.escape(machine)}\b|(?=\s*(?:,|$)))")


def _default(platform: str | None, folder: Path, machine: str) -> ImageChoice:
    path = folder / ("default" if machine == "x86_64" else f"default-{machine}")
    if not path.exists():
        return ImageChoice(None, False, f"there is no image in `{folder}`")
    missing = f", none for platform {platform}" if platform else ""
    return ImageChoice(str(path), False, f"the default{missing}")
