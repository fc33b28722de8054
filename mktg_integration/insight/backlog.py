"""What waits to be sent over each connection: due now, by lane, and later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.utils import timezone

from mktg_integration.insight.counting import BOUND, bounded_counts
from mktg_integration.models import Lane, OutboxRow


class Backlog(NamedTuple):
    """``due`` by lane (``urgent``, ``live``, ``backfill``), only those with any; ``later`` those that are tried again
    in a while. No lane is counted beyond ``counting.BOUND``."""

    due: dict[str, int]
    later: int


def backlogs(connection_ids: Iterable[int]) -> dict[int, Backlog]:
    """By connection. One statement for every sixteen of them."""
    now = timezone.now()
    lanes = [(pk, lane) for pk in connection_ids for lane in Lane]
    rows = [OutboxRow.objects.filter(connection=pk, lane=lane) for pk, lane in lanes]
    counts = bounded_counts(
        [part for row in rows for part in (row.filter(due_at__lte=now), row.filter(due_at__gt=now))], BOUND
    )
    found: dict[int, Backlog] = {}
    for (pk, lane), due, later in zip(lanes, counts[::2], counts[1::2], strict=True):
        before = found.get(pk, Backlog({}, 0))
        told = {**before.due, lane.name.lower(): due} if due else before.due
        found[pk] = Backlog(told, before.later + later)
    return found
