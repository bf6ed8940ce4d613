"""The C++ core. Private: the package wraps every one of these.

A failure of the core is raised as its leaf of `gpuctl.errors`. All functions may be called from
several threads at once; those that read files release the GIL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from gpuctl.errors import GpuctlError

version: str

class Setting(TypedDict):
    key: str
    value: str | None
    origin: str
    enforced_by: str | None
    usec: int | None

class Flag(TypedDict):
    name: str
    letter: str
    metavar: str | None
    repeatable: bool
    is_global: bool
    help: str

class ExitCode(TypedDict):
    code: int
    meaning: str

class KillReason(TypedDict):
    name: str
    code: int
    jalien_code: int
    meaning: str

class Identity(TypedDict):
    boot_id: str
    pid_namespace: int
    pid: int
    start_ticks: int
    pidfs_inode: int | None

class Snapshot:
    """Its rows are a buffer of bytes, laid out as `snapshot_columns` says."""

    def __len__(self) -> int: ...
    def __buffer__(self, flags: int) -> memoryview: ...
    @property
    def cgroups(self) -> list[str]: ...
    @property
    def markers(self) -> list[str]: ...
    @property
    def taken_at_usec(self) -> int: ...
    @property
    def unreadable(self) -> int: ...

class Sampler:
    """Not for several threads at once."""

    def sample(self) -> Snapshot: ...
    @property
    def descriptors(self) -> int: ...

snapshot_row_bytes: int

_RowDevice = tuple[int, str, int, int, int, int]
CgroupSample = tuple[bytes, list[_RowDevice] | None, list[tuple[int, GpuctlError]] | None]

class CgroupSampler:
    """Cgroups, and after them process trees. Not for several threads at once."""

    def __init__(self, root: str) -> None: ...
    def add(self, wanted: int | str | None) -> str:
        """By pid, path, or our own; its path."""

    def add_processes(self, pid: int) -> None: ...
    def sample(self) -> CgroupSample:
        """The rows, laid out as `usage_columns` says; devices and errors by the row's number."""

    @property
    def descriptors(self) -> int: ...

usage_row_bytes: int

def usage_columns() -> list[tuple[str, str, int, int, str]]:
    """Name, numpy's type, offset, bit in `known` (-1: always known) and kind."""

def cgroup_json(
    root: str, wanted: int | str | None, environment: Sequence[str] | None, processes: bool
) -> str:
    """`gpuctl.cgroup/1` as JSON text; without an environment that of the process is read."""

def discover_json(root: str, pci_ids: str | None, slot: Mapping[str, str]) -> str:
    """The inventory of `root` as JSON text.

    `pci_ids` as the setting: a file, `none`, or None. `slot`: the environment's variables that
    `slot_variables()` names, as far as they are set.
    """

def slot_variables() -> list[str]:
    """Variables by which batch systems say which GPUs a slot may use."""

class Description(TypedDict):
    name: str | None
    chip: str | None
    model: str | None
    architecture: str | None
    isa: str | None
    integrated: bool

def classify_functions(
    rows: Sequence[tuple[str, int, int, int, str]],
) -> list[tuple[str, str, str]]:
    """Address, class (24 bits), vendor, device, driver: `gpu`, `ignored` or `unrelated`; why."""

def describe_gpu(
    vendor: int,
    device: int,
    revision: int | None,
    memory_total_bytes: int | None,
    pci_ids: str | None,
) -> Description:
    """What ids tell; the memory chooses between boards of one id."""

def catalogue_ids(vendor: int, name: str) -> list[int]:
    """The devices of this full name in the table compiled in."""

def load_config(flags: Mapping[str, str]) -> list[Setting]:
    """Every setting in force: system file, GPUCTL_CONFIG, environment, then `flags`."""

def parse_job_id(text: str) -> str: ...
def parse_duration_usec(text: str, what: str) -> int: ...
def boot_id() -> str | None:
    """This boot of the machine; None where it cannot be read."""

def make_state_dir(state_dir: str | None) -> str:
    """The state directory's path, made and checked; None is the usual place.

    GpuctlError where it cannot be one: others could replace what is in it, a network file system.
    """

def trace_stamp(realtime_usec: int) -> str:
    """`Aug 19 22:06:13` in local time."""

def rfc3339(realtime_usec: int) -> str:
    """`2026-08-19T20:06:13.042Z`."""

def duration_text(usec: int) -> str:
    """`12.3 s`, for people."""

def take_snapshot(
    root: str, cgroup: bool, pss: bool, io: bool, marker: str, uid: int | None
) -> Snapshot:
    """All processes of `root` in one pass; an empty `marker` is none."""

