"""The services' rolling-window rate limits, shared by all processes of the site through its own database.

One row is the right to one request in a window. A slot is free again one window after the *answer* of the request that
it carried: so latency cannot squeeze the requests of two windows into one as the service counts them. All times are the
database's. Call this outside transactions: one would keep its slots from the other processes until it ends.
"""

# ruff: noqa: S608 (what is formatted into SQL here are this module's own words and quoted names of columns)

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

from django.db import connections, router
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.conf import settings
from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import RateLimiter, Unlimited
from mktg_integration.models import RateSlot
from mktg_integration.providers.base import Account, Provider

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SLOTS_A_STATEMENT = 200
HELD_SECONDS = 2.0
"""A slot in another drain's hands is looked at again after this time: it may come back long before its hold ends."""


class Slot(NamedTuple):
    """A slot in this process's hands. ``holder`` names the taking, ``until`` (monotonic) is when it must be in use."""

    key: str
    holder: str
    until: float


def bucket_for(account: Account, provider: Provider[Any, Any]) -> str:
    """The name under which all users of one credential share its slots: a keyed hash, which gives nothing away."""
    told = json.dumps([provider.name, account.base_url, sorted(provider.rate_credentials(account).items())])
    return hmac.new(settings.hash_key(), b"rate" + told.encode(), hashlib.sha256).hexdigest()[:40]


def limiter_for(account: Account, provider: Provider[Any, Any]) -> RateLimiter:
    """The limiter of a one-off client: each call waits for a slot, at most ``CALL_SECONDS``."""
    rate = provider.rate_slots(account)
    if rate is None:
        return Unlimited()
    slots = SharedSlots(bucket_for(account, provider), *rate, hold_seconds=settings.CALL_SECONDS)
    return SharedLimiter(slots, service=provider.name, wait_seconds=settings.CALL_SECONDS)


class SharedSlots:
    """``requests`` slots of a rolling window of ``seconds``, shared by all processes under the name ``bucket``.

    A slot that is taken must be in use within ``hold_seconds``. Should its process die, it is free again one window
    after the last answer that it can have had.
    """

    def __init__(self, bucket: str, requests: int, seconds: float, hold_seconds: float) -> None:
        self.bucket = bucket
        self.requests = requests
        self.seconds = seconds
        self.hold_seconds = hold_seconds
        self._alias = router.db_for_write(RateSlot)
        self._sql = _Sql.of(self._alias)

    def take(self, n: int) -> list[Slot]:
        """Up to ``n`` free slots, in one statement (two on MySQL and MariaDB)."""
        if n <= 0:
            return []
        fresh = _sized.get((self._alias, self.bucket)) == self.requests or self._resize()
        slots = self._take(n)
        if len(slots) < n and fresh and self._is_short():
            self._resize()
            slots += self._take(n - len(slots))
        return slots

    def give_back(self, ended: Mapping[Slot, float]) -> None:
        """Slots whose requests were answered (or lost) so many seconds ago: each is free one window after that."""
        asked = time.monotonic()
        slots = list(ended)
        for start in range(0, len(slots), SLOTS_A_STATEMENT):
            late = time.monotonic() - asked
            part = slots[start : start + SLOTS_A_STATEMENT]
            self._free(part, [self.seconds - ended[slot] - late for slot in part])

    def return_unused(self, slots: Iterable[Slot]) -> None:
        """Slots that no request was made with: free at once."""
        unused = list(slots)
        for start in range(0, len(unused), SLOTS_A_STATEMENT):
            part = unused[start : start + SLOTS_A_STATEMENT]
            self._free(part, [0.0] * len(part))

    def next_free(self) -> float:
        """Seconds until a slot may be free, 0 where one is."""
        now, params = self._sql.seconds_until("free_at")
        rows = self._sql.run(
            f"SELECT holder <> '', MIN({now}) FROM {self._sql.table} WHERE bucket = %s GROUP BY holder <> ''",
            [*params, self.bucket],
        )
        waits = [min(float(wait), HELD_SECONDS) if held else float(wait) for held, wait in rows]
        return max(0.0, min(waits, default=0.0))

    def _take(self, n: int) -> list[Slot]:
        holder = secrets.token_hex(8)
        until = time.monotonic() + self.hold_seconds
        # A request that starts at the last moment may take CALL_SECONDS; only then does its window begin.
        held = self.seconds + self.hold_seconds + settings.CALL_SECONDS
        keys = self._sql.take(self.bucket, n, held, holder)
        return [Slot(key, holder, until) for key in keys]

    def _free(self, slots: list[Slot], in_seconds: list[float]) -> None:
        whens: list[Any] = []
        case = ""
        for slot, seconds in zip(slots, in_seconds, strict=True):
            at, params = self._sql.at(seconds)
            case += f" WHEN %s THEN {at}"
            whens += [slot.key, *params]
        # The holder is compared too: a slot that was held too long belongs to somebody else by now.
        mine = " OR ".join([f"({self._sql.key} = %s AND holder = %s)"] * len(slots))
        free_at = f"CASE {self._sql.key}{case} ELSE free_at END"
        self._sql.run(
            f"UPDATE {self._sql.table} SET free_at = {free_at}, holder = '' WHERE {mine}",
            [*whens, *(value for slot in slots for value in (slot.key, slot.holder))],
        )

    def _is_short(self) -> bool:
        return RateSlot.objects.using(self._alias).filter(bucket=self.bucket).count() < self.requests

    def _resize(self) -> bool:
        """Make the rows of this bucket as many as the limit is. False, so that the caller knows it was just done."""
        rows = RateSlot.objects.using(self._alias).filter(bucket=self.bucket)
        keys = set(rows.values_list("key", flat=True))
        if len(keys) > self.requests:
            # Of too many the longest unused go: the others still tell of all requests that count.
            oldest = list(rows.order_by("free_at").values_list("key", "free_at")[: len(keys) - self.requests])
            rows.filter(key__in=[key for key, _ in oldest], holder="", free_at__lte=oldest[-1][1]).delete()
        wanted = (f"{self.bucket}:{number}" for number in range(self.requests))
        missing = [key for key in wanted if key not in keys][: max(0, self.requests - len(keys))]
        if missing:
            new = [RateSlot(key=key, bucket=self.bucket, free_at=LONG_AGO) for key in missing]
            RateSlot.objects.using(self._alias).bulk_create(new, ignore_conflicts=True)
        _sized[self._alias, self.bucket] = self.requests
        return False


