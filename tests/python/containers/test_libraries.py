"""Which of the host's driver libraries a container gets, and whether they load there."""

from __future__ import annotations

import shutil
from pathlib import Path

from compiled import FUTURE, build, image_with
from gpuctl.containers.libraries import host_libraries, image_library, judge

CACHE = """\
5 libs found in cache `/etc/ld.so.cache'
\tlibnvidia-gpucomp.so.550.54.15 (libc6,x86-64) => /usr/lib64/libnvidia-gpucomp.so.550.54.15
\tlibnvidia-ml.so.1 (libc6) => /usr/lib/libnvidia-ml.so.1
\tlibnvidia-ml.so.1 (libc6,x86-64) => /usr/lib64/libnvidia-ml.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib64/libcuda.so.1
\tlibcudart.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.12
"""


def test_the_drivers_libraries_are_found_in_the_loaders_cache() -> None:
    assert set(host_libraries(["nvidia"], CACHE)) == {
        "/usr/lib64/libcuda.so.1",
        "/usr/lib64/libnvidia-ml.so.1",
        "/usr/lib64/libnvidia-gpucomp.so.550.54.15",
    }
    assert host_libraries(["amd", "intel"], CACHE) == ()
    assert host_libraries(["nvidia"], "") == ()


def test_a_library_that_loads_is_bound(libc: Path, tmp_path: Path) -> None:
    library = build(
        tmp_path, "libcuda.so.1", 'int puts(const char*); int f(void) { return puts(""); }', "-lc"
    )
    verdict = judge([str(library)], image_with(tmp_path / "image", libc))
    assert verdict.bind == (str(library),)
    assert (verdict.missing, verdict.usable) == ((), True)


def test_a_library_for_a_newer_glibc_is_refused_by_name(
    libc: Path, future_library: Path, tmp_path: Path
) -> None:
    verdict = judge([str(future_library)], image_with(tmp_path / "image", libc))
    assert not verdict.usable
    assert verdict.bind == ()
    (words,) = verdict.missing
    assert words.startswith(
        f"`libcuda.so.1` needs {FUTURE} of libc.so.6, the image has up to GLIBC_2."
    )
    assert "brings no libraries of its own" in verdict.words


def test_an_image_with_its_own_library_runs_without_the_hosts(
    libc: Path, future_library: Path, tmp_path: Path
) -> None:
    image = image_with(tmp_path / "image", libc, libc.resolve())
    shutil.copy(libc, image / "usr/lib64/libcuda.so.1")
    verdict = judge([str(future_library)], image)
    assert (verdict.bind, verdict.own, verdict.usable) == ((), True, True)
    assert FUTURE in verdict.missing[0]


def test_what_only_a_start_can_tell(future_library: Path) -> None:
    verdict = judge([str(future_library)], None)
    assert verdict.bind == (str(future_library),)
    assert verdict.usable


def test_links_of_an_image_stay_inside_it(tmp_path: Path) -> None:
    image = tmp_path / "image"
    (image / "usr/lib64").mkdir(parents=True)
    (image / "lib64").symlink_to("/usr/lib64")  # absolute: of the image
    (image / "usr/lib64/libcuda.so.1").symlink_to("../../../../../etc/passwd")
    (image / "usr/lib64/libc.so.6").symlink_to("libc.so.6")  # a circle
    assert image_library(image, "libcuda.so.1") is None
    assert image_library(image, "libc.so.6") is None
    (image / "etc").mkdir()
    (image / "etc/passwd").write_text("x", encoding="ascii")
    assert image_library(image, "libcuda.so.1") == image / "etc/passwd"
