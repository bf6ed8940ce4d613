"""The orders in which payloads count GPUs, where the kernel's own answer is not at hand.

The core computes them from the kernel's files (key `orders`); for recorded outputs of tools they
come from what the tools tell: hwloc's cuda0 and ze0, KFD's node numbers, and NVIDIA's rule that
PCI_BUS_ID counts by address. Unknown stays None.
"""

from __future__ import annotations

from gpuctl.discovery.device import Device

__all__ = ["KEYS", "orders_of"]

KEYS = ("cuda", "cuda_fastest_first", "rocr", "hip", "level_zero", "level_zero_flat")


def orders_of(devices: list[Device]) -> dict[int, dict[str, int | None]]:
    """By id() of the device."""
    found = {id(device): dict.fromkeys(KEYS) for device in devices}
    cards = [d for d in devices if d.kind == "gpu"]
    _cuda(found, [d for d in cards if d.vendor == "nvidia"])
    _kfd(found, [d for d in cards if d.vendor == "amd"])
    for device in cards:
        told = device.first("orders") or {}
        if "level_zero" in told and device.base is None:
            found[id(device)]["level_zero"] = told["level_zero"]
    for device in devices:
        if device.base is not None and isinstance(device.base.get("orders"), dict):
            found[id(device)] = {key: device.base["orders"].get(key) for key in KEYS}
    return found


def _cuda(found: dict[int, dict[str, int | None]], cards: list[Device]) -> None:
    """By address, when every card has one and none is out of service; CUDA's default where told."""
    if all(card.pci_address and all(card.active.values()) for card in cards):
        for number, card in enumerate(sorted(cards, key=lambda each: _place(each.pci_address))):
            found[id(card)]["cuda"] = number
    told = {id(card): (card.first("orders") or {}).get("cuda") for card in cards}
    one_model = len({card.first("device_id") for card in cards}) == 1
    for card in cards:
        alike = found[id(card)]["cuda"] if one_model and card.first("device_id") else None
        found[id(card)]["cuda_fastest_first"] = (
            told[id(card)] if told[id(card)] is not None else alike
        )


def _kfd(found: dict[int, dict[str, int | None]], cards: list[Device]) -> None:
    """ROCr counts KFD's nodes; HIP counts the same where nothing is masked."""
    nodes = {id(card): card.first("kfd_node") for card in cards}
    if not cards or any(number is None for number in nodes.values()):
        return
    for number, card in enumerate(sorted(cards, key=lambda each: nodes[id(each)])):
        found[id(card)]["rocr"] = found[id(card)]["hip"] = number


def _place(pci_address: str | None) -> tuple[int, ...]:
    words = (pci_address or "0:0:0.0").replace(".", ":").split(":")
    return tuple(int(word, 16) for word in words)
