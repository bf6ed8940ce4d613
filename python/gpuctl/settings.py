"""The settings in force: system file, GPUCTL_CONFIG, environment and what the caller says.

The core reads and checks them, `enforce` included; here they get a type.

Example:
    settings = Settings.load({"ttl": "2h"})
    assert settings.usec("ttl") == 7_200_000_000
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gpuctl import _core

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """`rows` by key: `root`, `state_dir`, `workdir`, `fence`, `ttl`, …"""

    rows: Mapping[str, _core.Setting]

    @staticmethod
    def load(flags: Mapping[str, str | None]) -> Settings:
        """`flags` by flag name; None is not given. UsageError for a value that may not be."""
        given = {name: value for name, value in flags.items() if value is not None}
        return Settings({row["key"]: row for row in _core.load_config(given)})

    def text(self, key: str) -> str | None:
        return self.rows[key]["value"]

    def usec(self, key: str) -> int | None:
        return self.rows[key]["usec"]

    def is_enforced(self, key: str) -> bool:
        return self.rows[key]["enforced_by"] is not None

    def origin(self, key: str) -> str:
        return self.rows[key]["origin"]

    @property
    def root(self) -> str:
        return self.text("root") or "/"
