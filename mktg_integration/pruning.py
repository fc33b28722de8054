"""What goes after a while: runs, applied deliveries, attempts, the audit, and the rate slots of credentials that are
used no more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.models import Attempt, AuditEntry, InboxRow, InboxState, RateSlot, Run

BATCH = 1000
UNUSED_SLOTS = timedelta(days=1)


class Pruned(NamedTuple):
    """How many rows were removed, or would be."""

    runs: int
    rate_slots: int
    inbox: int = 0
    attempts: int = 0
    audit: int = 0


def prune(*, days: float | None = None, connection_id: int | None = None, dry_run: bool = False) -> Pruned:
    """Remove runs that began more than ``days`` ago (default ``RUNS_KEPT_DAYS``), in short transactions.

    The last run of each connection and kind stays. Deliveries that were applied go after ``INBOX_KEPT_DAYS``; those
    that were not understood are kept as long as runs. Attempts go after ``ATTEMPTS_KEPT_DAYS``, entries of the audit
    after ``AUDIT_KEPT_DAYS``. With ``connection_id``, only what is of that one.
    """
    now = timezone.now()
    before = now - timedelta(days=settings.RUNS_KEPT_DAYS if days is None else days)
    runs, inbox = _old_runs(before), _old_deliveries(now, before)
    attempts = Attempt.objects.filter(at__lt=now - timedelta(days=settings.ATTEMPTS_KEPT_DAYS))
    entries = AuditEntry.objects.filter(at__lt=now - timedelta(days=settings.AUDIT_KEPT_DAYS))
    found: list[QuerySet[Any]] = [runs, inbox, attempts, entries]
    if connection_id is not None:
        found = [rows.filter(connection_id=connection_id) for rows in found]
    slots = RateSlot.objects.none() if connection_id is not None else _unused_slots(now)
    count = QuerySet.count if dry_run else _delete
    of_runs, of_inbox, of_attempts, of_audit, of_slots = (count(rows) for rows in (*found, slots))
    return Pruned(of_runs, of_slots, of_inbox, of_attempts, of_audit)


def _old_runs(before: datetime) -> QuerySet[Run]:
    last = (
        Run.objects.order_by().values("connection_id", "kind").annotate(last=Max("pk")).values_list("last", flat=True)
    )
    return Run.objects.filter(started_at__lt=before).exclude(pk__in=list(last))


def _old_deliveries(now: datetime, unreadable_before: datetime) -> QuerySet[InboxRow]:
    applied_before = now - timedelta(days=settings.INBOX_KEPT_DAYS)
    return InboxRow.objects.filter(
        Q(state=InboxState.APPLIED, received_at__lt=applied_before)
        | Q(state=InboxState.UNREADABLE, received_at__lt=unreadable_before)
    )


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
