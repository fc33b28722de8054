"""What a service did, counted by kind and operation, for tests to read."""

from __future__ import annotations

from collections import Counter


class Tally:
    """Counts of given kinds, each by the operation in hand."""

    def __init__(self, *kinds: str) -> None:
        self._counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
        self.operation = ""
        """The operation that is being answered."""

    def add(self, kind: str) -> None:
        self._counts[kind][self.operation] += 1

    def as_json(self) -> dict[str, dict[str, int]]:
        """By kind, then by operation: ``{"created": {"POST /people": 2}}``."""
        return {kind: dict(sorted(counts.items())) for kind, counts in self._counts.items()}
