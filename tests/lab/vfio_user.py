"""PCI devices with any vendor's ids, shown to a virtual machine by QEMU's `vfio-user-pci`.

Each is a small server on a Unix socket: the configuration space and one memory region. No driver
binds to it; what the kernel and lspci say of it is real. Protocol: docs/interop/vfio-user.rst of
QEMU.

    PciDevice("10de", "20b0", "030200", subsystem="10de:144e", revision="a1")

Run as a program it is the server: vfio_user.py SOCKET VENDOR DEVICE CLASS SUBSYSTEM REVISION
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.run import Run

HEADER = struct.Struct("<HHIII")  # message id, command, size with header, flags, errno
CONFIG, BAR0 = 7, 0  # numbers of regions, as VFIO has them (linux/vfio.h)
BAR_BYTES = 1 << 16
READABLE_WRITABLE = 3
REPLY, FAILED, NO_REPLY_WANTED = 0x01, 0x20, 0x10
VERSION, DMA_MAP, DMA_UNMAP, DEVICE_INFO, REGION_INFO = 1, 2, 3, 4, 5
IRQ_INFO, SET_IRQS, REGION_READ, REGION_WRITE, RESET = 7, 8, 9, 10, 13
EOPNOTSUPP = 95


@dataclass(frozen=True)
class PciDevice:
    """Ids in hexadecimal digits, as lspci(8) prints them."""

    vendor: str
    device: str
    class_id: str = "030200"
    subsystem: str = "0000:0000"
    revision: str = "00"

    def serve(self, run: Run, folder: Path, number: int) -> list[str]:
        """Starts the server; QEMU's words for the device."""
        path = folder / f"pci{number}.sock"
        ids = [self.vendor, self.device, self.class_id, self.subsystem, self.revision]
        program = [sys.executable, "-I", str(Path(__file__).resolve()), str(path), *ids]
        run.start(program, folder / f"pci{number}.log")
        while not path.exists():
            os.sched_yield()
        address = {"type": "unix", "path": str(path)}
        return ["-device", json.dumps({"driver": "vfio-user-pci", "socket": address})]


class Server:
    def __init__(self, connection: socket.socket, ids: list[str]) -> None:
        vendor, device, class_id, subsystem, revision = ids
        self.connection = connection
        self.config = bytearray(256)
        struct.pack_into("<HH", self.config, 0, int(vendor, 16), int(device, 16))
        self.config[8] = int(revision, 16)
        self.config[9:12] = int(class_id, 16).to_bytes(3, "little")
        owner, model = (int(part, 16) for part in subsystem.split(":"))
        struct.pack_into("<HH", self.config, 0x2C, owner, model)
        self.memory = bytearray(BAR_BYTES)

    def receive(self, length: int) -> bytes:
        """Descriptors that come along (of guest memory) are closed: nothing is ever read by us."""
        data = b""
        while len(data) < length:
            part, ancillary, _, _ = self.connection.recvmsg(
                length - len(data), socket.CMSG_SPACE(64)
            )
            for _, _, raw in ancillary:
                descriptors = array.array("i")
                descriptors.frombytes(raw[: len(raw) - len(raw) % descriptors.itemsize])
                for descriptor in descriptors:
                    os.close(descriptor)
            if not part:
                sys.exit(0)
            data += part
        return data

    def serve(self) -> None:
        while True:
            number, command, size, flags, _ = HEADER.unpack(self.receive(HEADER.size))
            body = self.receive(size - HEADER.size)
            answer = self.answer(command, body)
            if flags & NO_REPLY_WANTED:
                continue
            kind, error = (REPLY, 0) if answer is not None else (REPLY | FAILED, EOPNOTSUPP)
            data = answer or b""
            self.connection.sendall(
                HEADER.pack(number, command, HEADER.size + len(data), kind, error) + data
            )

    def answer(self, command: int, body: bytes) -> bytes | None:
        """The reply's body; None: we do not know that command."""
        if command == VERSION:
            offer = {"capabilities": {"max_msg_fds": 8, "max_data_xfer_size": 1 << 20}}
            return body[:4] + json.dumps(offer).encode() + b"\0"
        if command == DEVICE_INFO:
            return struct.pack("<IIII", 16, 3, 9, 5)  # PCI that can be reset; 9 regions, 5 irqs
        if command == REGION_INFO:
            return self.region_info(struct.unpack_from("<I", body, 8)[0])
        if command == IRQ_INFO:
            return struct.pack("<IIII", 16, 0, struct.unpack_from("<I", body, 8)[0], 0)
        if command == REGION_READ:
            offset, region, count = struct.unpack_from("<QII", body)
            return body[:16] + bytes(self.region(region)[offset : offset + count]).ljust(
                count, b"\0"
            )
        if command == REGION_WRITE:
            offset, region, count = struct.unpack_from("<QII", body)
            self.write(region, offset, body[16 : 16 + count])
            return body[:16]
        return {DMA_MAP: b"", DMA_UNMAP: body, SET_IRQS: b"", RESET: b""}.get(command)

    def region(self, number: int) -> bytearray:
        return self.config if number == CONFIG else self.memory

    def region_info(self, number: int) -> bytes:
        size = {CONFIG: len(self.config), BAR0: len(self.memory)}.get(number, 0)
        return struct.pack("<IIIIQQ", 32, READABLE_WRITABLE if size else 0, number, 0, size, 0)

    def write(self, number: int, offset: int, data: bytes) -> None:
        """In the configuration space only what a device lets be written."""
        if number != CONFIG:
            self.memory[offset : offset + len(data)] = data
        elif offset in (0x04, 0x3C):  # command, interrupt line
            self.config[offset : offset + len(data)] = data
        elif offset == 0x10 and len(data) == 4:  # BAR0: its size shows in the bits that stay 0
            value = struct.unpack("<I", data)[0] & ~(BAR_BYTES - 1) & 0xFFFFFFFF
            struct.pack_into("<I", self.config, offset, value)


def main() -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(1)
    connection, _ = listener.accept()
    Server(connection, sys.argv[2:7]).serve()


if __name__ == "__main__":
    main()
