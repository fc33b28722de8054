"""What the task engine runs: entry points, told ids alone. Each may run twice, or at the same time as itself."""

from __future__ import annotations

import logging

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from mktg_integration import background
from mktg_integration.conf import settings
from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection, OutboxRow, Run
from mktg_integration.pruning import prune
from mktg_integration.pull import engine
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


def pull(connection_id: int) -> None:
    """Read what has changed over one connection, and in full what is due for it; goes on in further tasks."""
    try:
        engine.pull(connection_id, seconds=engine.pull_seconds())
    except Connection.DoesNotExist:
        logger.info("connection %s is gone, and with it what was to be pulled", connection_id)


def pull_on(run_id: int) -> None:
    """Go on with a pull that came to the end of its task, or was told to wait."""
    run = Run.objects.filter(pk=run_id).first()
    if run is not None:
        engine.pull(run.connection_id, run_id=run_id, seconds=engine.pull_seconds())


def pull_all() -> None:
    """Queue a pull for each connection that has something to read; run by the schedule."""
    for connection in Connection.objects.filter(undeclared=False):
        try:
            streams = connection.driver.streams(connection.driver.options(connection.account()))
        except MktgError as error:
            logger.error("%s is not pulled: %s", connection.name, error)  # noqa: TRY400 (the text says it all)
            continue
        if streams:
            background.enqueue("mktg_integration.tasks.pull", connection.pk)


def housekeeping() -> None:
    """Remove what is too old to be of use; run each day by the schedule."""
    prune()
