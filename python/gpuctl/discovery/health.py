"""Health: what a finding means, as one table, and how a GPU gets out of a bad state again.

A row matches a topic and a pattern on the value; it says state, code, whether the GPU is still
usable, and what clears it: `steady` (gone for a number of readings in a row), `test` (a re-admit
test must pass), `reboot`. The worst row gives the state; all are reasons. docs/design/discovery.md
shows the same table; a test compares them.

Example:
    rule = rule_for(Finding("nvidia.message", "GPU is lost.  Reboot the system …"))
    assert (rule.state, rule.code) == ("lost", "gpu_lost")
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuctl.discovery.reading import Finding

__all__ = ["RULES", "STATES", "Rule", "rule_for", "worst"]

STATES = ("ok", "degraded", "unknown", "probe_hung", "no_driver", "lost")  # from good to bad


@dataclass(frozen=True)
class Rule:
    topic: str
    pattern: str  # of the whole value, ignoring case
    state: str
    code: str
    detail: str
    usable: bool
    clears: str = "steady"


_NOT_ZERO = r"[1-9]\d*(?:\.0)?"
_YES = r"yes|true|active|1"

RULES: tuple[Rule, ...] = (
    Rule("pci.revision", "ff", "lost", "config_all_ones",
         "its configuration space reads all ones: powered off or fallen off", False, "test"),
    Rule("driver", "none", "no_driver", "no_driver", "no driver is bound", False),
    Rule("driver", r"vfio-pci|pci-stub|gim|nvidia_vgpu_vfio|xen-pciback", "no_driver",
         "passed_through", "its driver holds it for a virtual machine", False),
    Rule("driver", r"nouveau|radeon|nvidiafb|simpledrm|ast|mgag200", "no_driver", "display_driver",
         "its driver cannot compute", False),
    Rule("driver", "unknown", "unknown", "driver_unknown", "which driver is bound cannot be told",
         False),
    Rule("nvidia.message", r".*GPU is lost.*", "lost", "gpu_lost",
         "the driver lost it; reset it or reboot", False, "test"),
    Rule("nvidia.message", r".*(?:fallen off the bus).*", "lost", "gpu_lost",
         "it fell off the bus; reboot", False, "reboot"),
    Rule("nvidia.message", r".*GPU requires reset.*", "lost", "gpu_needs_reset",
         "the driver wants it reset", False, "test"),
    Rule("nvidia.message", r".*Driver/library version mismatch.*", "no_driver", "driver_mismatch",
         "library and loaded driver are of different versions; reload the driver or reboot", False,
         "reboot"),
    Rule("nvidia.message", r".*(?:couldn.t communicate with the NVIDIA|Driver Not Loaded).*",
         "no_driver", "driver_not_loaded", "the NVIDIA driver does not answer", False),
    Rule("nvidia.message", r".*(?:libnvidia-ml|Library Not Found|Shared Library).*", "unknown",
         "library_missing", "NVIDIA's library is missing or does not load", True),
    Rule("nvidia.message", r"No devices were found.*", "lost", "driver_sees_none",
         "the driver answers and lists no GPU", False),
    Rule("nvidia.message", r".*Unknown Error.*", "lost", "unknown_error",
         "the driver answers with an unknown error", False, "test"),
    Rule("nvidia.message", r".*Insufficient Permissions.*", "degraded", "forbidden",
         "this user may not ask the driver", False),
    Rule("nvidia.message", r".*", "unknown", "tool_error", "the driver's tool failed", True),
    Rule("nvidia.cell", r".*lost.*", "lost", "gpu_lost", "the driver lost it; reset it or reboot",
         False, "test"),
    Rule("nvidia.cell", r".*", "lost", "unknown_error", "the driver cannot read it", False, "test"),
    Rule("nvidia.ecc_uncorrected", _NOT_ZERO, "degraded", "ecc_uncorrected",
         "uncorrected memory errors since the driver was loaded", False, "test"),
    Rule("nvidia.retired_pending", rf"{_YES}|{_NOT_ZERO}", "degraded", "retire_pending",
         "pages wait for a reset to be retired", False, "test"),
    Rule("nvidia.remap_pending", rf"{_YES}|{_NOT_ZERO}", "degraded", "remap_pending",
         "rows wait for a reset to be remapped", False, "test"),
    Rule("nvidia.remap_failure", rf"{_YES}|{_NOT_ZERO}", "degraded", "remap_failed",
         "rows could not be remapped; replace the card", False, "test"),
    Rule("nvidia.xid", r"(?:48|62|63|64|74|79|94|95|119|120|140)\b.*", "degraded", "xid",
         "the driver reported a fault of the hardware", False, "test"),
    Rule("nvidia.xid", r"\d+\b.*", "ok", "xid_application",
         "the driver reported a fault of a program", True),
    Rule("nvidia.thermal", _YES, "degraded", "thermal_brake", "clocks are cut by heat", True),
    Rule("nvidia.sw_thermal", _YES, "degraded", "thermal_limit", "clocks lowered by heat", True),
    Rule("nvidia.power_brake", _YES, "degraded", "power_brake",
         "clocks are cut by the power supply", True),
    Rule("nvidia.recovery_action", r"(?:GPU )?Reset|Reboot|Node Reboot|Drain.*", "degraded",
         "recovery_wanted", "the driver asks for a recovery", False, "test"),
    Rule("amd.ras", r".*", "degraded", "ras_uncorrected", "uncorrected errors", False, "test"),
    Rule("amdgpu.throttle", r".*(?:TEMP|THERM|HOT).*", "degraded", "thermal_limit",
         "clocks are lowered by heat", True),
    Rule("intel.firmware", r".*", "degraded", "firmware", "the firmware is not in order", False,
         "test"),
    Rule("tool.unlisted", r".*", "degraded", "not_listed",
         "its driver's tool does not list it beside the others", True),
    Rule("probe", "hung", "probe_hung", "probe_hung",
         "a question to it was not answered in time", True),
)  # fmt: skip


def rule_for(finding: Finding) -> Rule | None:
    """The first row that matches; None: nothing to say."""
    for rule in RULES:
        if rule.topic == finding.topic and re.fullmatch(
            rule.pattern, finding.value.strip(), re.IGNORECASE | re.DOTALL
        ):
            return rule
    return None


def worst(states: list[str]) -> str:
    return max(states, key=STATES.index, default="ok")
