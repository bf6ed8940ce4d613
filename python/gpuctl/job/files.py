"""What comes into the work directory, and which files of it are kept.

Inputs are local files, relative to the JDL's folder. What only the catalogue can bring (`LF:`,
`PF:`) is refused: a job without its input would fail later and less clearly.
"""

from __future__ import annotations

from pathlib import Path

from gpuctl.jdl import JobRequest
from gpuctl.job.refusal import RefusedError

__all__ = ["kept_patterns", "local_executable", "local_inputs"]

_CATALOGUE = ("lf:", "pf:", "guid:")
_STREAMS = ("stdout", "stderr")


def local_inputs(request: JobRequest, folder: Path) -> tuple[str, ...]:
    """Absolute paths of InputFile; RefusedError where one, or data, is in the catalogue."""
    remote = [name for name in request.input_files if _is_remote(name)]
    remote += [name for name in request.input_data if not _left_to_payload(name)]
    if remote:
        raise RefusedError("INPUT_FILES", _words(remote), inputs=remote)
    return tuple(str(folder / _plain(name)) for name in request.input_files)


def local_executable(request: JobRequest, folder: Path) -> str:
    """Absolute. Whether it is there and may be run, the payload's exec says (127, 126)."""
    if _is_remote(request.executable):
        raise RefusedError("INPUT_FILES", _words([request.executable]), inputs=[request.executable])
    return str(folder / _plain(request.executable))


def kept_patterns(request: JobRequest, captured: bool) -> tuple[str, ...]:
    """Of Output, OutputArchive and OutputErrorE. stdout and stderr are files only when captured."""
    entries = (*request.output, *request.output_archive, *request.output_error)
    patterns = dict.fromkeys(p for entry in entries for p in _patterns(entry))
    return tuple(p for p in patterns if captured or p not in _STREAMS)


def _patterns(entry: str) -> list[str]:
    """`archive.zip:*.root,stdout@disk=2` -> `*.root`, `stdout`; `a.root@disk=1` -> `a.root`."""
    files = entry.split("@", 1)[0]
    files = files.split(":", 1)[1] if ":" in files else files
    return [pattern.strip() for pattern in files.split(",") if pattern.strip()]


def _is_remote(name: str) -> bool:
    return name.strip().lower().startswith(_CATALOGUE)


def _left_to_payload(name: str) -> bool:
    """The payload opens such data itself, over the network."""
    return "nodownload" in [option.strip().lower() for option in name.split(",")[1:]]


def _plain(name: str) -> str:
    """`file:data.txt`, `file:///srv/data.txt` and `data.txt` are local files."""
    plain = name.strip()
    if plain.lower().startswith("file:"):
        plain = plain[len("file:") :]
        plain = plain[2:] if plain.startswith("//") else plain
    return plain


def _words(remote: list[str]) -> str:
    count = "" if len(remote) == 1 else f" and {len(remote) - 1} more"
    return (
        f"`{remote[0][:200]}`{count} would have to come from the catalogue, which gpuctl does not "
        "read: give local files"
    )
