"""What gpuctl reads from a JDL, typed, with the defaults and bounds that hold on the node.

`from_jdl` refuses a value that means nothing (JdlValueError names tag, line, value and what is
accepted) and takes a silly one as JAliEn would, with a warning. Tags that gpuctl does not act on
are in `other`, untouched.

Example:
    request = JobRequest.from_jdl(loads('Executable = "/bin/echo"; Arguments = "hello world";'))
    assert request.command == ("/bin/echo", "hello", "world")
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from gpuctl.jdl.document import Jdl, JdlWarning, Value
from gpuctl.jdl.fields import Fields
from gpuctl.jdl.units import JALIEN_SIZE_FORM, parse_jalien_size
from gpuctl.jdl.variables import exported_variables
from gpuctl.jdl.wish import GPU_TAGS, GpuWish

__all__ = ["JobRequest"]

GIB = 1024**3
DEFAULT_TTL_SECONDS = 21600  # what JAliEn puts in at submission
MAX_TTL_SECONDS = 2**31 - 1  # JAliEn's Integer
MAX_CPU_CORES = 100
MEMORY_BYTES_PER_CORE = 8 * GIB
WORKDIR_BYTES_PER_CORE = 10 * GIB
MIN_FORCED_KILL_SECONDS = 60
MAX_FORCED_KILL_SECONDS = 600

_SECONDS_FORM = "whole seconds such as `36000`"
_CORES_FORM = f"a whole number from 1 to {MAX_CPU_CORES}"
_DISK_REQUIREMENT = re.compile(r"\bother\.LocalDiskSpace\s*>=?\s*([0-9]{1,12})\b")
_READ_TAGS = (
    *GPU_TAGS,
    *(
        "AbortOnCore",
        "Arguments",
        "CPUCores",
        "Executable",
        "ForcedKillTimeout",
        "InputBox",
        "InputData",
    ),
    *("InputDataCollection", "InputFile", "JDLVariables", "JobContainer", "MemorySize", "Output"),
    *("OutputArchive", "OutputErrorE", "OutputFile", "Packages", "Platform", "Requirements", "TTL"),
    *("ValidationCommand", "WorkDirectorySize"),
)


@dataclass(frozen=True)
class JobRequest:
    """One job as the node sees it. Lists keep order and text (`LF:`, `,nodownload`, `@disk=2`)."""

    executable: str
    arguments: str = ""  # as in the JDL; the elements of a list joined by a blank
    argv: tuple[
        str, ...
    ] = ()  # the arguments, split as a POSIX shell splits words; nothing is expanded
    gpu: GpuWish | None = None  # None: the job asks for no GPU
    cpu_cores: int = 1
    memory_bytes: int = MEMORY_BYTES_PER_CORE
    workdir_bytes: int = WORKDIR_BYTES_PER_CORE
    ttl_seconds: int = DEFAULT_TTL_SECONDS
    forced_kill_timeout_seconds: int = MIN_FORCED_KILL_SECONDS
    abort_on_core: bool = True
    packages: tuple[str, ...] = ()
    platform: str | None = None
    requirements: str | None = None  # expression text
    input_files: tuple[str, ...] = ()  # InputFile, else InputBox
    input_data: tuple[str, ...] = ()  # InputData, else InputDataCollection
    output: tuple[str, ...] = ()  # Output and OutputFile: patterns, with their `@` options
    output_archive: tuple[str, ...] = ()  # `archive:pattern,pattern@options`
    output_error: tuple[str, ...] = ()  # OutputErrorE: what is kept when the job fails
    validation_command: str | None = None
    job_container: str | None = None
    variables: Mapping[str, str] = field(
        default_factory=dict
    )  # ALIEN_JDL_* for the payload's environment
    other: Mapping[str, Value] = field(default_factory=dict)  # every tag that is not read above
    warnings: tuple[JdlWarning, ...] = ()  # those of the document, then those of its values

    @property
    def command(self) -> tuple[str, ...]:
        """The executable as written, then its arguments."""
        return (self.executable, *self.argv)

    @classmethod
    def from_jdl(cls, doc: Jdl) -> JobRequest:
        fields = Fields(doc)
        cores = _cpu_cores(fields)
        return cls(
            executable=_executable(fields),
            arguments=_arguments(fields),
            argv=_argv(fields),
            gpu=GpuWish.from_fields(fields),
            cpu_cores=cores,
            memory_bytes=_memory_bytes(fields, cores),
            workdir_bytes=_workdir_bytes(fields, cores),
            ttl_seconds=_ttl_seconds(fields),
            forced_kill_timeout_seconds=_forced_kill_seconds(fields),
            abort_on_core=fields.flag("AbortOnCore", True),
            packages=fields.texts("Packages"),
            platform=fields.text("Platform"),
            requirements=fields.text("Requirements"),
            input_files=fields.texts("InputFile") or fields.texts("InputBox"),
            input_data=fields.texts("InputData") or fields.texts("InputDataCollection"),
            output=(*fields.texts("Output"), *fields.texts("OutputFile")),
            output_archive=fields.texts("OutputArchive"),
            output_error=fields.texts("OutputErrorE"),
            validation_command=fields.text("ValidationCommand"),
            job_container=fields.text("JobContainer"),
            variables=exported_variables(fields, cores),
            other=_other(doc),
            warnings=(*doc.warnings, *fields.warnings),
        )


def _executable(fields: Fields) -> str:
    return fields.text("Executable") or fields.refuse("Executable", "", "the program to run")


def _arguments(fields: Fields) -> str:
    return " ".join(fields.texts("Arguments"))


def _argv(fields: Fields) -> tuple[str, ...]:
    """JAliEn cuts at blanks alone and then, in its nested container, hands the line to a shell."""
    arguments = _arguments(fields)
    try:
        return tuple(shlex.split(arguments, comments=False, posix=True))
    except ValueError:
        fields.warn(
            "Arguments", "a quote in `Arguments` is not closed, so they are split at blanks alone"
        )
        return tuple(arguments.split())


def _cpu_cores(fields: Fields) -> int:
    cores = fields.whole("CPUCores", _CORES_FORM)
    if cores is None or 1 <= cores <= MAX_CPU_CORES:
        return 1 if cores is None else cores
    fields.warn("CPUCores", f"`CPUCores` is {cores}, outside 1 to {MAX_CPU_CORES}, and counts as 1")
    return 1


def _memory_bytes(fields: Fields, cores: int) -> int:
    size = fields.size("MemorySize", parse_jalien_size, JALIEN_SIZE_FORM)
    return cores * MEMORY_BYTES_PER_CORE if size is None else size


def _workdir_bytes(fields: Fields, cores: int) -> int:
    """The tag, else the disk in Requirements, else the default; a wish too large is ignored."""
    default = cores * WORKDIR_BYTES_PER_CORE
    size = fields.size("WorkDirectorySize", parse_jalien_size, JALIEN_SIZE_FORM)
    if size is not None and size > 2 * default:
        fields.warn(
            "WorkDirectorySize",
            f"`WorkDirectorySize` is above twice {default // GIB} GB and is ignored",
        )
        size = None
    if size is None:
        size = _required_disk_bytes(fields)
    return size if size is not None and size <= 2 * default else default


def _required_disk_bytes(fields: Fields) -> int | None:
    match = _DISK_REQUIREMENT.search(fields.text("Requirements") or "")
    return int(match.group(1)) * 1024**2 or None if match else None


def _ttl_seconds(fields: Fields) -> int:
    ttl = fields.whole("TTL", _SECONDS_FORM)
    if ttl is not None and ttl <= 0:
        fields.warn("TTL", f"`TTL` is {ttl} and counts as {DEFAULT_TTL_SECONDS}")
        return DEFAULT_TTL_SECONDS
    if ttl is not None and ttl > MAX_TTL_SECONDS:
        fields.refuse("TTL", str(ttl), _SECONDS_FORM)
    return DEFAULT_TTL_SECONDS if ttl is None else ttl


def _forced_kill_seconds(fields: Fields) -> int:
    asked = fields.whole("ForcedKillTimeout", _SECONDS_FORM)
    if asked is None:
        return MIN_FORCED_KILL_SECONDS
    seconds = min(max(asked, MIN_FORCED_KILL_SECONDS), MAX_FORCED_KILL_SECONDS)
    if seconds != asked:
        fields.warn("ForcedKillTimeout", f"`ForcedKillTimeout` is {asked} and counts as {seconds}")
    return seconds


def _other(doc: Jdl) -> dict[str, Value]:
    read = {tag.lower() for tag in _READ_TAGS}
    return {key: value for key, value in doc.items() if key.lower() not in read}
