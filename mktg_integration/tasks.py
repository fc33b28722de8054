"""What the task engine runs: entry points, told ids alone. Each may run twice, or at the same time as itself."""

from __future__ import annotations

import logging

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from mktg_integration import background
from mktg_integration.conf import settings
from mktg_integration.models import Connection, OutboxRow
from mktg_integration.pruning import prune
from mktg_integration.push.drain import drain as push_drain

if settings.TASK_ENGINE == "celery":
    # Celery's workers look for their tasks in this module.
    from mktg_integration.background.celery import run as run

logger = logging.getLogger("mktg_integration.tasks")


def drain(connection_id: int) -> None:
    """Send what is due over one connection, for at most ``DRAIN_SECONDS``."""
    try:
        push_drain(connection_id)
    except Connection.DoesNotExist:
        logger.info("connection %s is gone, and with it what was due", connection_id)


def drain_all() -> None:
    """Queue a drain for each connection that has something due and does not wait; run each minute by the schedule."""
    now = timezone.now()
    due = OutboxRow.objects.filter(connection=OuterRef("pk"), due_at__lte=now)
    ready = (
        Connection.objects.filter(Exists(due), push_enabled=True, paused=False, dry_run=False)
        .filter(Q(state__wait_until=None) | Q(state__wait_until__lte=now))
        .values_list("pk", flat=True)
    )
    for connection_id in ready:
        background.enqueue("mktg_integration.tasks.drain", connection_id)


def housekeeping() -> None:
    """Remove what is too old to be of use; run each day by the schedule."""
    prune()
