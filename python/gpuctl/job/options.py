"""What the caller of `gpuctl job` asks for, apart from the JDL itself."""

from __future__ import annotations

from dataclasses import dataclass

from gpuctl import _core
from gpuctl.errors import GpuctlError, UsageError

__all__ = ["JobOptions"]

MAX_RESUBMISSION = 1_000_000


@dataclass(frozen=True)
class JobOptions:
    """Texts as on the command line; None is not given."""

    jdl: str
    job: str | None = None
    resubmission: str = "0"
    workdir: str | None = None
    output: str | None = None
    ttl: str | None = None
    forced_kill_timeout: str | None = None
    outer_grace: str | None = None
    memory: str | None = None
    fence: str | None = None
    leave_slot: str | None = None
    container: str | None = None
    image: str | None = None
    sanity: str | None = None
    match: str | None = None
    wait: str | None = None
    ledger_scope: str | None = None
    report: str | None = None
    events: str | None = None
    root: str | None = None
    state_dir: str | None = None
    no_cgroups: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def check(self) -> None:
        """UsageError for an id or number that cannot be; settings are checked where they load."""
        if self.job is not None:
            try:
                _core.parse_job_id(self.job)
            except GpuctlError as error:
                raise UsageError(str(error)) from None
        digits = self.resubmission.isascii() and self.resubmission.isdecimal()
        if not digits or int(self.resubmission) > MAX_RESUBMISSION:
            raise UsageError(
                f"`--resubmission {self.resubmission[:40]}`: expected a whole number up to "
                f"{MAX_RESUBMISSION}"
            )

    def settings_flags(self) -> dict[str, str | None]:
        """Those that are settings too, by the name of the flag."""
        return {
            "root": self.root,
            "state-dir": self.state_dir,
            "workdir": self.workdir,
            "fence": self.fence,
            "ttl": self.ttl,
            "forced-kill-timeout": self.forced_kill_timeout,
            "outer-grace": self.outer_grace,
            "leave-slot": self.leave_slot,
            "match": self.match,
            "container": self.container,
            "image": self.image,
            "sanity": self.sanity,
            "ledger-scope": self.ledger_scope,
        }
