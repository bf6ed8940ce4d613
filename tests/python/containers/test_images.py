"""JAliEn's rules for choosing an image."""

from __future__ import annotations

from pathlib import Path

import pytest
from gpuctl.containers.images import choose_image


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("compat_el8-x86_64", "compat_el9-x86_64", "compat_el7", "default"):
        (tmp_path / name).mkdir()
    return tmp_path


def chosen(images: Path, platform: str | None, machine: str = "x86_64") -> str | None:
    path = choose_image(None, None, platform, images, {}, machine).path
    return None if path is None else Path(path).name


@pytest.mark.parametrize(
    ("platform", "image"),
    [
        ("el9-x86_64", "compat_el9-x86_64"),
        ("el9-x86_64, el8-x86_64", "compat_el8-x86_64"),  # the oldest of several
        ("el7", "compat_el7"),
        ("el9-aarch64", "default"),  # not this machine's
        ("slc9-aarch64,el8-x86_64", "compat_el8-x86_64"),
        ("el10-x86_64", "default"),  # there is no such image
        ("el10-x86_64,el9-x86_64", "compat_el9-x86_64"),
        ("ubuntu2204_x86-64", "default"),
        ("", "default"),
        (None, "default"),
    ],
)
def test_the_platforms_image_or_the_default(images: Path, platform: str, image: str) -> None:
    assert chosen(images, platform) == image


def test_another_machine_has_other_defaults(images: Path) -> None:
    assert chosen(images, "el9-aarch64", "aarch64") is None
    (images / "default-aarch64").mkdir()
    assert chosen(images, "el9-x86_64", "aarch64") == "default-aarch64"


def test_who_names_an_image_is_obeyed_in_order(images: Path) -> None:
    environ = {"JOB_CONTAINER_PATH": "/srv/agent"}
    given = choose_image("/srv/flag", "/srv/jdl", "el9-x86_64", images, environ, "x86_64")
    assert (given.path, given.demanded) == ("/srv/flag", True)
    jdl = choose_image(None, "/srv/jdl", "el9-x86_64", images, environ, "x86_64")
    assert (jdl.path, jdl.demanded) == ("/srv/jdl", True)
    agent = choose_image(None, None, "el9-x86_64", images, environ, "x86_64")
    assert (agent.path, agent.demanded) == ("/srv/agent", True)
    platform = choose_image(None, None, "el9-x86_64", images, {}, "x86_64")
    assert (platform.demanded, platform.reason) == (False, "for platform el9-x86_64")


def test_a_site_without_images(tmp_path: Path) -> None:
    choice = choose_image(None, None, "el9-x86_64", tmp_path / "none", {}, "x86_64")
    assert choice.path is None
    assert str(tmp_path) in choice.reason
