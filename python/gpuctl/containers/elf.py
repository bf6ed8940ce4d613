"""Which symbol versions a shared library wants of others, and which it has.

`.gnu.version_r` names per library the versions that are wanted (`libc.so.6`: `GLIBC_2.34`),
`.gnu.version_d` those that are there. The loader compares just these, so that comparing them tells
beforehand what it will say. Layout: the gABI and the Linux Standard Base, symbol versioning.

Example:
    wanted = read_versions(Path("/usr/lib64/libcuda.so.1")).wanted["libc.so.6"]
    missing = wanted - read_versions(image / "lib64/libc.so.6").has
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gpuctl.errors import IoError, MalformedError

__all__ = ["Versions", "read_versions"]

_MAX_BYTES = 1 << 30
_MAX_ENTRIES = 65536
_VERSYM_NEEDED, _VERSYM_DEFINED = 0x6FFFFFFE, 0x6FFFFFFD  # SHT_GNU_verneed, SHT_GNU_verdef
_WEAK = 2  # VER_FLG_WEAK: the loader does without it


@dataclass(frozen=True)
class Versions:
    wanted: dict[str, set[str]] = field(default_factory=dict)  # by the library it is wanted of
    has: set[str] = field(default_factory=set)


class _Section(NamedTuple):
    kind: int
    offset: int
    size: int
    link: int
    info: int


class _Elf:
    """The bytes of one file, read with the byte order and word size that its header tells."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.data = file.read(_MAX_BYTES)
        except OSError as error:
            raise IoError(
                f"`{path}`: {error.strerror}", path=str(path), errno=error.errno
            ) from None
        if self.data[:4] != b"\x7fELF" or len(self.data) < 64:
            raise self.broken("no ELF file")
        if self.data[4] not in (1, 2) or self.data[5] not in (1, 2):
            raise self.broken("an ELF class or byte order that does not exist")
        self.order = "<" if self.data[5] == 1 else ">"
        self.wide = self.data[4] == 2

    def broken(self, what: str) -> MalformedError:
        return MalformedError(f"`{self.path}`: {what}", path=str(self.path))

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + layout, self.data, offset)
        except struct.error:
            raise self.broken("it ends before what its header promises") from None

    def text(self, table: _Section, offset: int) -> str:
        start = table.offset + offset
        end = self.data.find(b"\0", start)
        if offset >= table.size or end < 0:
            raise self.broken("a name lies outside its table")
        return self.data[start:end].decode("ascii", "replace")

    def sections(self) -> list[_Section]:
        layout, at = ("Q10xHHH", 40) if self.wide else ("I10xHHH", 32)
        start, size, count, _ = self.unpack(layout, at)
        if start == 0:
            return []
        if size < (64 if self.wide else 40):
            raise self.broken("section headers of an impossible size")
        return [self._section(start + number * size) for number in range(count)]

    def _section(self, at: int) -> _Section:
        if self.wide:
            _, kind, _, _, offset, size, link, info = self.unpack("IIQQQQII", at)
        else:
            _, kind, _, _, offset, size, link, info = self.unpack("IIIIIIII", at)
        return _Section(kind, offset, size, link, info)


def read_versions(path: Path) -> Versions:
    """IoError where it cannot be read, MalformedError where it is no ELF file or a broken one."""
    elf = _Elf(path)
    sections = elf.sections()
    wanted: dict[str, set[str]] = {}
    has: set[str] = set()
    for section in sections:
        if section.kind not in (_VERSYM_NEEDED, _VERSYM_DEFINED):
            continue
        if section.link >= len(sections):
            raise elf.broken("a section without its names")
        names = sections[section.link]
        if section.kind == _VERSYM_NEEDED:
            for library, version in _needs(elf, section, names):
                wanted.setdefault(library, set()).add(version)
        else:
            has.update(_definitions(elf, section, names))
    return Versions(wanted, has)


def _needs(elf: _Elf, section: _Section, names: _Section) -> Iterator[tuple[str, str]]:
    at = section.offset
    for _ in range(min(section.info, _MAX_ENTRIES)):
        _, count, file, first, following = elf.unpack("HHIII", at)
        library = elf.text(names, file)
        entry = at + first
        for _ in range(count):
            _, flags, _, name, step = elf.unpack("IHHII", entry)
            if not flags & _WEAK:
                yield library, elf.text(names, name)
            entry += step
        if following == 0:
            return
        at += following


def _definitions(elf: _Elf, section: _Section, names: _Section) -> Iterator[str]:
    at = section.offset
    for _ in range(min(section.info, _MAX_ENTRIES)):
        _, _, _, _, _, first, following = elf.unpack("HHHHIII", at)
        name, _ = elf.unpack("II", at + first)
        yield elf.text(names, name)
        if following == 0:
            return
        at += following
