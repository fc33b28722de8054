"""The documented rate, as a pull uses it: from the same slots as the push, to which it leaves some at any time."""

from __future__ import annotations

import time
from typing import Protocol

from django.db.models import Count, Q
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.models import Connection, Lane, OutboxRow, RateSlot
from mktg_integration.providers.base import Account, Provider
from mktg_integration.rates import PreparedSlots, SharedSlots, bucket_for

GRAB = 10
"""Slots taken at once, so that the statements for them are few beside those of their pages."""
LOOK_AGAIN_SECONDS = 0.5


class Pace(Protocol):
    def ready(self, requests: int) -> bool:
        """Whether so many requests may leave now; they must then be made."""

    def seconds_to_next(self) -> float:
        """Until it is worth asking again."""

    def close(self) -> None:
        """Give back what was not used."""


class Unpaced:
    """No rate is documented."""

    def ready(self, requests: int) -> bool:
        return True

    def seconds_to_next(self) -> float:
        return 0.0

    def close(self) -> None:
        return None


class Paced:
    """Slots shared with all processes of the site; ``prepared`` hands them to the fetching thread, without SQL."""

    def __init__(self, connection: Connection, shared: SharedSlots, prepared: PreparedSlots) -> None:
        self._connection = connection
        self._shared = shared
        self._prepared = prepared
        self._next_look = 0.0

    def ready(self, requests: int) -> bool:
        if self._prepared.available() < requests:
            self._grab(max(GRAB, requests))
        return self._prepared.available() >= requests and self._prepared.promise(requests) == requests

    def seconds_to_next(self) -> float:
        return max(self._next_look - time.monotonic(), 0.01)

    def close(self) -> None:
        self._give_back()
        unused = self._prepared.drain()
        if unused:
            self._shared.return_unused(unused)

    def _grab(self, wanted: int) -> None:
        if time.monotonic() < self._next_look:
            return
        self._give_back()
        most = self._free() - self._reserve()
        taken = self._shared.take(min(wanted, most))
        self._prepared.fill(taken)
        if len(taken) < wanted:
            self._next_look = time.monotonic() + min(max(self._shared.next_free(), 0.05), LOOK_AGAIN_SECONDS)

    def _free(self) -> int:
        slots = RateSlot.objects.filter(bucket=self._shared.bucket).aggregate(
            known=Count("key"), held=Count("key", filter=Q(free_at__gt=timezone.now()))
        )
        # Before their first use there are no rows: all are free.
        return max(int(slots["known"]), self._shared.requests) - int(slots["held"])

    def _reserve(self) -> int:
        due = OutboxRow.objects.filter(
            connection=self._connection, lane__in=[Lane.URGENT, Lane.LIVE], due_at__lte=timezone.now()
        )
        # While something of the push, other than a backfill, is due, more is left to it.
        share = settings.PULL_RESERVE_WHILE_DUE if due.exists() else settings.PULL_RESERVE
        # Whatever is to be left, a pull that could take nothing would wait for ever.
        most = max(self._shared.requests - GRAB, self._shared.requests // 2)
        return min(max(1, int(self._shared.requests * share)), most)

    def _give_back(self) -> None:
        ended = self._prepared.ended()
        if ended:
            self._shared.give_back(ended)


def pace_for(
    connection: Connection, account: Account, driver: Provider[object, object]
) -> tuple[Pace, PreparedSlots | None]:
    """The pace of a connection, and the limiter that its client is given (None: no rate is documented)."""
    rate = driver.rate_slots(account)
    if rate is None:
        return Unpaced(), None
    prepared = PreparedSlots(driver.name)
    shared = SharedSlots(bucket_for(account, driver), *rate, hold_seconds=settings.CALL_SECONDS)
    return Paced(connection, shared, prepared), prepared