_sized: dict[tuple[str, str], int] = {}
"""The limit that this process has last seen the rows of a bucket made to."""


class SharedLimiter:
    """A ``RateLimiter`` for one-off calls: each waits in the database for its slot."""

    def __init__(self, slots: SharedSlots, *, service: str, wait_seconds: float) -> None:
        self._slots = slots
        self._service = service
        self._wait_seconds = wait_seconds

    def acquire(self) -> object:
        """Raises ``ServiceError`` (WAIT, with the seconds to wait) where no slot comes free within ``wait_seconds``."""
        give_up_at = time.monotonic() + self._wait_seconds
        while True:
            taken = self._slots.take(1)
            if taken:
                return taken[0]
            wait = self._slots.next_free()
            if time.monotonic() + wait > give_up_at:
                raise no_slot(self._service, wait)
            time.sleep(max(wait, 0.01))

    def release(self, slot: object) -> None:
        self._slots.give_back({cast(Slot, slot): 0.0})


class PreparedSlots:
    """A ``RateLimiter`` that only hands out what it was filled with: pool threads use it and touch no database."""

    def __init__(self, service: str = "") -> None:
        self._service = service
        self._lock = threading.Lock()
        self._free: deque[Slot] = deque()
        self._promised: deque[Slot] = deque()
        self._ended: dict[Slot, float] = {}

    def fill(self, slots: Iterable[Slot]) -> None:
        with self._lock:
            self._free.extend(slots)

    def available(self) -> int:
        """How many more calls may be promised a slot now."""
        with self._lock:
            self._forget_overdue()
            return len(self._free)

    def promise(self, n: int) -> int:
        """Set up to ``n`` slots aside for calls that are about to be handed to the pool. How many there were."""
        with self._lock:
            self._forget_overdue()
            promised = min(n, len(self._free))
            self._promised.extend(self._free.popleft() for _ in range(promised))
            return promised

    def acquire(self) -> object:
        """Raises ``ServiceError`` (WAIT) where none is left."""
        with self._lock:
            self._forget_overdue()
            if not self._promised and not self._free:
                raise no_slot(self._service, None)
            return self._promised.popleft() if self._promised else self._free.popleft()

    def release(self, slot: object) -> None:
        with self._lock:
            self._ended[cast(Slot, slot)] = time.monotonic()

    def waiting(self) -> int:
        """How many slots have ended and wait to be given back."""
        with self._lock:
            return len(self._ended)

    def ended(self) -> dict[Slot, float]:
        """The slots whose requests have ended, with the seconds since; each is told once."""
        with self._lock:
            ended, self._ended = self._ended, {}
            now = time.monotonic()
            return {slot: now - at for slot, at in ended.items()}

    def drain(self) -> list[Slot]:
        """Take back what was not used."""
        with self._lock:
            unused = [*self._promised, *self._free]
            self._promised.clear()
            self._free.clear()
            return unused

    def _forget_overdue(self) -> None:
        # Their rows come free by themselves, so a request now could be one too many.
        now = time.monotonic()
        for slots in (self._promised, self._free):
            while slots and slots[0].until < now:
                slots.popleft()


