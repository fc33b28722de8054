"""Finds the refused ones of a batch that a service refuses whole (pure)."""

from __future__ import annotations

from collections.abc import Sequence


class Bisection:
    """Says which part of a refused batch to send next, until all are sent or found refused.

    A binary search finds the first refused one, sending half a group at a time: a half that goes through is done, and
    its other half then must hold the refused one. What was set aside on the way is sent again as a whole. So each
    refused one of a batch of n costs at most ⌈log2 n⌉ + 1 calls.

    Whoever is the last one left is refused without being asked for alone, but only where two batches that held them
    were refused, one within the other. Where a single answer speaks against them it may have been a passing whim of the
    service, and they are asked for alone: nothing was set aside then, so that this costs no more.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self.refused: list[str] = []
        self._suspects: list[str] = list(keys)
        self._aside: list[str] = []
        self._asked: list[str] = list(keys)
        self._refusals = 1
        """How many batches, each within the one before, have been refused that hold the suspects."""

    def next(self) -> list[str]:
        """The keys to send next; empty when it is over."""
        if len(self._suspects) == 1 and (self._refusals > 1 or self._asked == self._suspects):
            self.refused.append(self._suspects.pop())
        if self._suspects:
            self._asked = self._suspects[: max(len(self._suspects) // 2, 1)]
        else:
            self._asked, self._aside, self._refusals = self._aside, [], 0
        return self._asked

    def answered(self, accepted: bool) -> None:
        """What became of the keys that ``next`` gave."""
        others = self._suspects[len(self._asked) :] if self._suspects else []
        if accepted:
            self._suspects = others
        else:
            self._suspects = self._asked
            self._aside = others + self._aside
            self._refusals += 1

    def unasked(self) -> list[str]:
        """Keys of which nothing is known yet, where the search has to stop early."""
        return self._suspects + self._aside
