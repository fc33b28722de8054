"""What goes after a while: runs, and the rate slots of credentials that are used no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Max, QuerySet
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.models import RateSlot, Run

BATCH = 1000
UNUSED_SLOTS = timedelta(days=1)


class Pruned(NamedTuple):
    """How many rows were removed, or would be."""

    runs: int
    rate_slots: int


def prune(*, days: float | None = None, connection_id: int | None = None, dry_run: bool = False) -> Pruned:
    """Remove runs that began more than ``days`` ago (default ``RUNS_KEPT_DAYS``), in short transactions.

    The last run of each connection and kind stays. With ``connection_id``, only runs of that connection.
    """
    now = timezone.now()
    runs = _old_runs(now - timedelta(days=settings.RUNS_KEPT_DAYS if days is None else days))
    if connection_id is not None:
        runs = runs.filter(connection_id=connection_id)
    slots = RateSlot.objects.none() if connection_id is not None else _unused_slots(now)
    if dry_run:
        return Pruned(runs.count(), slots.count())
    return Pruned(_delete(runs), _delete(slots))


def _old_runs(before: datetime) -> QuerySet[Run]:
    last = (
        Run.objects.order_by().values("connection_id", "kind").annotate(last=Max("pk")).values_list("last", flat=True)
    )
    return Run.objects.filter(started_at__lt=before).exclude(pk__in=list(last))


def _unused_slots(now: datetime) -> QuerySet[RateSlot]:
    newest = RateSlot.objects.order_by().values("bucket").annotate(newest=Max("free_at"))
    unused = [row["bucket"] for row in newest if row["newest"] < now - UNUSED_SLOTS]
    return RateSlot.objects.filter(bucket__in=unused, free_at__lt=now - UNUSED_SLOTS)


def _delete(rows: QuerySet[Any]) -> int:
    """Batch after batch, so that no transaction holds a lock for long."""
    removed = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        removed += rows.model._default_manager.filter(pk__in=keys).delete()[0]
    return removed
