"""Does the job fit this node, before anything is reserved: the same conditions as `gpuctl match`.

A broker has matched a job that an agent brings, so what does not fit now is a reason to give it
back: in a CE's slot, and with `--match always`, it is refused. A job that somebody runs by hand is
only told: his machine has no CE, partition or TTL that the JDL could be held to.
"""

from __future__ import annotations

import os
from dataclasses import replace

from gpuctl import _core
from gpuctl.jdl import Jdl, JobRequest
from gpuctl.job.options import JobOptions
from gpuctl.job.refusal import RefusedError
from gpuctl.job.trace import Trace
from gpuctl.match.answer import unmet_json
from gpuctl.match.conditions import unmet_conditions
from gpuctl.match.node import Node
from gpuctl.match.requirements import Requirements
from gpuctl.match.unmet import Unmet
from gpuctl.settings import Settings
from gpuctl.sitemap import sitemap

__all__ = ["demand_fit", "look_at_fit"]


def look_at_fit(
    doc: Jdl, request: JobRequest, options: JobOptions, trace: Trace
) -> tuple[Unmet, ...]:
    """Every condition that is not met, apart from GPUs; each is told. JdlValueError for
    `Requirements` that are no expression.
    """
    if _when(options) == "never":
        return ()
    job = Requirements.from_jdl(doc, request)
    if options.ttl is not None:
        seconds = _core.parse_duration_usec(options.ttl, "`--ttl`") // 1_000_000
        job = replace(job, ttl_seconds=seconds)
    node = Node.from_json(
        sitemap(root=options.root, state_dir=options.state_dir, try_containers=False)
    )
    unmet = tuple(unmet_conditions(job, node))
    for each in unmet:
        trace.say(f"does not fit: {each.text}")
    return unmet


def demand_fit(unmet: tuple[Unmet, ...], options: JobOptions) -> None:
    """Raises RefusedError, with every reason, where a job that does not fit may not run."""
    if not unmet or (_when(options) == "auto" and not os.environ.get("CE")):
        return
    reasons = [unmet_json(each) for each in unmet]
    more = f", and {len(unmet) - 1} more" if len(unmet) > 1 else ""
    raise RefusedError(
        "JOBBROKER", f"the job does not fit this node: {unmet[0].text}{more}", unmet=reasons
    )


def _when(options: JobOptions) -> str:
    return Settings.load(options.settings_flags()).text("match") or "auto"
