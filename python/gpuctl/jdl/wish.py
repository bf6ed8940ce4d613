"""What a job asks of GPUs: the `GPU*` tags of a JDL, or the flags that say the same.

All constraints hold together; within one (several models, vendors, architectures) any of them will
do. What a constraint means for a GPU is decided in gpuctl.match.gpus.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuctl.jdl.fields import Fields
from gpuctl.jdl.units import GPU_MEMORY_FORM, parse_gpu_memory

__all__ = ["GpuWish", "vendor_named"]

GPU_TAGS = ("GPU", "GPUVendor", "GPUArchitecture", "GPUCount", "GPUMemory", "GPURequired")
_VENDOR_FORM = "`nvidia`, `amd` or `intel`"
_MODEL_FORM = (
    'the name of a model such as "A100" or a list of them; for any GPU give only `GPUCount`'
)
_ARCHITECTURE_FORM = 'an architecture, chip or isa such as "Ampere", "Vega 20" or "gfx906"'
_COUNT_FORM = "a whole number from 1; a job without GPU leaves the GPU tags out"

_VENDOR_ALIASES = {
    "nvidia": ("nvidia", "nvidia corporation", "nv", "10de"),
    "amd": (
        "amd",
        "ati",
        "amd/ati",
        "amdgpu",
        "advanced micro devices",
        "advanced micro devices inc",
        "1002",
    ),
    "intel": ("intel", "intel corporation", "8086"),
}
_VENDOR_OF_ALIAS = {alias: vendor for vendor, names in _VENDOR_ALIASES.items() for alias in names}
_WORD = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class GpuWish:
    """An empty tuple: any will do. `memory_bytes`: the least that each GPU must have, or None."""

    models: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    count: int = 1
    memory_bytes: int | None = None
    required: bool = True

    @staticmethod
    def from_fields(fields: Fields) -> GpuWish | None:
        """The wish, or None when the JDL has no GPU tag at all."""
        if not any(tag in fields.doc for tag in GPU_TAGS):
            return None
        return GpuWish(
            models=_models(fields),
            vendors=_vendors(fields),
            architectures=_names(fields, "GPUArchitecture", _ARCHITECTURE_FORM),
            count=_count(fields),
            memory_bytes=fields.size("GPUMemory", parse_gpu_memory, GPU_MEMORY_FORM),
            required=fields.flag("GPURequired", True),
        )


def vendor_named(text: str) -> str | None:
    """`nvidia`, `amd` or `intel` for one of its usual names or its PCI vendor id, else None."""
    plain = " ".join(text.lower().replace(",", " ").replace(".", " ").split())
    plain = plain.replace("[amd/ati]", "").strip()
    return _VENDOR_OF_ALIAS.get(plain[2:] if plain.startswith("0x") else plain)


def _models(fields: Fields) -> tuple[str, ...]:
    names = _names(fields, "GPU", _MODEL_FORM)
    if isinstance(fields.doc.get("GPU"), (int, float)) or (
        names and names[0].lower() in ("true", "false")
    ):
        fields.refuse("GPU", names[0], _MODEL_FORM)
    return names


def _vendors(fields: Fields) -> tuple[str, ...]:
    names = _names(fields, "GPUVendor", _VENDOR_FORM)
    vendors = [
        vendor_named(name) or fields.refuse("GPUVendor", name, _VENDOR_FORM) for name in names
    ]
    return tuple(dict.fromkeys(vendors))


def _names(fields: Fields, key: str, expected: str) -> tuple[str, ...]:
    """The elements of a tag; one without a letter or digit is refused, it could not match."""
    if key not in fields.doc:
        return ()
    names = tuple(name.strip() for name in fields.doc.get_list(key))
    wrong = [name for name in names if not _WORD.search(name)]
    if wrong or not names:
        fields.refuse(key, wrong[0] if wrong else "{}", expected)
    return names


def _count(fields: Fields) -> int:
    count = fields.whole("GPUCount", _COUNT_FORM)
    if count is not None and count < 1:
        fields.refuse("GPUCount", str(count), _COUNT_FORM)
    return 1 if count is None else count
