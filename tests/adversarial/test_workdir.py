"""What payloads do to their work directory: it goes, nothing outside is touched, and only plain
files are kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from adversarial.arena import Arena, Job

# The only fence that leaves a payload of root all that root has.
WITH_ALL_RIGHTS = ("--process-fence", "session", "--fence", "advisory")


def run_in_workdir(arena: Arena, script: str, *options: object) -> Job:
    job = arena.run(["--job", "w", "--workdir", arena.folder, *options], ["sh", "-c", script])
    assert job.wait() == 0, job.stderr
    return job


def assert_gone(arena: Arena, job: Job) -> None:
    assert not (arena.folder / "alien-job-w").exists()
    assert job.report["cleaned"] == [f"{arena.folder}/alien-job-w"]
    assert job.report["left"] == []


@pytest.mark.parametrize(
    "script",
    [
        "mkfifo p; ln -s / root; ln -s nowhere broken; mkdir -p a/b/c; touch a/b/c/d",
        "mkdir shut shut/in; touch shut/in/f; chmod 0 shut/in; chmod 0 shut; chmod 500 .",
        "touch -- -rf '*' 'a\nb' \"$(printf '\\377\\376')\"; mkdir \"$(printf '%0255d' 1)\"",
        "for i in $(seq 300); do mkdir d$i; touch d$i/f f$i; done",
        "mkdir .git; touch .hidden ..two ...three",
    ],
    ids=["links", "unreadable", "names", "many", "hidden"],
)
def test_it_goes_whatever_is_in_it(arena: Arena, script: str) -> None:
    job = run_in_workdir(arena, script)
    assert_gone(arena, job)


def test_five_thousand_levels(arena: Arena) -> None:
    program = "import os\nfor _ in range(5000): os.mkdir('d'); os.chdir('d')"
    job = run_in_workdir(arena, f'python3 -I -S -c "{program}"')
    assert_gone(arena, job)


@pytest.mark.slow
def test_very_many_names_need_little_memory(user_arena: Arena) -> None:
    arena = user_arena
    script = "mkdir m; cd m; seq 1 60000 | sed 's/^/a-name-that-is-not-short-/' | xargs touch"
    job = run_in_workdir(arena, script, "--events", arena.folder / "events")
    assert_gone(arena, job)


def test_links_are_not_followed(arena: Arena) -> None:
    precious = arena.make_user_folder("precious")
    (precious / "file").write_text("precious")
    script = f"ln -s {precious} out; ln -s {precious}/file f.out; ln {precious}/file hard 2>/dev/null; mkdir d; ln -s {precious} d/e"  # noqa: E501
    job = run_in_workdir(arena, script)
    assert_gone(arena, job)
    assert (precious / "file").read_text() == "precious"


def test_a_moved_work_directory_is_left_and_named(arena: Arena) -> None:
    """What took its place was not made by gpuctl: it stays."""
    script = "cd ..; mv alien-job-w moved; mkdir alien-job-w; echo mine > alien-job-w/keep"
    job = run_in_workdir(arena, script)
    assert (arena.folder / "alien-job-w" / "keep").read_text() == "mine\n"
    assert job.report["cleaned"] == []
    assert "not the directory that was made" in job.report["left"][0]


def test_a_link_in_its_place_is_left(arena: Arena) -> None:
    precious = arena.make_user_folder("precious")
    (precious / "file").write_text("precious")
    job = run_in_workdir(arena, f"cd ..; mv alien-job-w moved; ln -s {precious} alien-job-w")
    assert (precious / "file").read_text() == "precious"
    assert job.report["left"] != []


def test_an_existing_directory_is_not_taken(arena: Arena) -> None:
    folder = arena.make_user_folder("alien-job-w")
    (folder / "file").write_text("mine")
    job = arena.run(["--job", "w", "--workdir", arena.folder], ["true"])
    assert job.wait() == 125
    assert job.report["kill_reason"]["name"] == "SANDBOX_CREATE"
    assert (folder / "file").read_text() == "mine"
    assert not list(arena.folder.glob(".alien-job-*"))


def test_an_empty_directory_is_not_taken_either(arena: Arena) -> None:
    folder = arena.make_user_folder("alien-job-w")
    job = arena.run(["--job", "w", "--workdir", arena.folder], ["true"])
    assert job.wait() == 125
    assert folder.is_dir()


def test_immutable_files_are_named(root_arena: Arena) -> None:
    arena = root_arena
    probe = arena.folder / "probe"
    probe.touch()
    if (
        shutil.which("chattr") is None
        or subprocess.run(["chattr", "+i", probe], capture_output=True, check=False).returncode
    ):
        pytest.skip("no immutable files here")
    script = "touch a b stays; mkdir d; touch d/stays; chattr +i stays d/stays"
    job = run_in_workdir(arena, script, *WITH_ALL_RIGHTS)
    assert "stays" in job.report["left"][0]
    left = sorted(
        str(each.relative_to(arena.folder)) for each in (arena.folder / "alien-job-w").rglob("*")
    )
    assert left == ["alien-job-w/d", "alien-job-w/d/stays", "alien-job-w/stays"]


def test_a_mount_inside_is_not_entered(root_arena: Arena) -> None:
    arena = root_arena
    precious = arena.make_user_folder("precious")
    (precious / "file").write_text("precious")
    # With a session the mount outlives the payload; in a mount namespace it would be gone.
    script = f"mkdir m; mount --bind {precious} m"
    job = run_in_workdir(arena, script, *WITH_ALL_RIGHTS)
    assert (precious / "file").read_text() == "precious"
    assert "mounted" in job.report["left"][0]


def test_only_plain_files_are_kept(arena: Arena) -> None:
    secret = arena.make_user_folder("secret")
    (secret / "key").write_text("secret")
    script = f"""
        echo good > a.out; mkdir sub; echo deep > sub/b.out; chmod 0 sub
        ln -s {secret}/key link.out; mkfifo fifo.out
        ln -s {secret} dir.out; ln -s {secret} via; mkdir folder.out
        printf 'x\\000y' > binary.out; : > empty.out; echo no > other
    """
    output = arena.folder / "output"
    job = run_in_workdir(arena, script, "--keep", "*.out", "--output", output)
    found = sorted(str(each.relative_to(output)) for each in output.rglob("*") if not each.is_dir())
    assert found == ["a.out", "binary.out", "empty.out", "sub/b.out"]
    assert (output / "binary.out").read_bytes() == b"x\0y"
    assert job.report["kept"] == found
    assert_gone(arena, job)


def test_planted_links_in_the_output_are_not_written_through(arena: Arena) -> None:
    """The payload runs as the same user, so it can prepare the place where its output will go."""
    precious = arena.make_user_folder("precious")
    (precious / "file").write_text("precious")
    output = arena.make_user_folder("output")
    script = f"ln -s {precious}/file {output}/a.out; ln -s {precious} {output}/sub; mkdir sub; echo x > a.out; echo x > sub/file"  # noqa: E501
    job = run_in_workdir(arena, script, "--keep", "*", "--output", output)
    assert (precious / "file").read_text() == "precious"
    assert (output / "a.out").read_text() == "x\n"
    assert any("sub/file" in each for each in job.report["problems"])


def test_captured_output_is_kept(arena: Arena) -> None:
    output = arena.folder / "output"
    job = run_in_workdir(arena, "echo out; echo err >&2", "--capture-output", "--output", output)
    assert (output / "stdout").read_text() == "out\n"
    assert (output / "stderr").read_text() == "err\n"
    assert job.stdout == ""


def test_capture_cannot_be_led_elsewhere(arena: Arena) -> None:
    precious = arena.make_user_folder("precious")
    (precious / "file").write_text("precious")
    script = f"rm stdout; ln -s {precious}/file stdout; echo more"
    output = arena.folder / "output"
    job = run_in_workdir(arena, script, "--capture-output", "--output", output)
    assert (precious / "file").read_text() == "precious"
    assert not (output / "stdout").exists()
    assert "stdout" not in job.report["kept"]


def test_inputs_are_brought(arena: Arena) -> None:
    source = arena.folder / "input file"
    source.write_bytes(os.urandom(100_000))
    source.chmod(0o644)
    output = arena.folder / "output"
    run_in_workdir(
        arena, "cp 'input file' copy", "--input", source, "--keep", "copy", "--output", output
    )
    assert (output / "copy").read_bytes() == source.read_bytes()


def test_a_missing_input_stops_the_start(arena: Arena) -> None:
    job = arena.run(["--job", "w", "--workdir", arena.folder, "--input", "/nowhere/file"], ["true"])
    assert job.wait() == 125
    assert job.report["kill_reason"]["name"] == "INPUT_FILES"
    assert not (arena.folder / "alien-job-w").exists()


def test_two_parents_of_one_id(arena: Arena) -> None:
    parent = arena.make_user_folder("parent")
    one = arena.run(["--job", "w", "--workdir", parent], ["sleep", "0.3"])
    arena.wait_until(lambda: (parent / "alien-job-w").exists(), "the directory")
    two = arena.run(["--job", "w", "--resubmission", "1", "--workdir", parent], ["true"])
    assert (two.wait(), one.wait()) == (125, 0)
    assert two.report["kill_reason"]["name"] == "SANDBOX_CREATE"
    assert list(parent.iterdir()) == []


def folder_is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())
