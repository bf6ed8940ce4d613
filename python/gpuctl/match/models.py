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

from gpuctl import _core

__all__ = ["WantedModel", "alternatives"]


class WantedModel:
    """A wanted name, taken apart by the core: `words` to find, `sizes_bytes` to compare with the
    card's memory.
    """

    def __init__(self, text: str) -> None:
        words, sizes = _core.wanted_model(text)
        self.text = text.strip()
        self.words: tuple[str, ...] = tuple(words)
        self.sizes_bytes: tuple[int, ...] = tuple(sizes)

    def in_name(self, name: str, vendor: str, with_sizes: bool = False) -> bool:
        """Whether the words are found in `name`; `with_sizes`: its sizes too, as words.

        The vendor's word may stand before a name that lacks it: "NVIDIA A100" fits `GA100 [A100
        PCIe 40GB]`.
        """
        return _core.model_in_name(self.text, name, vendor, with_sizes)


def alternatives(name: str) -> list[str]:
    """The names that a catalogue name stands for; a plain name stands for itself."""
    return _core.name_alternatives(name)
