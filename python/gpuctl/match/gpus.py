"""Which GPUs of an inventory fit a wish, and why the others do not.

A GPU is a mapping with the JSON keys of `gpuctl discover`; what is missing or null counts as
unknown, and an unknown thing never fulfils a wish for it. Nothing here reserves anything. What a
model, an architecture or a size means is decided in the core (gpuctl/gpu/match.hpp), for the ledger
and for us.

Example:
    inventory = json.loads(subprocess.check_output(["gpuctl", "discover", "--json"]))
    choice = choose(GpuWish(models=("A100",), count=2), inventory["gpus"])
    if not choice.ok:
        print(choice.reason, *(f"{id}: {why}" for id, why in choice.rejected), sep="\\n")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpuctl import _core
from gpuctl.jdl.wish import GpuWish

__all__ = ["Choice", "Gpu", "MatchResult", "choose", "matches"]

Gpu = Mapping[str, Any]

_KINDS = ("gpu", "partition")


@dataclass(frozen=True)
class MatchResult:
    """`reason` says what fitted, or the first thing that did not."""

    ok: bool
    reason: str

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True)
class Choice:
    """`gpus`: the chosen records, none unless `ok`; `rejected`: (id, why) of each that cannot do.

    `cpu_only`: the wish is not fulfilled, and the job runs without (`GPURequired = false`).
    """

    ok: bool
    gpus: tuple[Gpu, ...]
    rejected: tuple[tuple[str, str], ...]
    reason: str
    cpu_only: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(_id(gpu) for gpu in self.gpus)


def matches(wish: GpuWish, gpu: Gpu) -> MatchResult:
    """Whether a GPU is of the kind that is wanted; whether it can serve is for `choose`."""
    mismatch = _core.gpu_mismatch(
        wish.vendors,
        wish.models,
        wish.architectures,
        wish.memory_bytes,
        str(gpu.get("vendor") or ""),
        _names(gpu),
        [str(gpu[key]) for key in ("architecture", "chip", "isa") if gpu.get(key)],
        _memory_bytes(gpu),
    )
    if mismatch is not None:
        return MatchResult(False, mismatch)
    return MatchResult(True, f"{_label(gpu)} is what is wanted")


def choose(wish: GpuWish | None, gpus: Iterable[Gpu]) -> Choice:
    """The first `wish.count` GPUs, in list order, that are usable, allotted and wanted."""
    if wish is None:
        return Choice(True, (), (), "no GPU is wanted")
    inventory = list(gpus)
    divided = {gpu.get("parent_id") for gpu in inventory if gpu.get("parent_id") is not None}
    fitting: list[Gpu] = []
    rejected: list[tuple[str, str]] = []
    for gpu in inventory:
        obstacle = _obstacle(wish, gpu, divided)
        if obstacle is None:
            fitting.append(gpu)
        else:
            rejected.append((_id(gpu), obstacle))
    return _decided(wish, fitting, tuple(rejected), len(inventory))


def _decided(
    wish: GpuWish, fitting: Sequence[Gpu], rejected: tuple[tuple[str, str], ...], known: int
) -> Choice:
    wanted = f"{wish.count} GPU{'s' if wish.count > 1 else ''} wanted"
    if len(fitting) >= wish.count:
        return Choice(
            True, tuple(fitting[: wish.count]), rejected, f"{wanted}, {len(fitting)} of {known} fit"
        )
    reason = (
        f"{wanted}, but {len(fitting)} of {known} fit"
        if known
        else f"{wanted}, but there is none here"
    )
    return Choice(False, (), rejected, reason, cpu_only=not wish.required)


def _obstacle(wish: GpuWish, gpu: Gpu, divided: set[Any]) -> str | None:
    """Why `gpu` cannot serve, whatever the reason; None when it can."""
    kind = gpu.get("kind", "gpu")
    if kind not in _KINDS:
        return f"it is a `{kind}`, neither a GPU nor a partition"
    if not gpu.get("usable"):
        return f"it is not usable here ({_health(gpu)})"
    if not gpu.get("allotted"):
        return "it is not allotted to this slot"
    if gpu.get("available") is False:
        return "it is leased or drained"
    if gpu.get("id") in divided:
        return "it is divided into partitions, which are listed by themselves"
    if gpu.get("integrated") and not wish.models:
        return "it is integrated, and the wish does not name its model"
    result = matches(wish, gpu)
    return None if result.ok else result.reason


def _memory_bytes(gpu: Gpu) -> int | None:
    memory = gpu.get("memory_total_bytes")
    return memory if isinstance(memory, int) and not isinstance(memory, bool) else None


def _names(gpu: Gpu) -> tuple[str, ...]:
    names = (gpu.get("model"), *(gpu.get("names") or ()))
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def _label(gpu: Gpu) -> str:
    names = _names(gpu)
    return f"`{names[0]}`" if names else "a GPU without a name"


def _id(gpu: Gpu) -> str:
    return str(gpu.get("id") or gpu.get("pci_address") or "unknown")


def _health(gpu: Gpu) -> str:
    health = gpu.get("health") or {}
    reasons = [str(reason.get("code")) for reason in health.get("reasons") or ()]
    return ", ".join([str(health.get("state", "unknown")), *reasons])
