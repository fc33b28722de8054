"""What the task engine runs: entry points, told ids alone. Each may run twice, or at the same time as itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from mktg_integration import background
from mktg_integration.conf import settings
from mktg_integration.exceptions import MktgError
from mktg_integration.heartbeat import beat
from mktg_integration.inbound import registration
from mktg_integration.inbound.addresses import callback_url
from mktg_integration.inbound.apply import apply_inbox as inbound_apply
from mktg_integration.measuring import measure as measure_figures
from mktg_integration.models import Connection, Contact, InboxRow, InboxState, Lane, OutboxRow, Run, RunKind, RunStatus
from mktg_integration.oauth.disconnect import disconnect as oauth_disconnect
from mktg_integration.oauth.idle import refresh_idle
from mktg_integration.pruning import prune
from mktg_integration.pull import engine, refresh
from mktg_integration.push import asked as asked_push
from mktg_integration.push import outbox, wake
from mktg_integration.push import reconcile as push_reconcile
from mktg_integration.push.bulk import apply_callback
from mktg_integration.push.drain import drain as push_drain
from mktg_integration.push.waiting import URGENT_GOES_ON
from mktg_integration.running import OPEN, RunWriter, at_work

if settings.TASK_ENGINE == "celery":
    # Celery's workers look for their tasks in this module.
    from mktg_integration.background.celery import run as run

logger = logging.getLogger("mktg_integration.tasks")

SOON_SECONDS = 10.0
"""What is due later than this is left to the schedule, so that many wake-ups do not become many tasks that wait."""
REFRESH_PART_SECONDS = 30.0
BUSY_SECONDS = 5.0
"""Until a run looks again whether it may begin."""


def drain(connection_id: int) -> None:
    """Send what is due over one connection, for at most ``DRAIN_SECONDS``."""
    try:
        push_drain(connection_id, callback_url=callback_url)
    except Connection.DoesNotExist:
        logger.info("connection %s is gone, and with it what was due", connection_id)


def drain_all() -> None:
    """Queue a drain for each connection that has something due and does not wait; run each minute by the schedule."""
    beat()
    now = timezone.now()
    due = OutboxRow.objects.filter(connection=OuterRef("pk"), due_at__lte=now)
    urgent = Q(Exists(due.filter(lane=Lane.URGENT)), state__wait_reason__in=URGENT_GOES_ON)
    ready = (
        Connection.objects.filter(Exists(due), push_enabled=True, paused=False, dry_run=False)
        .filter(Q(state__wait_until=None) | Q(state__wait_until__lte=now) | urgent)
        .values_list("pk", flat=True)
    )
    for connection_id in ready:
        background.enqueue("mktg_integration.tasks.drain", connection_id)


def push_run(run_id: int) -> None:
    """Go on with a push that somebody asked for."""
    next_in = asked_push.work(run_id, seconds=settings.DRAIN_SECONDS, callback_url=callback_url)
    if next_in is not None:
        background.enqueue("mktg_integration.tasks.push_run", run_id, delay=next_in)


def reconcile_run(run_id: int) -> None:
    """Go on with a reconcile that somebody asked for."""
    if push_reconcile.work(run_id, seconds=settings.DRAIN_SECONDS):
        background.enqueue("mktg_integration.tasks.reconcile_run", run_id)


def pull(connection_id: int) -> None:
    """Read what has changed over one connection, and in full what is due for it; goes on in further tasks.

    One that is at work already, or was asked for and is about to begin, is left to go on.
    """
    if at_work(connection_id, RunKind.PULL) is not None:
        return
    try:
        engine.pull(connection_id, seconds=engine.pull_seconds())
    except Connection.DoesNotExist:
        logger.info("connection %s is gone, and with it what was to be pulled", connection_id)


def pull_on(run_id: int) -> None:
    """Go on with a pull that was asked for, came to the end of its task, or was told to wait."""
    run = Run.objects.select_related("connection").filter(pk=run_id).first()
    if run is None or run.status not in OPEN:
        return
    try:
        report = engine.pull(run.connection_id, run_id=run_id, seconds=engine.pull_seconds())
    except MktgError as error:
        RunWriter(run).end(RunStatus.FAILED, str(error))
        logger.error("%s is not pulled: %s", run.connection.name, error)  # noqa: TRY400 (the text says it all)
        return
    if report.status == "busy":
        background.enqueue("mktg_integration.tasks.pull_on", run_id, delay=BUSY_SECONDS)


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


def refresh_all() -> None:
    """Queue the next part for each connection whose contacts are read one by one; run each minute by the schedule."""
    for connection in refresh.due_passes():
        background.enqueue("mktg_integration.tasks.refresh_contacts", connection.pk)


def refresh_contacts(connection_id: int) -> None:
    """Read some of a connection's contacts anew: for half a minute, so that other work has the worker as well."""
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is not None:
        refresh.go_on(connection, seconds=min(REFRESH_PART_SECONDS, settings.LEASE_SECONDS / 3))


