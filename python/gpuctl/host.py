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
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gpuctl import _core
from gpuctl.errors import UsageError
from gpuctl.gpus import Inventory
from gpuctl.settings import Settings

if TYPE_CHECKING:
    from gpuctl.durations import Duration
    from gpuctl.leases import HeldLease, Lease, NodeStatus

__all__ = ["Host"]


class Host:
    """`root` stands in for the hardware; `state_dir` is where jobs are recorded.

    `ledger_scope`: `node` or `slot`, as `--ledger-scope` of the command line.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        *,
        ledger_scope: str | None = None,
    ) -> None:
        self._settings = Settings.load(
            {
                "root": None if root is None else os.fspath(root),
                "state-dir": None if state_dir is None else os.fspath(state_dir),
                "ledger-scope": ledger_scope,
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

    def ledger(self, environ: Mapping[str, str] | None = None) -> _core.Ledger:
        """The node's ledger, open: for those who reserve often. `environ` as in `discover`."""
        given = os.environ if environ is None else environ
        slot = {name: given[name] for name in _core.slot_variables() if name in given}
        if self.root != "/" and self.state_dir is None:
            raise UsageError(
                "`root` needs `state_dir`: stand-in hardware is not recorded among the real"
            )
        scope = self._settings.text("ledger_scope") or "node"
        names = self._settings.text("pci_ids")
        return _core.open_ledger(self.root, self.state_dir, scope, names, slot)

    def reserve(
        self,
        gpus: int = 1,
        *,
        wait: Duration | None = None,
        stop: Callable[[], bool] | None = None,
        **wish: Any,
    ) -> HeldLease:
        """All `gpus` or UnavailableError, which says why for each.

        `wish` as in leases.make_request: vendor, model, architecture, min_memory, only, exclude,
        same_numa_node, same_link, allow_integrated, job. `wait`: how long for those taken, first
        come first served; `stop` is asked whenever a signal came.
        """
        from gpuctl.leases import hold, make_request

        return hold(self.ledger(), make_request(gpus, **wish), wait, stop)

    def record_lease(
        self,
        owner_pid: int,
        gpus: int = 1,
        *,
        wait: Duration | None = None,
        cgroup: str | None = None,
        **wish: Any,
    ) -> Lease:
        """For an agent that comes and goes: the lease lasts until `release`, or until the owner is
        gone, its `cgroup` is empty and nobody has the device nodes open.
        """
        from gpuctl.leases import Lease, make_request, wait_usec

        text = self.ledger().record(
            make_request(gpus, **wish), wait_usec(wait, "wait"), owner_pid, cgroup
        )
        return Lease.from_json(json.loads(text))

    def release(self, lease_or_job: str) -> Lease:
        """Give a recorded lease back; with `blockers` in the answer it is not free yet."""
        from gpuctl.leases import Lease

        return Lease.from_json(json.loads(self.ledger().release(lease_or_job))["lease"])

    def status(self, repair: bool = False) -> NodeStatus:
        """The GPUs with their leases and drains; `repair` puts right what a crash left."""
        from gpuctl.leases import NodeStatus

        return NodeStatus.from_json(json.loads(self.ledger().status(repair)))

    def drain(
        self,
        gpu: str,
        reason: str,
        *,
        level: str = "no-new-jobs",
        cause: str = "administrator",
        duration: Duration | None = None,
        until_check: bool = False,
    ) -> Mapping[str, Any]:
        """Give a GPU no new jobs; `level`: inform, no-new-jobs or evict; `cause`: administrator,
        health or sanity. The record of the drain.
        """
        from gpuctl.leases import wait_usec

        usec = wait_usec(duration, "duration")
        text = self.ledger().drain(gpu, level, reason, cause, usec, until_check)
        return dict(json.loads(text))

    def undrain(
        self, gpu: str, reason: str = "", *, check_passed: bool = False
    ) -> Mapping[str, Any]:
        """Give it jobs again; `check_passed`: it was proven that the GPU computes."""
        return dict(json.loads(self.ledger().undrain(gpu, reason, check_passed)))

    def note_probe(
        self, gpu: str, hung: bool, *, asked_ago: Duration = 0
    ) -> Mapping[str, Any] | None:
        """What became of a question to the GPU. The third one in a row that hung makes a
        quarantine, whose record is returned. `asked_ago`: how long ago it was asked; one that was
        asked while the one before was still waited for does not count twice.
        """
        from gpuctl.leases import wait_usec

        usec = wait_usec(asked_ago, "asked_ago") or 0
        text = self.ledger().note_probe(gpu, hung, usec)
        return None if text is None else dict(json.loads(text))

    def __repr__(self) -> str:
        return f"Host(root={self.root!r}, state_dir={self.state_dir!r})"
