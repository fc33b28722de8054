"""What happens after an answer: one background thread that runs actions when they are due."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

Action = Callable[[], None]

_LONGEST_WAIT = 0.25
"""Seconds between two looks at a clock that need not run like the machine's."""


class Later:
    """Actions by the time they are due (seconds since the epoch by ``clock``); they must not raise."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Action, bool]] = []
        self._order = itertools.count()
        self._running = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def at(self, due: float, action: Action, *, retry: bool = False) -> None:
        """Run an action at a time. ``retry``: it follows a failure, so ``run_pending`` leaves it for another day."""
        with self._changed:
            heapq.heappush(self._queue, (due, next(self._order), action, retry))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="kit-sandbox-later", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def run_pending(self) -> None:
        """Run all that waits, due or not, and what follows from it; return when none is running any more."""
        first = True
        while True:
            with self._changed:
                chosen = sorted(entry for entry in self._queue if first or not entry[3])
                self._queue = [entry for entry in self._queue if not first and entry[3]]
                heapq.heapify(self._queue)
                if not chosen:
                    if self._running:
                        self._changed.wait()
                        continue
                    return
            first = False
            for _, _, action, _ in chosen:
                action()

    def clear(self) -> None:
        """Forget what waits."""
        with self._changed:
            self._queue.clear()

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
                while not self._closed and not (self._queue and self._queue[0][0] <= self._clock()):
                    self._changed.wait(self._patience())
                if self._closed:
                    return
                _, _, action, _ = heapq.heappop(self._queue)
                self._running += 1
            try:
                action()
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

    def _patience(self) -> float | None:
        if not self._queue:
            return None
        return min(max(self._queue[0][0] - self._clock(), 0.005), _LONGEST_WAIT)
