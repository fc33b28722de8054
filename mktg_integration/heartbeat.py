"""The signs of life of what has to run by the clock."""

from __future__ import annotations

from datetime import datetime

from django.db import connections, router
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.models import Heartbeat

WORKER = "worker"
"""Any task that the schedule queued: that one has run says that a worker is running."""


def beat(name: str = WORKER) -> None:
    """Write down that ``name`` is alive. One statement; for tasks of the schedule, never for a save or a call."""
    using = router.db_for_write(Heartbeat)
    unique = ["name"] if connections[using].features.supports_update_conflicts_with_target else None
    row = Heartbeat(name=name, at=timezone.now())

    def write() -> None:
        Heartbeat.objects.using(using).bulk_create(
            [row], update_conflicts=True, update_fields=["at"], unique_fields=unique
        )

    # A locked database must not keep the schedule's task from its work.
    sql.retrying(write, using=using)


def last_beat(name: str = WORKER) -> datetime | None:
    """When ``name`` last gave a sign of life."""
    return Heartbeat.objects.filter(pk=name).values_list("at", flat=True).first()
