"""Tables in memory that remember their recent past, so that a list can lag behind the writes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Past:
    """How far behind lists are (seconds), and by whose clock (seconds since the epoch)."""

    clock: Callable[[], float]
    lag: Callable[[], float]


class Table(Generic[T]):
    """Immutable rows by integer id, in the order of their ids."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._rows: dict[int, T] = {}
        self._ids: list[int] = []
        self._journal: deque[tuple[float, int, T | None]] = deque()

    def get(self, key: int) -> T | None:
        return self._rows.get(key)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return (self._rows[key] for key in self._ids)

    def items(self) -> Iterator[tuple[int, T]]:
        return ((key, self._rows[key]) for key in self._ids)

    def put(self, key: int, row: T) -> None:
        old = self._rows.get(key)
        self._remember(key, old)
        if old is None:
            insort(self._ids, key)
        self._rows[key] = row

    def remove(self, key: int) -> None:
        old = self._rows.pop(key, None)
        if old is None:
            return
        self._remember(key, old)
        del self._ids[bisect_left(self._ids, key)]

    def fill(self, rows: dict[int, T]) -> None:
        """Replace everything, without a past: how a world is loaded."""
        self._rows = rows
        self._ids = sorted(rows)
        self._journal.clear()

    def listed(self) -> View[T]:
        """The table as a list shows it at this moment."""
        lag = self._past.lag()
        if lag <= 0 or not self._journal:
            return View(self._rows, self._ids, {})
        since = self._past.clock() - lag
        # From the newest to the oldest, so that what stood before the first recent write is what remains.
        before = {key: old for at, key, old in reversed(self._journal) if at > since}
        gone = [key for key, old in before.items() if old is not None and key not in self._rows]
        ids = sorted([*self._ids, *gone]) if gone else self._ids
        return View(self._rows, ids, before)

    def _remember(self, key: int, old: T | None) -> None:
        lag = self._past.lag()
        if lag <= 0:
            self._journal.clear()
            return
        now = self._past.clock()
        while self._journal and self._journal[0][0] <= now - lag:
            self._journal.popleft()
        self._journal.append((now, key, old))


@dataclass(frozen=True)
class View(Generic[T]):
    """A table at one moment; ids of rows that are not visible yet may still be among ``ids``."""

    _rows: dict[int, T]
    ids: list[int]
    _before: dict[int, T | None]

    def get(self, key: int) -> T | None:
        return self._before[key] if key in self._before else self._rows.get(key)

    @property
    def outdated(self) -> list[int]:
        """Ids of rows that were written since."""
        return list(self._before)

    def __iter__(self) -> Iterator[T]:
        for key in self.ids:
            row = self.get(key)
            if row is not None:
                yield row


class Members:
    """Who is in each tag, form or sequence, and since when (an ISO 8601 time)."""

    def __init__(self, past: Past) -> None:
        self._past = past
        self._tables: dict[int, Table[str]] = {}

    def within(self, container: int) -> Table[str]:
        """Of one container: the time of joining by subscriber id."""
        if container not in self._tables:
            self._tables[container] = Table(self._past)
        return self._tables[container]

    def since(self, container: int, subscriber: int) -> str | None:
        table = self._tables.get(container)
        return table.get(subscriber) if table else None

    def containers(self) -> Iterator[tuple[int, Table[str]]]:
        return iter(sorted(self._tables.items()))

    def rows(self) -> Iterator[tuple[int, int, str]]:
        """All as (container, subscriber, time), in order."""
        for container, table in self.containers():
            for subscriber, at in table.items():
                yield container, subscriber, at
