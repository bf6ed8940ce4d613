"""Host: a worker node, live or recorded.

Not given, `root` and `state_dir` are what is in force for the `gpuctl` command too (configuration
files, GPUCTL_ROOT, GPUCTL_STATE_DIR), else this machine. A host holds no resources and may be used
from several threads.

Example:
    for gpu in gpuctl.Host().discover().gpus:
        print(gpu.id, gpu.model, gpu.usable)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from gpuctl import _core
from gpuctl.gpus import Inventory
from gpuctl.settings import Settings

__all__ = ["Host"]


class Host:
    """`root` stands in for the hardware; `state_dir` is where jobs are recorded."""

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        state_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        self._settings = Settings.load(
            {
                "root": None if root is None else os.fspath(root),
                "state-dir": None if state_dir is None else os.fspath(state_dir),
            }
        )

    @property
    def root(self) -> str:
        return self._settings.root

    @property
    def state_dir(self) -> str | None:
        """None: the usual place, /run/gpuctl or /dev/shm/gpuctl."""
        return self._settings.text("state_dir")

    def discover(self, environ: Mapping[str, str] | None = None) -> Inventory:
        """All GPUs of the node, and what was left out and why; about a millisecond.

        `environ` says what the batch system gave this slot (CUDA_VISIBLE_DEVICES and others);
        not given, it is this process's own environment. A broken GPU is in the answer with its
        health. UsageError when the root is no directory, UnavailableError when it has no sysfs, so
        that nothing can be said. A file that the setting `pci_ids` names must be there.
        """
        given = os.environ if environ is None else environ
        slot = {name: given[name] for name in _core.slot_variables() if name in given}
        text = _core.discover_json(self.root, self._settings.text("pci_ids"), slot)
        return Inventory.from_json(json.loads(text))

    def __repr__(self) -> str:
        return f"Host(root={self.root!r}, state_dir={self.state_dir!r})"
