"""How much one evaluation may cost, so that no expression takes the node's time.

Whatever grows with the data (elements of lists, records of `countMatches`, steps of a regular
expression) is spent from it; once it is gone, the function that asked is ERROR.
"""

from __future__ import annotations

from gpuctl.match.expression.pattern import Pattern

__all__ = ["STEPS", "Budget"]

STEPS = 1_000_000  # below a second of any one kind of work
_PATTERNS = 64  # compiled ones that are kept


class Budget:
    """Of one compiled expression; also keeps its compiled patterns."""

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps
        self.left = steps
        self._patterns: dict[tuple[str, bool], Pattern] = {}

    def spend(self, steps: int) -> bool:
        """False: there is not enough left, now or later."""
        self.left -= steps + 1
        return self.left >= 0

    def pattern(self, text: str, ignoring_case: bool) -> Pattern:
        """Raises PatternError."""
        key = (text, ignoring_case)
        found = self._patterns.get(key)
        if found is None:
            self.spend(len(text))
            if len(self._patterns) >= _PATTERNS:
                self._patterns.clear()
            found = self._patterns[key] = Pattern(text, ignoring_case)
        return found
