"""Typed reading of single tags, with errors and warnings that point at the line of the JDL.

A value that cannot mean anything is a JdlValueError that names tag, line, value and what is
accepted; a value that is silly but harmless is replaced by what JAliEn would use, with a warning.
"""

from __future__ import annotations

import re
from typing import Callable, NoReturn

from gpuctl.errors import UsageError
from gpuctl.jdl.document import Jdl, JdlWarning
from gpuctl.jdl.errors import JdlValueError, shown

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}\Z")
_FLAG_FORM = "`true` or `false`"


class Fields:
    """Reads the tags of one document; `warnings` grows as they are read."""

    def __init__(self, doc: Jdl) -> None:
        self.doc = doc
        self.warnings: list[JdlWarning] = []

    def text(self, key: str) -> str | None:
        """The value as one text without outer blanks; None when absent or empty."""
        return (self.doc.get_text(key) or "").strip() or None

    def texts(self, key: str) -> tuple[str, ...]:
        """The elements that are not blank."""
        return tuple(element for element in self.doc.get_list(key) if element.strip())

    def whole(self, key: str, expected: str) -> int | None:
        """A whole number, quoted or not; a fraction is cut off as in JAliEn, with a warning."""
        text = self._given(key, expected)
        value = self.doc.get(key)
        if text is None:
            return None
        if isinstance(value, float):
            if not value.is_integer():
                self.warn(key, f"`{key}` is {text}, and only its whole part {int(value)} counts")
            return int(value)
        return int(text) if _WHOLE.match(text) else self.refuse(key, text, expected)

    def flag(self, key: str, default: bool) -> bool:
        text = self._given(key, _FLAG_FORM)
        try:
            return default if text is None else self.doc.get_bool(key, default)
        except UsageError:
            self.refuse(key, text or "", _FLAG_FORM)

    def size(self, key: str, parse: Callable[[str], int], expected: str) -> int | None:
        """Bytes, through one of the parsers of `units`."""
        text = self._given(key, expected)
        if text is None:
            return None
        try:
            return parse(self._without_zero_fraction(key, text))
        except UsageError:
            self.refuse(key, text, expected)

    def refuse(self, key: str, value: str, expected: str) -> NoReturn:
        place = self.doc.position(key)
        where = f"{self.doc.name}:{place.line}:{place.column}: " if place else f"{self.doc.name}: "
        what = f"`{key}` is {shown(value)}" if key in self.doc else f"there is no `{key}`"
        raise JdlValueError(
            f"{where}{what}, give {expected}",
            key=key,
            value=value,
            expected=expected,
            name=self.doc.name,
            line=place.line if place else None,
            column=place.column if place else None,
        )

    def warn(self, key: str, text: str) -> None:
        line, column = self.doc.position(key) or (0, 0)
        self.warnings.append(JdlWarning(line, column, text))

    def _given(self, key: str, expected: str) -> str | None:
        """The text of a tag; one that is there but empty is refused, that is not absence."""
        if key not in self.doc:
            return None
        return self.text(key) or self.refuse(key, "", expected)

    def _without_zero_fraction(self, key: str, text: str) -> str:
        """`8e3` and `8000.0` are numbers to the parser of JDL; a size wants `8000`."""
        value = self.doc.get(key)
        return str(int(value)) if isinstance(value, float) and value.is_integer() else text
