"""PCI devices that come and go, by udev: through pyudev, where it is installed.

Example:
    with Hotplug() as hotplug:
        hotplug.events()     # [{"action": "remove", "id": "0000:63:00.0"}]
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from gpuctl.discovery.values import address

__all__ = ["Hotplug"]

_ACTIONS = ("add", "remove", "bind", "unbind", "change")


class Hotplug:
    """`events()` gives what came since it was last asked, and never waits."""

    def __init__(self) -> None:
        self._monitor: Any = None

    def __enter__(self) -> Hotplug:
        try:
            import pyudev  # type: ignore[import-not-found,unused-ignore]

            self._monitor = pyudev.Monitor.from_netlink(pyudev.Context())
            self._monitor.filter_by("pci")
            self._monitor.start()
        except (ImportError, OSError):  # not installed, or no netlink here
            self._monitor = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._monitor = None

    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while self._monitor is not None and len(found) < 1000:
            device = self._monitor.poll(timeout=0)
            if device is None:
                break
            place = address(device.sys_name)
            if device.action in _ACTIONS and place is not None:
                found.append({"action": device.action, "id": place})
        return found
