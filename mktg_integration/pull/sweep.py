"""What a complete full reading did not see is gone, unless it is so much that a person has to say so."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from typing import Any

from django.db import router

from mktg_integration import sql
from mktg_integration.conf import settings
from mktg_integration.mirror import news
from mktg_integration.models import Connection, PullPage, Tagging
from mktg_integration.models.mirror import Mirrored
from mktg_integration.pull.breath import Breath
from mktg_integration.pull.reading import HASH_BYTES, Reading, hashed
from mktg_integration.pull.streams import FOLLOWERS
from mktg_integration.signals import DELETIONS, connection_needs_attention, tag_removed

SCAN = 5000
"""Keys looked at in one statement."""
MARK = 500
"""Rows marked in one."""
_BUCKETS = 256


def sweep(reading: Reading, breath: Breath, *, confirmed: bool) -> int:
    """Mark what the reading did not see as gone, and end the reading. How many rows.

    Where that is more than ``MASS_SHARE`` of the table (one row is never too many) and nobody has ``confirmed`` it, it
    marks nothing and raises ``TooManyMissing``.
    """
    seen = _Seen(reading.checkpoint.reading)
    missing = sum(len(keys) for keys in _missing(reading, seen))
    if missing > 1 and not confirmed:
        there = reading.stream.rows().count()
        if missing > settings.MASS_SHARE * there:
            asks = TooManyMissing(reading.stream.name, missing, there)
            is_new = not reading.checkpoint.missing
            reading.ask(missing)
            if is_new:
                _tell(reading, asks)
            raise asks
    if missing:
        for keys in _missing(reading, seen):
            for start in range(0, len(keys), MARK):
                _mark(reading, keys[start : start + MARK], breath)
    reading.finish(confirmed=True)
    return missing


def _tell(reading: Reading, asks: TooManyMissing) -> None:
    """Once, however often the question comes up again before somebody answers it."""
    connection = reading.stream.connection
    connection_needs_attention.send_robust(sender=Connection, connection=connection, reason=DELETIONS, detail=str(asks))


class TooManyMissing(Exception):  # noqa: N818 (not an error: it asks)
    """A person has to say whether so many rows are gone."""

    def __init__(self, stream: str, missing: int, there: int) -> None:
        self.missing = missing
        super().__init__(
            f"{stream}: {missing} of {there} rows were not there any more; nothing was marked as gone. If that is "
            f"right: mktg_pull --resource {stream} --full --confirm-deletions"
        )


class _Seen:
    """Hashed keys of all rows that a reading saw: eight bytes each, sorted, by their first byte."""

    def __init__(self, reading: str) -> None:
        buckets = [array("Q") for _ in range(_BUCKETS)]
        pages = PullPage.objects.filter(reading=reading).order_by("number").values_list("seen", flat=True)
        for page in pages.iterator(chunk_size=50):
            for value in _numbers(bytes(page)):
                buckets[value % _BUCKETS].append(value)
        for number, bucket in enumerate(buckets):
            buckets[number] = array("Q", sorted(bucket))
        self._buckets = buckets

    def __contains__(self, key: str) -> bool:
        value = _numbers(hashed(key))[0]
        bucket = self._buckets[value % _BUCKETS]
        at = bisect_left(bucket, value)
        return at < len(bucket) and bucket[at] == value


def _numbers(data: bytes) -> array[int]:
    numbers = array("Q")
    assert numbers.itemsize == HASH_BYTES  # noqa: S101 (so on every platform that Python runs on)
    numbers.frombytes(data)
    return numbers


def _missing(reading: Reading, seen: _Seen) -> Iterator[list[str]]:
    """Keys of rows that should have been seen and were not, page after page of the table."""
    rows = reading.stream.rows().filter(seen_at__lt=reading.before).order_by("key").values_list("key", flat=True)
    last = ""
    while page := list(rows.filter(key__gt=last)[:SCAN]):
        yield [key for key in page if key not in seen]
        last = page[-1]


def _mark(reading: Reading, keys: list[str], breath: Breath) -> None:
    model = reading.stream.model
    _mark_rows(reading, model, {"pk__in": keys}, breath)
    for follower, column in FOLLOWERS.get(model, ()):
        rows = follower._default_manager.filter(**{f"{column}__in": keys}, deleted_at=None)
        while following := list(rows.filter(seen_at__lt=reading.before).values_list("pk", flat=True)[:MARK]):
            _mark_rows(reading, follower, {"pk__in": following}, breath)


def _mark_rows(reading: Reading, model: type[Mirrored], which: dict[str, Any], breath: Breath) -> None:
    # Compared again: since they were looked for, a push may have told of them.
    rows = model._default_manager.filter(**which, deleted_at=None, seen_at__lt=reading.before)
    using = router.db_for_write(model)
    with breath:
        sql.retrying(
            partial(rows.update, deleted_at=reading.checkpoint.started_at, seen_at=reading.before), using=using
        )
    if model is Tagging and not reading.is_first:
        news.tags_changed(reading.stream.connection, list(which["pk__in"]), "pull", tag_removed)