def refresh_contact(connection_id: int, key: str) -> None:
    """Read one contact anew, by its key in the mirror."""
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        return
    try:
        refresh.refresh_contacts(connection, Contact.objects.filter(pk=key))
    except MktgError as error:
        logger.error("%s: a contact could not be read anew: %s", connection.name, error)  # noqa: TRY400


def apply_inbox(connection_id: int) -> None:
    """Apply what one connection's service has told, for at most ``DRAIN_SECONDS``."""
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        logger.info("connection %s is gone, and with it what came in", connection_id)
        return
    done = inbound_apply(
        connection,
        on_opt_out=lambda subjects: _stop_elsewhere(connection, subjects),
        on_callback=lambda body: apply_callback(connection, body),
    )
    if done.next_in is not None and done.next_in <= SOON_SECONDS:
        background.enqueue("mktg_integration.tasks.apply_inbox", connection_id, delay=done.next_in)


def apply_all() -> None:
    """Queue a task for each connection with something in the inbox; run each minute by the schedule."""
    due = InboxRow.objects.filter(state=InboxState.PENDING, due_at__lte=timezone.now()).order_by()
    for connection_id in due.values_list("connection_id", flat=True).distinct():
        background.enqueue("mktg_integration.tasks.apply_inbox", connection_id)


def refresh_tokens() -> None:
    """Refresh the OAuth tokens that are about to run out; run every few minutes by the schedule."""
    refresh_idle()


def register_webhooks(connection_id: int) -> None:
    """Have the service tell the events that take no parameter, and repair what is registered."""
    _with_webhooks(connection_id, registration.register)


def repair_webhooks(connection_id: int) -> None:
    """Make anew what was registered and is not there any more."""
    _with_webhooks(connection_id, registration.repair)


def remove_webhooks(connection_id: int) -> None:
    """Have the service tell nothing any more."""
    _with_webhooks(connection_id, registration.remove)


def disconnect(connection_id: int, delete_mirror: int = 0) -> None:
    """Remove the webhooks, revoke and wipe the tokens, and with ``delete_mirror`` what the service told."""
    remove_webhooks(connection_id)
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        return
    try:
        oauth_disconnect(connection, delete_mirror=bool(delete_mirror))
    except MktgError as error:
        # A copy of the database: repeating it would not help.
        logger.error("%s was not disconnected: %s", connection.name, error)  # noqa: TRY400


def _with_webhooks(connection_id: int, work: Callable[[Connection], registration.Registration]) -> None:
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        return
    try:
        done = work(connection)
    except MktgError as error:
        # Told to whoever looks after the site; repeating it would not help.
        logger.error("%s: its webhooks were not brought into line: %s", connection.name, error)  # noqa: TRY400
        return
    for reason in done.failed:
        logger.error("%s: a webhook could not be made: %s", connection.name, reason)
    logger.info(
        "%s: %d webhooks made, %d kept, %d removed",
        connection.name,
        len(done.created),
        len(done.kept),
        len(done.removed),
    )


def _stop_elsewhere(connection: Connection, subjects: Sequence[str]) -> None:
    """An unsubscribe anywhere stops everywhere (``UNSUBSCRIBE_SCOPE``): the other services are to hear of it."""
    if settings.UNSUBSCRIBE_SCOPE != "everywhere":
        return
    others = Connection.objects.filter(push_enabled=True).exclude(pk=connection.pk).values_list("pk", flat=True)
    if others:
        outbox.mark(subjects, lane=Lane.URGENT, connections=list(others))
        wake.wake_on_commit(urgent=True)


def measure(connection_id: int) -> None:
    """Write down one connection's figures of the day."""
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is not None:
        measure_figures(connection)


def measure_all() -> None:
    """Queue a measuring for each connection; run each hour by the schedule."""
    for connection_id in Connection.objects.order_by("pk").values_list("pk", flat=True):
        background.enqueue("mktg_integration.tasks.measure", connection_id)


def housekeeping() -> None:
    """Remove what is too old to be of use; run each day by the schedule."""
    prune()
