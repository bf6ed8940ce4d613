"""Expressions of the subset that JDL `Requirements` share with HTCondor's ClassAds, from a seed.

`expressions(n)` gives distinct texts of all operators and functions, over literals of every kind
and the attributes of `NODE` (as `other.X`) and `JOB` (as bare names), some of which do not exist.
Left out is only what DIFFERENCES in test_expression_classad.py lists with its reason.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Callable

__all__ = ["JOB", "NODE", "expressions"]

NODE: dict[str, Any] = {
    "TTL": 80000,
    "Disk": 51200000,
    "CPUCores": 8,
    "Load": 0.75,
    "CE": "ALICE::CERN::EL9",
    "Platform": "el9-x86_64",
    "Partitions": ["prod", "Train", "multicore_8"],
    "Numbers": [3, 1.5, -2],
    "Mixed": [1, "one", True],
    "Nothing": [],
    "Isolated": True,
    "Old": False,
    "GPUs": [
        {"vendor": "amd", "memory": 32, "model": "Radeon Instinct MI50 32GB", "usable": True},
        {"vendor": "amd", "memory": 16, "model": "MI50", "usable": False},
        {"vendor": "nvidia", "memory": 80, "model": "A100", "usable": True, "cc": 8.0},
    ],
    "Record": {"state": "ok", "count": 2},
}
JOB: dict[str, Any] = {
    "Cores": 4,
    "User": "alidaq",
    "Price": 1.5,
    "Wanted": "el9-x86_64",
    "Gpu": True,
}

_NUMBERS = ("0", "1", "-3", "8", "80000", "2.5", "7.0", "1e3", ".5", "9223372036854775807")
_TEXTS: tuple[str, ...] = (
    '""',
    '"a"',
    '"A"',
    '"prod"',
    '"PROD"',
    '"train"',
    '"el9-x86_64"',
    '"amd"',
    '"12"',
)
_TEXTS += ('"el[89].*"', '"^ALICE::"', '"x86_64$"', '"a\\"b"', '"one"', '"ok"', '"true"')
_SPECIAL = ("true", "false", "undefined", "error", "True", "UNDEFINED")
_LISTS = ("{}", "{1, 2.0, 3}", '{"prod", "x"}', "{true, 0}", '{"a", 1, undefined}', "{error, 1}")
_NODE_NAMES = tuple(f"other.{name}" for name in (*NODE, "Missing", "ttl", "CPUCORES"))
_JOB_NAMES = (*JOB, "Absent", "cores")
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "=?=", "=!=", "is", "isnt")
_ARITHMETIC = ("+", "-", "*", "/", "%")


class _Generator:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def any(self, depth: int) -> str:
        """An expression of any kind."""
        if depth <= 0:
            return self.leaf()
        return self._random.choice(self._makers)(self, depth - 1)

    def leaf(self) -> str:
        kinds = (_NUMBERS, _TEXTS, _SPECIAL, _LISTS, _NODE_NAMES, _NODE_NAMES, _JOB_NAMES)
        return self._random.choice(self._random.choice(kinds))

    def enclosed(self, depth: int) -> str:
        text = self.any(depth)
        simple = text.replace(".", "").replace("_", "").isalnum()
        return text if simple else f"({text})"

    def typed(self, kind: str, depth: int) -> str:
        """Mostly of the kind that makes sense there, so that not all is an error."""
        if self._random.random() < 0.15:
            return self.enclosed(depth)
        choices = {
            "number": (*_NUMBERS, "other.TTL", "other.Load", "other.CPUCores", "Cores", "Price"),
            "text": (*_TEXTS, "other.CE", "other.Platform", "User", "Wanted"),
            "list": (*_LISTS, "other.Partitions", "other.Numbers", "other.Mixed", "other.Nothing"),
            "truth": ("true", "false", "undefined", "other.Isolated", "other.Old", "Gpu"),
        }
        leaf = self._random.choice(choices[kind])
        if kind == "truth" and depth > 0 and self._random.random() < 0.7:
            return f"({self.comparison(depth - 1)})"
        return leaf

    def comparison(self, depth: int) -> str:
        kind = self._random.choice(("number", "text", "truth"))
        sign = self._random.choice(_COMPARISONS)
        return f"{self.typed(kind, depth)} {sign} {self.typed(kind, depth)}"

    def logic(self, depth: int) -> str:
        sign = self._random.choice((" && ", " || "))
        count = self._random.randint(2, 4)
        return sign.join(self.typed("truth", depth) for _ in range(count))

    def arithmetic(self, depth: int) -> str:
        signs = [self._random.choice(_ARITHMETIC) for _ in range(self._random.randint(1, 3))]
        words = [self.typed("number", depth)]
        for sign in signs:
            words += [sign, self.typed("number", depth)]
        return " ".join(words)

    def prefix(self, depth: int) -> str:
        sign = self._random.choice(("!", "-", "+", "!!"))
        return f"{sign}{self.enclosed(depth)}"

    def ternary(self, depth: int) -> str:
        one, two = self.enclosed(depth), self.enclosed(depth)
        if self._random.random() < 0.3:
            return f"{one} ?: {two}"
        return f"{self.typed('truth', depth)} ? {one} : {two}"

    def member(self, depth: int) -> str:
        name = self._random.choice(("member", "identicalMember"))
        return f"{name}({self.typed('text', depth)}, {self.typed('list', depth)})"

    def regexp(self, depth: int) -> str:
        pattern, text = self.typed("text", depth), self.typed("text", depth)
        if self._random.random() < 0.3:
            return f'regexpMember({pattern}, {self.typed("list", depth)}, "i")'
        option = self._random.choice(("", ', "i"', ', ""'))
        return f"regexp({pattern}, {text}{option})"

    def predicate(self, depth: int) -> str:
        names = ("isUndefined", "isError", "isString", "isInteger", "isReal", "isBoolean", "isList")
        return f"{self._random.choice(names)}({self.any(depth)})"

    def text_function(self, depth: int) -> str:
        one, two = self.text(depth), self.text(depth)
        number = self._random.choice(("0", "1", "-2", "100"))
        return self._random.choice(
            (
                f"toLower({one})",
                f"toUpper({one})",
                f"size({one})",
                f"strcat({one}, {two})",
                f"strcmp({one}, {two})",
                f"stricmp({one}, {two})",
                f"substr({one}, {number})",
                f"substr({one}, {number}, {self._random.choice(('0', '2', '-1'))})",
                f"stringListSize({one})",
                f'stringListMember("a", {self._random.choice(_TEXTS)}, ",")',
                f'stringListIMember({one}, "One, a,EL9-x86_64")',
            )
        )

    def text(self, depth: int) -> str:
        """No record: what its text is, is one of the differences."""
        text = self.typed("text", depth)
        return '"a"' if "GPUs" in text or "Record" in text else text

    def number_function(self, depth: int) -> str:
        name = self._random.choice(("floor", "ceiling", "round", "int", "real", "bool"))
        return f"{name}({self.typed('number', depth)})"

    def list_function(self, depth: int) -> str:
        items = self.typed("list", depth)
        sign = self._random.choice(_COMPARISONS[:6])
        name = self._random.choice(("anyCompare", "allCompare"))
        return self._random.choice(
            (
                f"size({items})",
                f"min({items})",
                f"max({items})",
                f"sum({items})",
                f'{name}("{sign}", {items}, {self.typed("number", depth)})',
                f"{items}[{self._random.choice(('0', '1', '9', '-1', 'undefined'))}]",
            )
        )

    def choice(self, depth: int) -> str:
        parts = (self.typed("truth", depth), self.any(depth), self.any(depth))
        return f"ifThenElse({', '.join(parts)})"

    def record(self, depth: int) -> str:
        key = self._random.choice(("vendor", "memory", "model", "Vendor", "absent"))
        return self._random.choice(
            (
                f"other.GPUs[{self._random.choice('0123')}].{key}",
                f"other.GPUs.{key}",
                f"member({self.typed('text', depth)}, other.GPUs.vendor)",
                "other.Record.state",
                "other.Record.absent",
                'other.Record["count"]',
                "other.Record.state.deeper",
            )
        )

    def count(self, depth: int) -> str:
        """Bare names are the record's; what it has not is the job's."""
        tests = (
            'vendor == "amd"',
            "memory >= 32",
            "usable",
            'regexp("MI50", model)',
            "cc > 7.5",
            "absent",
            "memory > Cores * 8",
            'vendor == "amd" && usable',
            "!usable || memory > 64",
        )
        sign = self._random.choice(_COMPARISONS[:6])
        test = self._random.choice(tests)
        return f"countMatches({test}, other.GPUs) {sign} {self._random.randint(0, 3)}"

    _makers: tuple[Callable[[_Generator, int], str], ...] = (
        *(comparison, comparison, logic, logic, arithmetic, prefix, ternary, member, regexp),
        *(predicate, text_function, number_function, list_function, choice, record, count),
    )


def expressions(count: int, seed: int = 20260101) -> Iterator[str]:
    generator = _Generator(seed)
    seen: set[str] = set()
    while len(seen) < count:
        text = generator.any(1 + len(seen) % 4)
        if text not in seen and len(text) < 2000:
            seen.add(text)
            yield text
