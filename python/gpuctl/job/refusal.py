"""The job may not start here: this becomes a report, with a kill reason and exit code 125."""

from __future__ import annotations

from typing import Any

from gpuctl.errors import UnavailableError

__all__ = ["EXIT_NEVER_STARTED", "RefusedError"]

EXIT_NEVER_STARTED = 125


class RefusedError(UnavailableError):
    """`kill_reason` is a name of the table; `more` joins the text in `kill_reason.detail`."""

    default_exit_code = EXIT_NEVER_STARTED

    def __init__(self, kill_reason: str, text: str, **more: Any) -> None:
        super().__init__(text, detail=text)
        self.kill_reason = kill_reason
        self.more = more
