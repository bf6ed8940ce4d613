"""One node with its ledger, and `gpuctl` on it.

def test_it(ledger: Ledger) -> None:
    lease = ledger.json("reserve", "--owner-pid", pid)["lease"]
    assert [each["id"] for each in ledger.json("status")["leases"]] == [lease["id"]]
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Callable

from installed import installed_binary
from schemas import validate

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Ledger:
    def __init__(self, gpuctl: Run, root: Path, state: Path) -> None:
        self._gpuctl = gpuctl
        self.places = ("--root", str(root), "--state-dir", str(state))
        self.root, self.state = root, state
        self.binary = os.fspath(installed_binary())

    def run(self, verb: str, *words: object, **more: Any) -> subprocess.CompletedProcess[str]:
        return self._gpuctl(verb, *self.places, *words, **more)

    def json(self, verb: str, *words: object, code: int = 0) -> dict[str, Any]:
        done = self.run(verb, "--json", *words)
        assert done.returncode == code, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        validate(f"{'history' if '--history' in words else verb}.json", answer)
        return answer

    def gpu_ids(self) -> list[str]:
        return [gpu["id"] for gpu in self.json("status")["gpus"]]

    def wait_for_state(self, state: str) -> None:
        """By the ledger's own events, not by a pause."""
        command = [self.binary, "status", *self.places, "--watch"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as watch:
            assert watch.stdout
            for line in watch.stdout:
                if any(lease["state"] == state for lease in json.loads(line)["leases"]):
                    watch.kill()
                    return
