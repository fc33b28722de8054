"""SQLite lets one write at a time: a writer that comes again and again starves a site's saves."""

from __future__ import annotations

import sys
import time
from types import TracebackType

SHORT_SECONDS = 0.010
"""What a write transaction should take; 0.020 is the most."""
LONGEST_SECONDS = 0.1
LEAST_ROWS = 334
"""Fewer at once would make many statements of one page."""


class Breath:
    """Around each write transaction: afterwards stays off the lock as long as it was held, and learns how many rows go
    into one that is short. ``limited`` is False where the database locks rows, not itself: then neither happens."""

    def __init__(self, *, limited: bool, rows: int) -> None:
        self._limited = limited
        self._most = rows
        self.rows = LEAST_ROWS if limited else rows
        self._since = 0.0
        self._worked = 0.0

    def __enter__(self) -> Breath:
        self.locked()
        return self

    def locked(self) -> None:
        """The lock was waited for until now."""
        self._since = time.monotonic()
        self._worked = time.thread_time()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._limited and error is None:
            # A statement by itself may have waited for its lock: that is not paid back without end.
            time.sleep(min(self._held(), LONGEST_SECONDS))

    def _held(self) -> float:
        """Seconds. The database's lock is free again before this thread has the interpreter's, for which it waits up
        to the interval in which threads take turns, where another one works."""
        return max(time.thread_time() - self._worked, time.monotonic() - self._since - sys.getswitchinterval())

    def learn(self, rows: int) -> None:
        """So many rows were just written; called inside."""
        if not self._limited or rows < LEAST_ROWS:
            return
        took = self._held()
        if took > SHORT_SECONDS:
            self.rows = max(LEAST_ROWS, int(self.rows * 0.7))
        elif took < SHORT_SECONDS / 2 and rows >= self.rows:
            self.rows = min(self._most, int(self.rows * 1.3) + 1)
