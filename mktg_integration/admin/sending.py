"""What the admin's actions do: ask for work. The work itself is a task's."""

from __future__ import annotations

from collections.abc import Collection

from django.db import models
from django.utils import timezone

from mktg_integration import background
from mktg_integration.models import ConnectionState, DeadRow, OutboxRow, WaitReason
from mktg_integration.push.replay import replay

DRAIN = "mktg_integration.tasks.drain"
# A press of a button changes neither a service's rate nor which site may write.
NOT_ENDED_BY_HAND = (WaitReason.RATE, WaitReason.COPY)


def push_now(connection_ids: Collection[int]) -> None:
    """Have these connections drained at once, though they may wait: staff have seen to the reason."""
    waiting = ConnectionState.objects.filter(connection_id__in=connection_ids).exclude(wait_until=None)
    waiting.exclude(wait_reason__in=NOT_ENDED_BY_HAND).update(wait_until=None)
    for connection_id in sorted(connection_ids):
        background.enqueue(DRAIN, connection_id)


def push_rows_now(rows: models.QuerySet[OutboxRow]) -> int:
    """Make these rows due at once and have them sent. Their number."""
    connection_ids = set(rows.order_by().values_list("connection_id", flat=True).distinct())
    count = rows.order_by().update(due_at=timezone.now())
    push_now(connection_ids)
    return count


def replay_rows(rows: models.QuerySet[DeadRow]) -> int:
    """Put these rows back into the outbox and have them sent. Their number; held ones are thereby confirmed."""
    connection_ids = set(rows.order_by().values_list("connection_id", flat=True).distinct())
    count = replay(rows)
    push_now(connection_ids)
    return count
