"""The documented rate, as the draining thread keeps it: slots are taken and given back in few statements."""

from __future__ import annotations

import time

from mktg_integration.rates import PreparedSlots, SharedSlots

GRAB = 50
SHARE = 4
"""At least so many slots are taken and given back at once, or this part of the limit where that is more: a statement
serves many calls, and four processes still find work."""


class Unpaced:
    """No rate is documented."""

    def ready(self, wanted: int) -> int:
        return wanted

    def seconds_to_next(self) -> float:
        return 0.0

    def close(self) -> None:
        return None


class Paced:
    """Slots shared by all processes of the site. ``prepared`` hands them to the pool's threads, without SQL."""

    def __init__(self, shared: SharedSlots, prepared: PreparedSlots) -> None:
        self._shared = shared
        self._prepared = prepared
        self._none_before = 0.0
        self._at_once = max(GRAB, shared.requests // SHARE)

    def ready(self, wanted: int) -> int:
        """How many calls may start now, up to ``wanted``; their slots are set aside for them."""
        if self._prepared.available() < wanted and time.monotonic() >= self._none_before:
            self._give_back()
            asked = max(self._at_once, wanted) - self._prepared.available()
            taken = self._shared.take(asked)
            self._prepared.fill(taken)
            if len(taken) < asked:
                self._none_before = time.monotonic() + min(self._shared.next_free(), 0.25)
        elif self._prepared.waiting() >= self._at_once:
            self._give_back()
        return self._prepared.promise(wanted)

    def seconds_to_next(self) -> float:
        """Until a slot is free; 0 where one is at hand."""
        self._give_back()
        if self._prepared.available():
            return 0.0
        self._none_before = 0.0
        return self._shared.next_free()

    def close(self) -> None:
        """Give all slots back: the used ones by the time of their answers, the others at once."""
        self._give_back()
        unused = self._prepared.drain()
        if unused:
            self._shared.return_unused(unused)

    def _give_back(self) -> None:
        ended = self._prepared.ended()
        if ended:
            self._shared.give_back(ended)
