"""What JAliEn pulls out of a JDL, and what is left as conditions."""

from __future__ import annotations

from typing import Any

import pytest
from gpuctl import jdl
from gpuctl.jdl import JdlValueError
from gpuctl.match.requirements import Requirements

GIB = 1024**3


def wanted(text: str) -> Requirements:
    return Requirements.from_jdl(jdl.loads(f'Executable = "x"; {text}'))


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("", "ttl_seconds", 18000),
        ("TTL = 100;", "ttl_seconds", 100),
        ("Requirements = other.TTL > 72000;", "ttl_seconds", 72000),
        ("TTL = 100; Requirements = other.TTL > 72000;", "ttl_seconds", 100),
        ("", "cpu_cores", 1),
        ("CPUCores = 8;", "disk_bytes", 80 * GIB),
        ('CPUCores = 2; WorkDirectorySize = "15GB";', "disk_bytes", 15 * GIB),
        ("Requirements = other.LocalDiskSpace > 2048;", "disk_bytes", 2 * GIB),
        ("", "memory_bytes", None),
        ('MemorySize = "8GB";', "memory_bytes", 8 * GIB),
        ("", "price", 1.0),
        ("Price = 50;", "price", 50.0),
        ("Requirements = ( other.Price <= 30 );", "price", 30.0),
        ('User = "alidaq";', "user", "alidaq"),
        ('Requirements = member(other.GridPartitions,"prod");', "partition", "prod"),
        ('Requirements = other.CE == "a::b::c";', "ces", ("a::b::c",)),
        ('Requirements = (other.CE == "a" || other.ce == "b");', "ces", ("a", "b")),
        ('Requirements = other.CE != "a" && !other.CE == "b";', "excluded_ces", ("a", "b")),
        ('Requirements = !(other.CE == "a");', "excluded_ces", ("a",)),
        ('Requirements = member(other.CloseSE,"s");', "close_ses", ("s",)),
        ('Requirements = !member(other.CloseSE,"s");', "excluded_close_ses", ("s",)),
        (
            'Packages = {"p"}; Requirements = member(other.Packages,"q")'
            ' && member(other.Packages,"p");',
            "packages",
            ("p", "q"),
        ),
        ('Platform = {"el8-x86_64","el9-x86_64"};', "platforms", ("el8-x86_64", "el9-x86_64")),
        (
            "Requirements = other.CVMFS_Revision >= 5 && other.CVMFS_revision >= 9;",
            "cvmfs_revision",
            9,
        ),
    ],
)
def test_fields(text: str, field: str, value: Any) -> None:
    assert getattr(wanted(text), field) == value


@pytest.mark.parametrize(
    ("requirements", "rest"),
    [
        ('member(other.GridPartitions,"a") && member(other.GridPartitions,"b")', 1),
        ('other.CE == "a" && other.CE == "b"', 1),  # both cannot be: the second stays a condition
        ('(other.CE == "a" || other.TTL > 5)', 1),
        ('!(other.CE == "a" || other.CE == "b")', 1),
        ('other.TTL > 5 && member(other.GridPartitions,"a")', 1),
        ('other.CVMFS_Revision > "x"', 1),
        ("other.Price > 5", 1),
        ('((member(other.GridPartitions,"a")) && ((other.CE == "x")))', 0),
        ("true", 1),
    ],
)
def test_what_is_left_is_a_condition(requirements: str, rest: int) -> None:
    assert len(wanted(f"Requirements = {requirements};").conditions) == rest


def test_an_expression_in_quotes() -> None:
    job = wanted('Requirements = "member(other.GridPartitions,\\"prod\\") && other.X == 1";')
    assert (job.partition, [each.text for each in job.conditions]) == ("prod", ["other.X == 1"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Requirements = other.TTL >;", "`Requirements`: column 12"),
        ("Rank = ((;", "`Rank`: column 3"),
        ("Requirements = foo(1);", "no function `foo`"),
        ("Requirements = 1 B = 2;", "column 3"),
    ],
)
def test_an_expression_that_is_none_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(JdlValueError) as caught:
        wanted(text)
    assert words in str(caught.value)
    assert caught.value.line == 1
    assert caught.value.exit_code == 2


def test_tags_are_what_bare_names_mean() -> None:
    tags = wanted('A = "text"; B = 5; C = true; D = {"x","y"}; E = 50GB; Requirements = D;').tags
    assert (tags["a"], tags["b"], tags["c"], tags["d"], tags["e"]) == (
        *("text", 5, True, ["x", "y"]),
        "50GB",
    )
    assert (tags["cpucores"], tags["ttl"]) == (1, 21600)