def open_sampler(
    root: str,
    cgroup: bool,
    pss: bool,
    io: bool,
    marker: str,
    uid: int | None,
    max_descriptors: int | None,
) -> Sampler:
    """None: half of RLIMIT_NOFILE."""

def snapshot_columns() -> list[tuple[str, str, int]]:
    """Name, numpy's type and offset of each member of a row."""

def tree_json(root: str, pid: int | None, cgroup: str | None) -> str:
    """`gpuctl.tree/1` as JSON text, of one of both; empty where there is no such thing."""

def identify(root: str, pid: int) -> Identity: ...
def judge(
    root: str,
    boot_id: str,
    pid_namespace: int,
    pid: int,
    start_ticks: int,
    pidfs_inode: int | None,
) -> str:
    """`alive`, `dead` or `unknown`."""

def flags(verb: str) -> list[Flag]:
    """The verb's own flags, then the global ones."""

def exit_codes() -> list[ExitCode]: ...
def kill_reasons() -> list[KillReason]: ...

class GpuRequest:
    def __init__(
        self,
        *,
        count: int,
        vendors: Sequence[str],
        models: Sequence[str],
        architectures: Sequence[str],
        memory_bytes: int | None,
        only: Sequence[str],
        exclude: Sequence[str],
        same: str | None,
        allow_integrated: bool,
        job: str | None,
        resubmission: int,
        command: str,
        expires_usec: int | None,
    ) -> None: ...

class HeldLease:
    def json(self) -> str: ...
    def descriptors(self) -> list[int]: ...
    def publish(self) -> str:
        """Writes what a payload may read of it; the file's path. It goes with the lease."""
    def give_back(self, proven: bool) -> str | None:
        """None: the units are free; else the lease as JSON, with who keeps it."""

class Ledger:
    @property
    def path(self) -> str: ...
    def hold(
        self, request: GpuRequest, wait_usec: int | None, stop: Callable[[], bool] | None
    ) -> HeldLease: ...
    def record(
        self, request: GpuRequest, wait_usec: int | None, owner_pid: int, cgroup: str | None
    ) -> str: ...
    def release(self, name: str) -> str: ...
    def status(self, repair: bool) -> str: ...
    def drain(
        self,
        unit_id: str,
        level: str,
        reason: str,
        cause: str,
        for_usec: int | None,
        needs_check: bool,
    ) -> str: ...
    def undrain(self, unit_id: str, reason: str, check_passed: bool) -> str: ...
    def note_probe(self, unit_id: str, hung: bool, asked_ago_usec: int) -> str | None: ...
    def history(self) -> list[str]: ...
    def freeze(self) -> None:
        """Looks at the node now and takes it as it is for every later request."""

def open_ledger(
    root: str, state_dir: str | None, scope: str, pci_ids: str | None, slot: Mapping[str, str]
) -> Ledger: ...
def gpu_mismatch(
    vendors: Sequence[str],
    models: Sequence[str],
    architectures: Sequence[str],
    memory_bytes: int | None,
    gpu_vendor: str,
    gpu_names: Sequence[str],
    gpu_architectures: Sequence[str],
    gpu_memory_bytes: int | None,
) -> str | None:
    """The first thing of a wish that the GPU does not fulfil, in words; None: it fits."""

def wanted_model(text: str) -> tuple[list[str], list[int]]:
    """The words of a wanted model name and the memory sizes in it."""

def model_in_name(text: str, name: str, vendor: str, with_sizes: bool) -> bool: ...
def name_alternatives(name: str) -> list[str]: ...
def kill_pid(pid: int, grace_usec: int, spare: Sequence[str]) -> str:
    """Ends a process and its descendants; the report as JSON. Blocks."""

def kill_cgroup(path: str, grace_usec: int, spare: Sequence[str]) -> str: ...
def job_owner(state_dir: str | None, job: str, resubmission: str | None) -> int:
    """The uid whose job it is."""

def kill_job(
    state_dir: str | None,
    job: str,
    resubmission: str | None,
    grace_usec: int | None,
    spare: Sequence[str],
) -> tuple[str, bool, list[str]]:
    """Report as JSON (`null`: nothing had to be done), whether all is gone, and problems."""

libraries_inside: str

def expose_json(
    format: str,
    root: str,
    pci_ids: str | None,
    gpu_ids: Sequence[str],
    libraries: Sequence[str],
    lease_id: str | None,
    lease_file: str | None,
) -> str:
    """`gpuctl export FORMAT --json` of these GPUs, with the host's driver libraries (paths) and
    the file of the lease that they are of."""

def quarantine_gpu(root: str, state_dir: str | None, gpu_id: str, reason: str) -> None:
    """The ledger gives it to nobody until it is undrained, which wants a passed check."""
