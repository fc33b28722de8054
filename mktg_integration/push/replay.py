"""Dead rows back into the outbox: for the command, and for staff in the admin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.db import router, transaction
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from mktg_integration.models import ConnectionState, DeadKind, DeadRow, Kind, OutboxRow
from mktg_integration.push import wake
from mktg_integration.push.claims import as_is
from mktg_integration.push.outbox import new_version

BATCH = 500
CONFIRMED_FOR = timedelta(hours=1)
_TRIED = 1
"""A version that no row has: it counts as claimed before."""


def replay(rows: QuerySet[DeadRow], *, wakes: bool = True) -> int:
    """Make these dead rows due again, as if just marked; the number of them.

    One transaction for each ``BATCH``. Where a person was marked anew meanwhile, that mark stays and the dead row goes.
    For rows that were held because too many would leave at once, this is the confirmation: it holds for an hour.
    The drains are woken, unless not ``wakes``.
    """
    moved = 0
    # The payloads are passed on as they are stored: one that cannot be read must not hold up the others.
    rows = rows.defer("payload").annotate(token=Cast("payload", TextField()))
    while page := list(rows.order_by("pk")[:BATCH]):
        moved += _replay_page(page)
    if moved and wakes:
        wake.wake_on_commit()
    return moved


def _replay_page(page: Sequence[DeadRow]) -> int:
    alias = router.db_for_write(OutboxRow)
    now = timezone.now()
    due = [
        OutboxRow(
            key=row.key,
            connection_id=row.connection_id,
            kind=row.kind,
            subject=row.subject,
            lane=row.lane,
            payload=as_is(row.token),  # type: ignore[attr-defined]
            marked_at=row.marked_at,
            version=new_version(),
            due_at=now,
            # Of a profile: that it was tried before is not forgotten.
            claimed_version=_TRIED if row.kind == Kind.PROFILE else 0,
        )
        for row in page
    ]
    held = {row.connection_id for row in page if row.state == DeadKind.HELD}
    with transaction.atomic(using=alias):
        OutboxRow.objects.using(alias).bulk_create(due, ignore_conflicts=True)
        DeadRow.objects.using(alias).filter(pk__in=[row.pk for row in page]).delete()
        if held:
            ConnectionState.objects.using(alias).filter(pk__in=held).update(leavers_confirmed_until=now + CONFIRMED_FOR)
    return len(page)
