"""What happens after an answer: one background thread that runs actions when they are due."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

Action = Callable[[], None]

_LONGEST_WAIT = 0.25
"""Seconds between two looks at a clock that need not run like the machine's."""


@dataclass(order=True, frozen=True)
class _Entry:
    due: float
    number: int
    action: Action = field(compare=False)
    retry: bool = field(compare=False)


class Later:
    """Actions by the time they are due (seconds since the epoch by ``clock``), one at a time; they must not raise."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: list[_Entry] = []
        self._order = itertools.count()
        self._running = False
        self._hurried = 0
        """How many callers wait for everything to be done at once."""
        self._closed = False
        self._thread: threading.Thread | None = None

    def at(self, due: float, action: Action, *, retry: bool = False) -> None:
        """Run an action at a time. ``retry``: it follows a failure, so ``run_pending`` does not bring it forward."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._queue, _Entry(due, next(self._order), action, retry))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="kit-sandbox-later", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def run_pending(self) -> None:
        """Have all that waits run, due or not, and what follows from it; return when it has."""
        with self._changed:
            self._hurried += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or not (self._running or self._next()))
            self._hurried -= 1

    def clear(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._queue.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Forget what waits and end the thread."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=15)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (entry := self._next()) is None:
                    self._changed.wait(self._patience())
                if self._closed or entry is None:
                    return
                self._take(entry)
                self._running = True
            try:
                entry.action()
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()

    def _next(self) -> _Entry | None:
        """What is to be run now."""
        now = self._clock()
        first = self._queue[0] if self._queue else None
        if first is None or first.due <= now or (self._hurried and not first.retry):
            return first
        return min((entry for entry in self._queue if not entry.retry), default=None) if self._hurried else None

    def _take(self, entry: _Entry) -> None:
        if entry is self._queue[0]:
            heapq.heappop(self._queue)
        else:
            self._queue.remove(entry)
            heapq.heapify(self._queue)

    def _patience(self) -> float | None:
        if not self._queue:
            return None
        return min(max(self._queue[0].due - self._clock(), 0.005), _LONGEST_WAIT)
