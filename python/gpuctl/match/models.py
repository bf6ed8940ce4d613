"""Does a wanted model name fit one of a GPU's names.

The words of the wanted name must be whole alphanumeric tokens of one name, in order, ignoring case:
A10 is not A100, L4 is not L40S. A catalogue name lists boards with `/`, and words are never mixed
from two of them:
    Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB]   is   Vega 20 Radeon Pro VII
                                                          or   Vega 20 Radeon Instinct MI50 32GB
A later board may be short and then takes over what the first one begins with:
    Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]           is also   Navi 21 Radeon RX 6900 XT
A memory size in the wanted name is no word: it is compared with the card's memory, since a
catalogue has one name for cards of several sizes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, product

__all__ = ["WantedModel", "alternatives"]

_TOKEN = re.compile(r"[^\W_]+")
# 32GB, 32 GB, 32GiB, 16384MB, 80G; the G alone only up to three digits, since a Ryzen 5600G is a
# name
_SIZE = re.compile(
    r"(?<![^\W_])(?<![0-9]\.)(?:([0-9]+(?:\.[0-9]+)?) ?([MGT])i?B|([0-9]{1,3})G)(?![^\W_])",
    re.IGNORECASE,
)
_MIG_PROFILE = re.compile(r"(?<![^\W_])(?:[0-9]c\.)?[0-9]g\.[0-9]+gb(?![^\W_])", re.IGNORECASE)
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_POWERS = {"M": 2, "G": 3, "T": 4}
_MAX_ALTERNATIVES = 256  # a hostile name could ask for a product of many brackets


class WantedModel:
    """A wanted name, taken apart: `words` to find, `sizes_bytes` to compare with the card's
    memory.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        profile_free = _MIG_PROFILE.sub(lambda match: "_" * len(match.group()), self.text)
        spans = [match.span() for match in _SIZE.finditer(profile_free)]
        self.sizes_bytes: tuple[int, ...] = tuple(
            _size_bytes(m) for m in _SIZE.finditer(profile_free)
        )
        self.words: tuple[str, ...] = tuple(tokens(_without(self.text, spans)))
        self.all_words: tuple[str, ...] = tuple(tokens(self.text))

    def in_name(self, name: str, vendor: str, with_sizes: bool = False) -> bool:
        """Whether the words are found in `name`; `with_sizes`: its sizes too, as words.

        The vendor's word may stand before a name that lacks it: "NVIDIA A100" fits `GA100 [A100
        PCIe 40GB]`.
        """
        words = self.all_words if with_sizes else self.words
        if self.text.lower() == name.strip().lower():
            return True
        return any(_in_order(words, [vendor, *tokens(text)]) for text in alternatives(name))


def tokens(text: str) -> list[str]:
    return [token.lower() for token in _TOKEN.findall(text)]


def alternatives(name: str) -> Iterator[str]:
    """The names that a catalogue name stands for; a plain name stands for itself."""
    pieces = _BRACKETS.split(name)  # outside, inside, outside, ...
    return islice(
        (" ".join(choice) for choice in product(*map(_boards, pieces))), _MAX_ALTERNATIVES
    )


def _boards(piece: str) -> list[str]:
    boards = [board.strip() for board in piece.split("/")]
    first = boards[0].split()
    return [boards[0], *(_completed(board.split(), first) for board in boards[1:])]


def _completed(board: Sequence[str], first: Sequence[str]) -> str:
    """A board that begins with a number goes on from the brand of the first one (`Radeon RX`); one
    that has no number at all (`Max-Q`) replaces the first one's last word; any other stands for
    itself.
    """
    numbered = [index for index, word in enumerate(first) if _has_digit(word)]
    if board and _has_digit(board[0]):
        prefix = first[: numbered[-1]] if numbered else first
        return " ".join([*prefix, *board])
    if not any(map(_has_digit, board)) and numbered:
        return " ".join([*first[:-1], *board])
    return " ".join(board)


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _in_order(words: Sequence[str], among: Sequence[str]) -> bool:
    rest = iter(among)
    return all(word in rest for word in words)


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]} {text[end:]}"
    return text


def _size_bytes(match: re.Match[str]) -> int:
    if match.group(3):
        return int(match.group(3)) * 1024**3
    return int(float(match.group(1)) * 1024 ** _POWERS[match.group(2).upper()])
