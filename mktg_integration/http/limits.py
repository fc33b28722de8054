"""How many requests may leave, and when. The engines inject one that all processes of a site share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol


class RateLimiter(Protocol):
    """Grants the right to make one request. ``acquire`` may block; ``release`` comes after the answer (or its loss)."""

    def acquire(self) -> object:
        """Wait for a slot and return it."""

    def release(self, slot: object) -> None:
        """The request that held the slot has ended; the slot's window starts now."""


class Unlimited:
    """No rate is documented."""

    def acquire(self) -> object:
        return None

    def release(self, slot: object) -> None:
        return None


class RollingWindow:
    """At most ``requests`` in any rolling ``seconds``, within one process.

    A slot is free again ``seconds`` after its answer, not after its start: so latency cannot squeeze two windows'
    requests into one as the service counts them.
    """

    def __init__(
        self,
        requests: int,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._free_at: deque[float] = deque([float("-inf")] * requests)
        self._changed = threading.Condition()

    def acquire(self) -> object:
        with self._changed:
            while not self._free_at:
                self._changed.wait()
            free_at = self._free_at.popleft()
        wait = free_at - self._clock()
        if wait > 0:
            self._sleep(wait)
        return free_at

    def release(self, slot: object) -> None:
        with self._changed:
            self._free_at.append(self._clock() + self._seconds)
            self._changed.notify()
