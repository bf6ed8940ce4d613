"""The typed view: defaults, bounds, and what is refused or only warned about."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest
from gpuctl import jdl
from gpuctl.jdl import GpuWish, JobRequest

GIB = 1024**3
MIB = 1024**2


def request(text: str) -> JobRequest:
    return JobRequest.from_jdl(jdl.loads(f'Executable = "run.sh";\n{text}', "job.jdl"))


def test_defaults() -> None:
    assert request("") == JobRequest(executable="run.sh", variables={"ALIEN_JDL_CPUCORES": "1"})
    plain = request("")
    assert (plain.ttl_seconds, plain.forced_kill_timeout_seconds, plain.cpu_cores) == (21600, 60, 1)
    assert (plain.memory_bytes, plain.workdir_bytes) == (8 * GIB, 10 * GIB)
    assert plain.gpu is None
    assert plain.abort_on_core is True
    assert plain.command == ("run.sh",)


# (text, field, value, how many warnings)
FIELDS: list[tuple[str, str, Any, int]] = [
    ("TTL = 36000;", "ttl_seconds", 36000, 0),
    ('TTL = "36000";', "ttl_seconds", 36000, 0),
    ('TTL = {"36000"};', "ttl_seconds", 36000, 0),
    ("ttl = 3.6e4;", "ttl_seconds", 36000, 0),
    ("TTL = 0;", "ttl_seconds", 21600, 1),
    ("TTL = -5;", "ttl_seconds", 21600, 1),
    ('TTL = "-5";', "ttl_seconds", 21600, 1),
    ("Requirements = other.TTL > 80000;", "ttl_seconds", 21600, 0),
    ("CPUCores = 8;", "cpu_cores", 8, 0),
    ('CPUCores = "8";', "cpu_cores", 8, 0),
    ("CPUCores = 1;", "cpu_cores", 1, 0),
    ("CPUCores = 100;", "cpu_cores", 100, 0),
    ("CPUCores = 101;", "cpu_cores", 1, 1),
    ("CPUCores = 0;", "cpu_cores", 1, 1),
    ("CPUCores = -1;", "cpu_cores", 1, 1),
    ("CPUCores = 8;", "memory_bytes", 64 * GIB, 0),
    ("CPUCores = 8;", "workdir_bytes", 80 * GIB, 0),
    ("CPUCores = 8; MemorySize = 16GB;", "memory_bytes", 16 * GIB, 0),
    ("MemorySize = 2000;", "memory_bytes", 2000 * MIB, 0),
    ("MemorySize = 2e3;", "memory_bytes", 2000 * MIB, 0),
    ('MemorySize = "500000K";', "memory_bytes", 500000 * 1024, 0),
    ('WorkDirectorySize = {"5000MB"};', "workdir_bytes", 5000 * MIB, 0),
    ("WorkDirectorySize = 20GB;", "workdir_bytes", 20 * GIB, 0),
    ("WorkDirectorySize = 20481;", "workdir_bytes", 10 * GIB, 1),
    ("CPUCores = 2; WorkDirectorySize = 40GB;", "workdir_bytes", 40 * GIB, 0),
    ("Requirements = other.LocalDiskSpace > 15000;", "workdir_bytes", 15000 * MIB, 0),
    ("Requirements = (other.LocalDiskSpace>15000);", "workdir_bytes", 15000 * MIB, 0),
    ("Requirements = other.LocalDiskSpace > 90000;", "workdir_bytes", 10 * GIB, 0),
    (
        "WorkDirectorySize = 5GB; Requirements = other.LocalDiskSpace > 15000;",
        "workdir_bytes",
        5 * GIB,
        0,
    ),
    ("ForcedKillTimeout = 60;", "forced_kill_timeout_seconds", 60, 0),
    ("ForcedKillTimeout = 59;", "forced_kill_timeout_seconds", 60, 1),
    ("ForcedKillTimeout = 600;", "forced_kill_timeout_seconds", 600, 0),
    ("ForcedKillTimeout = 601;", "forced_kill_timeout_seconds", 600, 1),
    ("AbortOnCore = false;", "abort_on_core", False, 0),
    ('AbortOnCore = "FALSE";', "abort_on_core", False, 0),
    ("AbortOnCore = 1;", "abort_on_core", True, 0),
    ('Packages = {"a::1","b::2"};', "packages", ("a::1", "b::2"), 0),
    ('Packages = "a::1";', "packages", ("a::1",), 0),
    ("Packages = {};", "packages", (), 0),
    ('Platform = "el9-x86_64";', "platform", "el9-x86_64", 0),
    ('Requirements = "other.TTL > 5";', "requirements", "other.TTL > 5", 0),
    ('InputFile = {"LF:/a/b"};', "input_files", ("LF:/a/b",), 0),
    ('InputBox = {"LF:/a/b"};', "input_files", ("LF:/a/b",), 0),
    ('InputFile = {"LF:/a"}; InputBox = {"LF:/b"};', "input_files", ("LF:/a",), 0),
    ('InputData = {"LF:/a,nodownload"};', "input_data", ("LF:/a,nodownload",), 0),
    ('InputDataCollection = "LF:/c.xml";', "input_data", ("LF:/c.xml",), 0),
    ('Output = {"a*"}; OutputFile = "b";', "output", ("a*", "b"), 0),
    ('OutputArchive = {"z.zip:*@disk=1"};', "output_archive", ("z.zip:*@disk=1",), 0),
    ('OutputErrorE = {"e.zip:*"};', "output_error", ("e.zip:*",), 0),
    ('ValidationCommand = "/v.sh";', "validation_command", "/v.sh", 0),
    ('JobContainer = "/cvmfs/c";', "job_container", "/cvmfs/c", 0),
    ("Arguments = ;", "arguments", "", 0),
    ("Arguments = 5;", "argv", ("5",), 0),
    ('Arguments = "a  b\n\tc";', "argv", ("a", "b", "c"), 0),
    ('Arguments = {"a b","c"};', "argv", ("a", "b", "c"), 0),
    ("Arguments = \"-x 'a b' # c\";", "argv", ("-x", "a b", "#", "c"), 0),
    (r'Arguments = "-j \"a b\" $X *";', "argv", ("-j", '"a', 'b"', "$X", "*"), 0),
    ('Arguments = "it\'s open";', "argv", ("it's", "open"), 1),
]


@pytest.mark.parametrize(("text", "name", "value", "warnings"), FIELDS)
def test_field(text: str, name: str, value: Any, warnings: int) -> None:
    found = request(text)
    assert getattr(found, name) == value
    assert type(getattr(found, name)) is type(value)
    assert len(found.warnings) == warnings
    assert all(warning.line == 2 for warning in found.warnings)


# (text, key, the value as shown, a part of what is accepted)
REFUSED = [
    ("TTL = 8h;", "TTL", "8h", "whole seconds"),
    ('TTL = "";', "TTL", "", "whole seconds"),
    ("TTL = ;", "TTL", "", "whole seconds"),
    ("TTL = {};", "TTL", "", "whole seconds"),
    ("TTL = 2147483648;", "TTL", "2147483648", "whole seconds"),
    ('TTL = "1e3";', "TTL", "1e3", "whole seconds"),
    ("CPUCores = many;", "CPUCores", "many", "from 1 to 100"),
    ("MemorySize = 1.5GB;", "MemorySize", "1.5GB", "K, M or G"),
    ("MemorySize = 0;", "MemorySize", "0", "K, M or G"),
    ("MemorySize = -1;", "MemorySize", "-1.0", "K, M or G"),
    ("MemorySize = lots;", "MemorySize", "lots", "K, M or G"),
    ("WorkDirectorySize = 5TB;", "WorkDirectorySize", "5TB", "K, M or G"),
    ("ForcedKillTimeout = 2m;", "ForcedKillTimeout", "2m", "whole seconds"),
    ("AbortOnCore = maybe;", "AbortOnCore", "maybe", "`true` or `false`"),
    ("GPU = 2;", "GPU", "2", "GPUCount"),
    ("GPU = true;", "GPU", "true", "GPUCount"),
    ('GPU = "";', "GPU", "", "the name of a model"),
    ("GPU = {};", "GPU", "{}", "the name of a model"),
    ('GPU = {"A100", " - "};', "GPU", "-", "the name of a model"),
    ('GPUVendor = "matrox";', "GPUVendor", "matrox", "`nvidia`, `amd` or `intel`"),
    ('GPUVendor = {"amd","x"};', "GPUVendor", "x", "`nvidia`, `amd` or `intel`"),
    ('GPUArchitecture = "";', "GPUArchitecture", "", "an architecture"),
    ("GPUCount = 0;", "GPUCount", "0", "from 1"),
    ("GPUCount = -1;", "GPUCount", "-1", "from 1"),
    ('GPUCount = "two";', "GPUCount", "two", "from 1"),
    ("GPUMemory = 16;", "GPUMemory", "16", "with its unit"),
    ("GPUMemory = 0G;", "GPUMemory", "0G", "with its unit"),
    ("GPURequired = perhaps;", "GPURequired", "perhaps", "`true` or `false`"),
]


@pytest.mark.parametrize(("text", "key", "value", "expected"), REFUSED)
def test_refused(text: str, key: str, value: str, expected: str) -> None:
    with pytest.raises(jdl.JdlValueError) as caught:
        request(text)
    error = caught.value
    assert (error.key, error.value, error.line, error.name) == (key, value, 2, "job.jdl")
    assert expected in error.expected
    assert str(error) == f"job.jdl:2:{error.column}: `{key}` is `{value}`, give {error.expected}"
    assert (error.code, error.exit_code) == ("malformed", 2)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("text", ["A = 1;", 'Executable = "";', "Executable = {};", "# nothing"])
def test_a_job_needs_an_executable(text: str) -> None:
    with pytest.raises(jdl.JdlValueError, match=r"Executable.*give the program to run"):
        JobRequest.from_jdl(jdl.loads(text))


def test_a_value_set_by_a_program_is_refused_without_a_line() -> None:
    doc = jdl.Jdl({"Executable": "x", "TTL": "soon"}, name="mine")
    with pytest.raises(jdl.JdlValueError, match=r"^mine: `TTL` is `soon`") as caught:
        JobRequest.from_jdl(doc)
    assert caught.value.line is None


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("", None),
        ("CPUCores = 2;", None),
        ("GPUCount = 3;", GpuWish(count=3)),
        ('GPU = "A100";', GpuWish(models=("A100",))),
        ("GPU = A100;", GpuWish(models=("A100",))),
        ('GPU = {"A100"," MI50 32GB "};', GpuWish(models=("A100", "MI50 32GB"))),
        ("GPURequired = true;", GpuWish()),
        ("GPURequired = false;", GpuWish(required=False)),
        ("gpumemory = 80G;", GpuWish(memory_bytes=80 * 10**9)),
        ("GPUMemory = 32GiB;", GpuWish(memory_bytes=32 * GIB)),
        ('GPUArchitecture = {"Ampere","gfx906"};', GpuWish(architectures=("Ampere", "gfx906"))),
        ('GPUVendor = {"NVIDIA Corporation","nv"};', GpuWish(vendors=("nvidia",))),
        ('GPUVendor = "ATI";', GpuWish(vendors=("amd",))),
        (
            'GPUVendor = "Advanced Micro Devices, Inc. [AMD/ATI]";',
            GpuWish(vendors=("amd",)),
        ),
        ('GPUVendor = {"0x8086","1002"};', GpuWish(vendors=("intel", "amd"))),
    ],
)
def test_gpu_wish(text: str, wish: GpuWish | None) -> None:
    assert request(text).gpu == wish


def test_variables_are_exported_as_jalien_does() -> None:
    found = request(
        'JDLVariables = {"Packages","OutputDir","run","Factor","Flag","Text","Missing"};\n'
        'Packages = {"a::1","b::2"}; OutputDir = "/out"; RUN = 7; Factor = 1e7; Flag = true;\n'
        'Text = "say \\"hi\\"; x=1"; Unlisted = 1; CPUCores = 4;'
    )
    assert found.variables == {
        "ALIEN_JDL_PACKAGES": "a::1##b::2",
        "ALIEN_JDL_OUTPUTDIR": "/out",
        "ALIEN_JDL_RUN": "7",
        "ALIEN_JDL_FACTOR": "1.0E7",
        "ALIEN_JDL_FLAG": "true",
        "ALIEN_JDL_TEXT": 'say \\"hi\\"; x=1',
        "ALIEN_JDL_CPUCORES": "4",
    }
    assert [warning.text for warning in found.warnings] == [
        "`JDLVariables` names `Missing`, which the JDL does not define"
    ]


def test_everything_else_is_passed_through() -> None:
    found = request('LPMRunNumber = 5; Split = "se"; TTL = 1; ttL = 2; Rank = other.X; L = {"a"};')
    assert found.other == {
        "LPMRunNumber": 5,
        "Split": "se",
        "Rank": jdl.Expression("other.X"),
        "L": ["a"],
    }


def test_warnings_of_the_text_come_first() -> None:
    found = request("TTL = 0;\nX = {1,2};")
    assert [warning.line for warning in found.warnings] == [3, 2]


def test_request_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        request("").cpu_cores = 2  # type: ignore[misc]
