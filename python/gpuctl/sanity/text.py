"""The answer for people: a line for each level."""

from __future__ import annotations

from gpuctl.report_text import escaped
from gpuctl.sanity.answer import Answer, Check

__all__ = ["render"]


def render(answer: Answer) -> str:
    lines = []
    for check in answer.checks:
        lines += [_title(check), *(_line(check, index) for index in range(len(check.levels)))]
    where = "without a container"
    if answer.container is not None:
        where = f"in {answer.container['runtime']}, image `{answer.container['image']}`"
    lines.append(f"{answer.verdict}, {where}" if answer.checks else "there is no GPU to check")
    return "\n".join(lines) + "\n"


def _title(check: Check) -> str:
    names = ", ".join(check.gpu_ids) or "any device"
    library = check.versions.get("library") or "no library"
    version = check.versions.get("runtime")
    return f"{names}: {check.api}, {library}{f' {version}' if version else ''}"


def _line(check: Check, index: int) -> str:
    level = check.levels[index]
    time = "" if level.usec is None else f"{level.usec / 1000:.1f} ms"
    return f"  {level.level:<13} {level.result:<5} {time:>11}  {escaped(level.detail)}".rstrip()
