"""An initial RAM disk that mounts the root disk: busybox, the kernel's virtio modules, a script.

The format is cpio "newc" (kernel: Documentation/driver-api/early-userspace/buffer-format.rst), not
compressed: unpacking costs more in software emulation than reading.
"""

from __future__ import annotations

import lzma
import stat
from pathlib import Path

# In the order of their needs; a kernel that has one built in has no file of that name.
MODULES = ("virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci")
DISK = "virtio_blk"

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /$module.ko; done
waited=0
while [ ! -b /dev/vda ] && [ $waited -lt 500 ]; do
    /bin/busybox usleep 20000
    waited=$((waited + 1))
done
/bin/busybox mount -t ext4 -o noatime /dev/vda /root || /bin/busybox poweroff -f
exec /bin/busybox switch_root /root /sbin/init
"""


def make(root: Path, modules: Path) -> bytes:
    """For the kernel whose modules are in `modules` (…/lib/modules/RELEASE)."""
    found = {name: _module(modules, name) for name in (*MODULES, DISK)}
    present = {name: data for name, data in found.items() if data is not None}
    entries = [_entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "root")]
    entries.append(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    entries.append(
        _entry("bin/busybox", stat.S_IFREG | 0o755, (root / "usr/bin/busybox").read_bytes())
    )
    entries += [_entry(f"{name}.ko", stat.S_IFREG | 0o644, data) for name, data in present.items()]
    script = INIT.format(modules=" ".join(present)).encode()
    entries.append(_entry("init", stat.S_IFREG | 0o755, script))
    return b"".join(entries) + _entry("TRAILER!!!", 0)


def _module(modules: Path, name: str) -> bytes | None:
    for path in modules.rglob(f"{name}.ko*"):
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data
    return None


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    path = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return _padded(header + path) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
