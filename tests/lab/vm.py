"""The tier "vm": the worker in QEMU's software emulation, with every controller of cgroup v2.

A machine is booted once per kernel and set of PCI devices; its memory and its disk's changes are
kept in the cache beside the image, and each node is a restore of them: the disk is an overlay, the
memory comes in as a migration (QEMU: docs/devel/migration). gpuctl enters as a second disk.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.image import Image, building, log_file
from lab.places import LAB, Hold, hash_of, remove_unused
from lab.progress import Clock, LabError, say, wait_for
from lab.run import Run
from lab.vfio_user import PciDevice
from lab.wire import Agent, try_connect

MEMORY = "4096"
BOOT_TIMEOUT = 600.0  # a loaded machine takes several times the usual 20 s
# cx16: without the instruction an early panic of some kernels under some versions of QEMU is gone;
# la57: page tables of five levels cost software emulation more and give nothing here.
CPU = "max,-cx16,-la57"
KERNEL_WORDS = (
    "root=/dev/vda rw console=ttyS0 quiet mitigations=off nokaslr systemd.show_status=false"
)
HARDWARE = (
    *("-accel", "tcg,thread=multi,tb-size=512", "-cpu", CPU, "-smp", "2", "-m", MEMORY),
    *("-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc"),
    *("-device", "virtio-serial-pci", "-device", "virtio-rng-pci", "-device", "ati-vga"),
)


@dataclass(frozen=True)
class MachineSpec:
    """What must be the same for a restore: the kernel (`6.12`, `5.10`) and the PCI devices."""

    kernel: str = "6.12"
    devices: tuple[PciDevice, ...] = ()

    @property
    def key(self) -> str:
        code = hash_of([LAB / "vfio_user.py"], repr((self, HARDWARE, KERNEL_WORDS, SETTLED)))
        return f"{self.kernel}-{code}"


class Monitor:
    """QMP, QEMU's control socket (QEMU: docs/interop/qmp-spec)."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(60)
        self.lines = self.connection.makefile("rb")
        self.lines.readline()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: object) -> Any:
        request = {"execute": name, "arguments": arguments}
        self.connection.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                raise LabError(f"QEMU refused `{name}`: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def close(self) -> None:
        self.lines.close()
        self.connection.close()


class VirtualMachine:
    """A running machine; `agent` is its connection. `stop()` ends it at once."""

    tier = "vm"

    def __init__(self, image: Image, spec: MachineSpec, kit: Path, run: Run, name: str) -> None:
        self.image = image
        self.spec = spec
        self.kit = kit
        self.run = run
        self.folder = run.scratch / name
        self.folder.mkdir()
        self.agent: Agent

    # ---- ways to a running machine ----

    def start(self) -> None:
        """From the kept state, which is made first where there is none."""
        state = ensure_state(self.image, self.spec, self.kit, self.run)
        self.hold = Hold(state)
        self.make_overlay(state / "disk.qcow2", "qcow2")
        self.launch("-incoming", f"file:{state / 'memory'}")
        self.resume()
        self.connect(timeout=120)
        enter = f"date -s @{time.time():.3f}; mkdir -p /opt/lab; mount -o ro /dev/vdb /opt/lab"
        self.agent.run(["sh", "-c", enter]).check()

    def boot(self) -> None:
        """The slow way: from the kernel on."""
        self.make_overlay(self.image.machine / "disk.raw", "raw")
        self.launch()
        self.connect(timeout=BOOT_TIMEOUT)

    def resume(self) -> None:
        """Its memory was kept while it was stopped."""
        monitor = self.monitor()
        wait_for(
            "restoring the machine's memory",
            120,
            lambda: monitor.command("query-status")["status"] != "inmigrate",
        )
        monitor.command("cont")
        monitor.close()

    def connect(self, timeout: float) -> None:
        self.agent = Agent(self.connection_to("agent.sock"))
        clock = Clock(f"waiting for the machine (kernel {self.spec.kernel})")
        self.agent.send_hello()
        while not self.agent.is_greeted(wait=0.5):
            clock.tick()
            self.assert_lives()
            if clock.seconds > timeout:
                raise LabError(f"the machine did not answer within {timeout:.0f} s\n{self.log()}")
        clock.done()

    # ---- QEMU ----

    def tool(self, name: str, *arguments: object) -> list[object]:
        """A program of QEMU's own root file system, by that one's loader: no chroot is needed."""
        libraries = self.image.qemu / "usr/lib/x86_64-linux-gnu"
        loader = self.image.qemu / "lib64/ld-linux-x86-64.so.2"
        program = self.image.qemu / "usr/bin" / name
        return [loader, "--library-path", libraries, program, *arguments]

    def make_overlay(self, backing: Path, kind: str) -> None:
        disk = self.folder / "disk.qcow2"
        command = self.tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", kind)
        subprocess.run([str(each) for each in [*command, disk]], check=True)

    def launch(self, *more: object) -> None:
        servers = [device.serve(self.run, self.folder, i) for i, device in enumerate(self.devices)]
        share = self.image.qemu / "usr/share"
        command = self.tool(
            "qemu-system-x86_64",
            *("-L", share / "qemu", "-L", share / "seabios"),
            *HARDWARE,
            *("-kernel", self.image.kernel(self.spec.kernel)),
            *("-initrd", self.image.machine / f"initrd-{self.spec.kernel}"),
            *("-append", KERNEL_WORDS),
            *_disk("root", self.folder / "disk.qcow2", "qcow2,cache=unsafe,discard=unmap"),
            *_disk("kit", self.kit, "raw,readonly=on"),
            *("-chardev", f"socket,id=agent,path={self.folder}/agent.sock,server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent,name=lab"),
            *("-serial", f"file:{self.folder}/serial.log"),
            *("-qmp", f"unix:{self.folder}/qmp.sock,server=on,wait=off"),
            *(word for server in servers for word in server),
            *more,
        )
        modules = str(self.image.qemu / "usr/lib/x86_64-linux-gnu/qemu")
        log = self.folder / "qemu.log"
        self.process = self.run.start(command, log, env={"QEMU_MODULE_DIR": modules})

    @property
    def devices(self) -> tuple[PciDevice, ...]:
        return self.spec.devices

    def monitor(self) -> Monitor:
        return Monitor(self.connection_to("qmp.sock"))

    def connection_to(self, name: str) -> socket.socket:
        made: list[socket.socket] = []

        def connects() -> bool:
            connection = try_connect(self.folder / name)
            made.extend([connection] if connection else [])
            return connection is not None

        self.wait_until("starting QEMU", connects)
        return made[0]

    def wait_until(self, text: str, condition: Any) -> None:
        def holds() -> bool:
            self.assert_lives()
            return bool(condition())

        wait_for(text, 60, holds)

    def assert_lives(self) -> None:
        if self.process.poll() is not None:
            raise LabError(f"QEMU ended with {self.process.returncode}:\n{self.log()}")

    def log(self) -> str:
        """What QEMU and the machine's console said last."""
        texts = []
        for name in ("qemu.log", "serial.log"):
            path = self.folder / name
            if path.exists():
                texts.append(f"--- {name}\n" + path.read_text(errors="replace")[-8000:])
        return "\n".join(texts)

    def stop(self) -> None:
        if hasattr(self, "agent"):
            self.agent.close()
        if hasattr(self, "process"):
            self.run.stop(self.process)
        if hasattr(self, "hold"):
            self.hold.release()


def _disk(name: str, path: Path, kind: str) -> list[str]:
    drive = f"file={path},if=none,id={name},format={kind}"
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={name}"]


# ---- the kept state of a booted machine ----


def ensure_state(image: Image, spec: MachineSpec, kit: Path, run: Run) -> Path:
    """The folder with `disk.qcow2` (over the image's disk) and `memory`."""
    folder = image.machine / f"booted-{spec.key}"
    if not folder.is_dir():
        with building():
            if not folder.is_dir():
                _make_state(folder, image, spec, kit, run)
    return folder


def _make_state(folder: Path, image: Image, spec: MachineSpec, kit: Path, run: Run) -> None:
    say(f"booting a machine with kernel {spec.kernel}, to be kept")
    machine = VirtualMachine(image, spec, kit, run, f"boot-{spec.key}")
    memory = machine.folder / "memory"
    try:
        machine.boot()
        settle(machine.agent)
        monitor = machine.monitor()
        monitor.command("stop")
        monitor.command("migrate", uri=f"file:{memory}")
        wait_for("keeping its memory", 120, lambda: _migrated(monitor))
        monitor.command("quit")
        monitor.close()
        machine.process.wait(60)
    except BaseException:
        log_file(f"boot-{spec.kernel}").write_text(machine.log())
        raise
    finally:
        machine.stop()
    unfinished = image.machine / f".booted-{os.getpid()}"
    unfinished.mkdir()
    for path in (memory, machine.folder / "disk.qcow2"):
        path.rename(unfinished / path.name)
    unfinished.rename(folder)
    for older in image.machine.glob(f"booted-{spec.kernel}-*"):
        if older != folder and not spec.devices:
            remove_unused(older)


def _migrated(monitor: Monitor) -> bool:
    status = monitor.command("query-migrate").get("status")
    if status == "failed":
        raise LabError("QEMU could not write the machine's memory")
    return bool(status == "completed")


def settle(agent: Agent) -> None:
    """Until the batch systems take jobs; what was done once is then warm in every restore."""
    for what, command in SETTLED.items():
        clock = Clock(what)
        while agent.run(["bash", "-c", command], timeout=300).code != 0:
            if clock.seconds > BOOT_TIMEOUT:
                raise LabError(f"{what}: not within {BOOT_TIMEOUT:.0f} s")
            clock.tick()
            time.sleep(0.5)


SETTLED = {
    "waiting for systemd": "systemctl is-system-running | grep -Eq 'running|degraded'",
    "waiting for the pilot's user manager": "systemctl is-active user@2000.service",
    "waiting for Slurm": "scontrol ping | grep -q UP && sinfo -h -o %t | grep -qE 'idle|mix'",
    "waiting for HTCondor": "condor_status -af Name | grep -q slot1",
}
