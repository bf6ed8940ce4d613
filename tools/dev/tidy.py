"""clang-tidy on every C++ file that changed since it last passed, two at a time.

A file's verdict depends on itself, on every project header it reaches, on its compile command and
on the checks: their hash names an empty file in the cache folder. System headers and clang-tidy
are pinned by the machine and requirements/lint.txt, whose text is in the hash too.

    python tools/dev/tidy.py        # after `cmake --preset tidy`
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "tidy"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
PASSED = CACHE / "gpuctl" / "tidy"  # for all checkouts of this user: a key holds no path of one
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
INCLUDE_FOLDERS = [ROOT / "cpp" / "include", ROOT / "cpp", ROOT / "tests" / "cpp"]
SETTINGS = [ROOT / ".clang-tidy", ROOT / "requirements" / "lint.txt"]


def main() -> int:
    PASSED.mkdir(parents=True, exist_ok=True)
    stale = {s: k for s, k in sources_with_keys() if not (PASSED / k).exists()}
    print(f"clang-tidy: {len(stale)} files to look at", flush=True)
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        passed = list(pool.map(check, range(1, len(stale) + 1), stale, stale.values()))
    return 0 if all(passed) else 1


def sources_with_keys() -> list[tuple[Path, str]]:
    database = json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    settings = b"".join(path.read_bytes() for path in SETTINGS)
    found = []
    for entry in database:
        source = Path(entry["file"])
        if ROOT not in source.parents or BUILD in source.parents:
            continue
        command = entry["command"].replace(str(ROOT), "")
        digest = hashlib.sha256(settings + command.encode())
        for path in sorted(reached_from(source)):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
        found.append((source, digest.hexdigest()))
    return sorted(found)


def reached_from(source: Path) -> set[Path]:
    """The file and every file of the project that it includes, directly or not."""
    seen: set[Path] = set()
    waiting = [source]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting.extend(includes_of(path))
    return seen


@cache
def includes_of(path: Path) -> tuple[Path, ...]:
    names = INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace"))
    candidates = ((folder / name) for name in names for folder in [path.parent, *INCLUDE_FOLDERS])
    return tuple({candidate.resolve() for candidate in candidates if candidate.is_file()})


def check(number: int, source: Path, key: str) -> bool:
    done = subprocess.run(
        ["clang-tidy", "--quiet", "-p", str(BUILD), str(source)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(f"[{number}] {source.relative_to(ROOT)}", flush=True)
    if done.returncode != 0:
        print(done.stdout, flush=True)
        return False
    (PASSED / key).touch()
    return True


if __name__ == "__main__":
    sys.exit(main())
