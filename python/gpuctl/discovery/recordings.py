"""`--from KIND=FILE`: recorded outputs as readings, whatever they are packed in.

FILE is a text, a gzip of one, an archive or a folder. A folder that holds a tree (sys, proc) goes
to the core's readers; of another folder every file is read that a parser knows. Archives are
unpacked below a temporary folder: bounded, plain files and links only, no file through a link.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from gpuctl import _core
from gpuctl.discovery.documents import MAX_CHARACTERS, decode
from gpuctl.discovery.kinds import TREES, kind_of, query_columns
from gpuctl.discovery.reading import Reading
from gpuctl.discovery.sources import nvidia_smi
from gpuctl.errors import GpuctlError, MalformedError, NotFoundError, UsageError

__all__ = ["parse_spec", "read_recording", "read_root"]

_MAX_MEMBERS = 200_000
_MAX_UNPACKED = 512 << 20
_NOT_OURS = ("SOURCE.txt", "expected.json", "README", "README.md")


def parse_spec(spec: str) -> tuple[str | None, Path]:
    """`KIND=FILE`, or FILE alone. Kinds may have `=` in them, so the file decides where to cut."""
    if not spec:
        raise UsageError("`--from` needs KIND=FILE")
    if Path(spec).exists():
        return None, Path(spec)
    for found in re.finditer("=", spec):
        path = Path(spec[found.end() :])
        if spec[found.end() :] and path.exists():
            return spec[: found.start()], path
    name = spec.partition("=")[2] or spec
    raise UsageError(f"`{name}` is not there; give `--from` KIND=FILE")


def read_recording(kind: str | None, path: Path, pci_ids: str | None) -> list[Reading]:
    """All readings of one recording; a text that nobody knows is a reading with a problem."""
    if path.is_dir():
        return list(_read_folder(kind, path, pci_ids))
    data = _bytes_of(path)
    if data[:2] == b"\x1f\x8b":
        data = _gunzip(data, path)
    if _is_tar(data):
        with tempfile.TemporaryDirectory(prefix="gpuctl-from-") as name:
            _unpack(data, Path(name), path)
            return list(_read_folder(kind, Path(name), pci_ids))
    return [_read_text(kind, decode(data), path.name)]


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CHARACTERS + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"`{path}` is not there", path=str(path)) from error
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from error
    return data


def _gunzip(data: bytes, path: Path) -> bytes:
    """A cut archive gives what can be had; a bomb is cut off."""
    found = b""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while len(found) <= _MAX_UNPACKED and (chunk := file.read1(1 << 20)):
                found += chunk
    except (OSError, EOFError, zlib.error) as error:
        if not found:
            raise MalformedError(f"`{path}` is no gzip file: {error}") from None
    return found[:_MAX_UNPACKED]


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


def _unpack(data: bytes, folder: Path, path: Path) -> None:
    left = _MAX_UNPACKED
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for count, member in enumerate(tar):
                left -= max(member.size, 512)
                if count > _MAX_MEMBERS or left < 0:
                    raise MalformedError(f"`{path}` unpacks to too much")
                _unpack_member(tar, member, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        if not any(folder.iterdir()):
            raise MalformedError(f"`{path}` cannot be unpacked: {error}") from None


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    parts = [part for part in PurePosixPath(member.name).parts if part not in (".", "/")]
    if not parts or ".." in parts:
        return
    target = folder
    for part in parts[:-1]:
        target = target / part
        if target.is_symlink() or (target.exists() and not target.is_dir()):
            return  # nothing is written through a link
        target.mkdir(exist_ok=True)
    target = target / parts[-1]
    if target.is_symlink() or target.exists():
        return
    if member.isdir():
        target.mkdir()
    elif member.issym():
        target.symlink_to(member.linkname)
    elif member.isfile():
        file = tar.extractfile(member)
        target.write_bytes(file.read() if file else b"")


def _read_folder(kind: str | None, folder: Path, pci_ids: str | None) -> Iterator[Reading]:
    if (folder / "nodes").is_dir() and not (folder / "sys").exists():
        with tempfile.TemporaryDirectory(prefix="gpuctl-from-") as name:
            topology = Path(name) / "sys/class/kfd/kfd"
            topology.mkdir(parents=True)
            # the core leaves its root by no link, so the tree is moved or copied into it
            _bring(folder, topology / "topology")
            yield read_root(Path(name), pci_ids)
        return
    if any((folder / part).is_dir() for part in ("sys", "proc")):
        yield read_root(folder, pci_ids)
        if (folder / "tools").is_dir():  # of a capture: what the node's tools said
            yield from _read_folder(None, folder / "tools", pci_ids)
        return
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name not in _NOT_OURS:
            yield from _read_file(kind, file, pci_ids)


def _bring(folder: Path, target: Path) -> None:
    import shutil

    shutil.copytree(folder, target, symlinks=True, ignore_dangling_symlinks=True)


def _read_file(kind: str | None, file: Path, pci_ids: str | None) -> Iterator[Reading]:
    """Of a folder: a file that no parser knows is none of ours."""
    if file.name.endswith((".tar", ".tar.gz", ".tgz")):
        yield from read_recording(kind, file, pci_ids)
        return
    data = _bytes_of(file)
    text = decode(_gunzip(data, file) if data[:2] == b"\x1f\x8b" else data)
    if kind_of(None, text) is not None:
        yield _read_text(kind, text, file.name)


def _read_text(words: str | None, text: str, name: str) -> Reading:
    if words and words.strip().lower().startswith(TREES) and kind_of(None, text) is None:
        reading = Reading(words)
        reading.trouble("malformed", f"`{name}` is no archive or folder, as this kind is")
        return reading
    kind = kind_of(words, text) if text.strip() else None
    if kind is None:
        reading = Reading(words or "unknown")
        what = "is empty" if not text.strip() else "is of no kind that gpuctl knows"
        reading.trouble("malformed", f"`{name}` {what}; name it: `--from KIND={name}`")
        return reading
    if len(text) > MAX_CHARACTERS:
        text = text[:MAX_CHARACTERS]
    columns = query_columns(words)
    if kind.name == "nvidia-smi" and columns:
        return nvidia_smi.parse(text, columns)
    return kind.parse(text)


def read_root(root: Path, pci_ids: str | None, slot: Mapping[str, str] | None = None) -> Reading:
    """The core's inventory of a tree; `slot`: what the batch system says, of this machine only."""
    reading = Reading("kernel")
    try:
        text = _core.discover_json(os.fspath(root), pci_ids, slot or {})
        reading.inventory = json.loads(text)
    except GpuctlError as error:
        reading.trouble(error.code, str(error))
    return reading
