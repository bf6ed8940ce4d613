"""What a job wants of a node, as one plain record: JAliEn's fields, and the rest as conditions.

`Requirements.from_jdl` is a pure function of a JDL. What JAliEn pulls out of `Requirements` with
patterns is recognised here in the parsed expression, where it stands as a condition of its own;
inside an `||` or `!` that JAliEn does not know it stays what it says, a part of an expression.

Example:
    wanted = Requirements.from_jdl(gpuctl.jdl.load("job.jdl"))
    wanted.ttl_seconds, wanted.partition, wanted.ces, [c.text for c in wanted.conditions]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpuctl.jdl import Expression, Jdl, JobRequest, Value
from gpuctl.jdl.errors import JdlValueError
from gpuctl.jdl.fields import Fields
from gpuctl.jdl.wish import GpuWish
from gpuctl.match.expression import Compiled, ExpressionError, compile_node, compile_text
from gpuctl.match.expression.nodes import conjuncts
from gpuctl.match.expression.values import visible
from gpuctl.match.recognised import Recognised, recognise

__all__ = ["Requirements"]

MATCHING_TTL_SECONDS = 18000  # what JAliEn's broker takes for a job that says nothing
DEFAULT_PRICE = 1.0
MAX_TTL_SECONDS = 2**31 - 1


@dataclass(frozen=True)
class Requirements:
    """None or empty: nothing is wanted. `conditions` are what `Requirements` says beyond fields."""

    ttl_seconds: int = MATCHING_TTL_SECONDS
    cpu_cores: int = 1
    disk_bytes: int = 0
    memory_bytes: int | None = None  # only where the JDL has MemorySize
    price: float = DEFAULT_PRICE
    user: str | None = None
    partition: str | None = None
    ces: tuple[str, ...] = ()  # any of them
    excluded_ces: tuple[str, ...] = ()
    close_ses: tuple[str, ...] = ()  # any of them
    excluded_close_ses: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()  # any of them
    cvmfs_revision: int | None = None
    gpu: GpuWish | None = None
    conditions: tuple[Compiled, ...] = ()
    rank: Compiled | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)  # the job's own, for `self.` and names
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # its tags as texts

    @classmethod
    def from_jdl(cls, doc: Jdl, request: JobRequest | None = None) -> Requirements:
        """Raises JdlValueError for a tag, or an expression, that means nothing."""
        asked = request or JobRequest.from_jdl(doc)
        found = recognise(_expressions(doc))
        return cls(
            ttl_seconds=_ttl_seconds(doc, asked, found),
            cpu_cores=asked.cpu_cores,
            disk_bytes=asked.workdir_bytes,
            memory_bytes=asked.memory_bytes if "MemorySize" in doc else None,
            price=_price(doc, found),
            user=Fields(doc).text("User"),
            partition=found.partition,
            ces=found.ces,
            excluded_ces=found.excluded_ces,
            close_ses=found.close_ses,
            excluded_close_ses=found.excluded_close_ses,
            packages=_distinct((*asked.packages, *found.packages)),
            platforms=Fields(doc).texts("Platform"),
            cvmfs_revision=found.cvmfs_revision,
            gpu=asked.gpu,
            conditions=tuple(compile_node(node) for node in found.rest),
            rank=_rank(doc),
            tags=_tags(doc, asked),
            values={key.lower(): doc.get_list(key) for key in doc},
        )

    def without_gpu(self) -> Requirements:
        """The same job on CPUs."""
        return replace(self, gpu=None)


def _expressions(doc: Jdl) -> list[Any]:
    """The conditions of `Requirements`, all of which must hold."""
    text = _expression_text(doc, "Requirements")
    return [] if text is None else list(conjuncts(_compiled(doc, "Requirements", text).node))


def _rank(doc: Jdl) -> Compiled | None:
    text = _expression_text(doc, "Rank")
    return None if text is None else _compiled(doc, "Rank", text)


def _expression_text(doc: Jdl, key: str) -> str | None:
    """A whole expression may also stand in quotes, whose inner ones then carry a backslash."""
    text = Fields(doc).text(key)
    if text is None or isinstance(doc.get(key), Expression):
        return text
    return text.replace('\\"', '"')


def _compiled(doc: Jdl, key: str, text: str) -> Compiled:
    try:
        return compile_text(text)
    except ExpressionError as error:
        place = doc.position(key)
        where = f"{doc.name}:{place.line}:{place.column}" if place else doc.name
        raise JdlValueError(
            f"{where}: `{key}`: {error}",
            key=key,
            value=text[:200],
            expected="an expression such as `other.TTL > 3600`",
            name=doc.name,
            line=place.line if place else None,
            column=place.column if place else None,
        ) from None


def _ttl_seconds(doc: Jdl, asked: JobRequest, found: Recognised) -> int:
    """The tag, else `other.TTL > N`, else what the broker takes."""
    if "TTL" in doc:
        return asked.ttl_seconds
    return min(found.ttl_seconds or MATCHING_TTL_SECONDS, MAX_TTL_SECONDS)


def _price(doc: Jdl, found: Recognised) -> float:
    value = doc.get("Price", found.price)
    return float(value) if isinstance(value, (int, float)) else DEFAULT_PRICE


def _tags(doc: Jdl, asked: JobRequest) -> dict[str, Any]:
    """What an expression sees of the job: its tags as they stand; cores and TTL as they count."""
    tags: dict[str, Any] = {"cpucores": asked.cpu_cores, "ttl": asked.ttl_seconds}
    for key in doc:
        if key.lower() not in tags:
            tags[key.lower()] = visible(_literal(doc[key]))
    return tags


def _literal(value: Value) -> Any:
    """`true` and `false` stand without quotes in a JDL; any other such text stays a text."""
    if isinstance(value, Expression) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
