"""SiteMaps from files: one object, or a list of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from gpuctl.errors import EXIT_USAGE, GpuctlError, MalformedError
from gpuctl.jdl.files import read_file
from gpuctl.match.node import Node

__all__ = ["MAX_SITEMAP_BYTES", "load_nodes", "nodes_of_text"]

MAX_SITEMAP_BYTES = 64 << 20  # a list of ten thousand
_MAX_DIGITS = 4300  # Python's own limit since 3.11; without one a long number takes hours
_NOT_A_NUMBER = float("nan")  # what NaN and Infinity become: unknown, with a problem


def load_nodes(path: str | os.PathLike[str]) -> list[Node]:
    """Raises MalformedError where the file is no JSON of SiteMaps, or what fits."""
    name = os.fspath(path)
    return nodes_of_text(read_file(name, MAX_SITEMAP_BYTES, "a SiteMap"), name)


def nodes_of_text(text: str, name: str) -> list[Node]:
    try:
        document = json.loads(text, parse_int=_integer, parse_constant=lambda _: _NOT_A_NUMBER)
    except ValueError as error:
        raise _malformed(f"`{name}` is no JSON: {error}", name) from None
    except RecursionError:
        raise _malformed(f"`{name}` is nested deeper than any SiteMap", name) from None
    documents: list[Any] = document if isinstance(document, list) else [document]
    if not documents or not all(isinstance(each, dict) for each in documents):
        raise _malformed(f"`{name}` is no SiteMap: expected an object, or a list of them", name)
    plain = Path(name).stem or name
    return [
        Node.from_json(each, _numbered(plain, i, documents)) for i, each in enumerate(documents)
    ]


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _numbered(name: str, index: int, documents: list[Any]) -> str:
    return name if len(documents) == 1 else f"{name}[{index}]"


def _malformed(message: str, name: str) -> GpuctlError:
    return MalformedError(message, path=name, exit_code=EXIT_USAGE)