def no_slot(service: str, seconds: float | None) -> ServiceError:
    return ServiceError(
        service=service,
        endpoint="(not called)",
        action=Action.WAIT,
        code="rate_used_up",
        messages=("the documented rate is used up",),
        retry_after=seconds,
    )


class _Sql:
    """What the databases say differently. ``key`` is a reserved word for some."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.connection = connections[alias]
        self.table = self.connection.ops.quote_name(RateSlot._meta.db_table)
        self.key = self.connection.ops.quote_name("key")

    @classmethod
    def of(cls, alias: str) -> _Sql:
        vendors = {"postgresql": _PostgreSQL, "mysql": _MySQL, "sqlite": _SQLite}
        return vendors[sql.vendor(connections[alias])](alias)

    def run(self, statement: str, params: list[Any]) -> list[tuple[Any, ...]]:
        def once() -> list[tuple[Any, ...]]:
            with connections[self.alias].cursor() as cursor:
                cursor.execute(statement, params)
                return list(cursor.fetchall()) if cursor.description else []

        return sql.retrying(once, using=self.alias)

    def now(self) -> tuple[str, list[Any]]:
        return sql.now(self.connection), []

    def at(self, seconds: float) -> tuple[str, list[Any]]:
        """The time so many seconds from now."""
        return sql.later(self.connection, "%s"), [seconds]

    def seconds_until(self, column: str) -> tuple[str, list[Any]]:
        raise NotImplementedError

    def take(self, bucket: str, n: int, held: float, holder: str) -> list[str]:
        """The keys of up to ``n`` slots that were free and are now ``holder``'s for ``held`` seconds."""
        raise NotImplementedError


class _PostgreSQL(_Sql):
    def seconds_until(self, column: str) -> tuple[str, list[Any]]:
        now, params = self.now()
        return f"EXTRACT(EPOCH FROM {column} - {now})", params

    def take(self, bucket: str, n: int, held: float, holder: str) -> list[str]:
        now, present = self.now()
        at, params = self.at(held)
        # Materialized, because a planner may run a sub-query again for each row and so lock more than n.
        statement = f"""
            WITH free AS MATERIALIZED (
                SELECT {self.key} FROM {self.table} WHERE bucket = %s AND free_at <= {now}
                ORDER BY free_at LIMIT %s FOR UPDATE SKIP LOCKED
            )
            UPDATE {self.table} AS slot SET free_at = {at}, holder = %s FROM free
            WHERE slot.{self.key} = free.{self.key} RETURNING slot.{self.key}
        """
        return [key for (key,) in self.run(statement, [bucket, *present, n, *params, holder])]


class _SQLite(_Sql):
    """Times come from the process, whose clock is the database's: to the microsecond, where SQLite's own functions know
    milliseconds, and taken before a statement waits for its lock."""

    def now(self) -> tuple[str, list[Any]]:
        return self.at(0)

    def at(self, seconds: float) -> tuple[str, list[Any]]:
        at = timezone.now() + timedelta(seconds=seconds)
        return "%s", [self.connection.ops.adapt_datetimefield_value(at)]

    def seconds_until(self, column: str) -> tuple[str, list[Any]]:
        now, params = self.now()
        return f"(julianday({column}) - julianday({now})) * 86400.0", params

    def take(self, bucket: str, n: int, held: float, holder: str) -> list[str]:
        now, present = self.now()
        at, params = self.at(held)
        statement = f"""
            UPDATE {self.table} SET free_at = {at}, holder = %s WHERE {self.key} IN (
                SELECT {self.key} FROM {self.table} WHERE bucket = %s AND free_at <= {now} ORDER BY free_at LIMIT %s
            ) RETURNING {self.key}
        """
        return [key for (key,) in self.run(statement, [*params, holder, bucket, *present, n])]


class _MySQL(_Sql):
    def seconds_until(self, column: str) -> tuple[str, list[Any]]:
        now, params = self.now()
        return f"TIMESTAMPDIFF(MICROSECOND, {now}, {column}) / 1000000.0", params

    def take(self, bucket: str, n: int, held: float, holder: str) -> list[str]:
        # No RETURNING here. The rows of a bucket are locked in the order of their keys, as give_back locks them, so
        # that nobody deadlocks.
        now, present = self.now()
        at, params = self.at(held)
        self.run(
            f"UPDATE {self.table} SET free_at = {at}, holder = %s "
            f"WHERE bucket = %s AND free_at <= {now} ORDER BY free_at LIMIT %s",
            [*params, holder, bucket, *present, n],
        )
        statement = f"SELECT {self.key} FROM {self.table} WHERE bucket = %s AND holder = %s"
        return [key for (key,) in self.run(statement, [bucket, holder])]
