"""Waking the drains: a burst of saves queues a task or two for each connection, and the last save is not left waiting.

A save looks at most every ``WAKE_SECONDS`` in its process, with one conditional statement for all connections:
``ConnectionState.woken_at`` says from when on a queued task may start, and only whoever sets it queues one. The drain
clears it before it claims, and claims a last time no sooner than ``WAKE_SECONDS`` after that; so a save whose process
had just looked is found too. A mark of a crashed wake-up expires, and the schedule drains whatever it says.

A task is queued to start ``LINGER_SECONDS`` later, so that a burst of signups becomes one batch with no worker waiting
for it; an urgent one starts at once, also where another waits already.
"""

# ruff: noqa: S608 (only constants and quoted names of tables become part of a statement)

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from django.db import connections, router, transaction
from django.utils import timezone

from mktg_integration import background, sql
from mktg_integration.conf import settings
from mktg_integration.models import Connection, ConnectionState

logger = logging.getLogger("mktg_integration.push")

TASK = "mktg_integration.tasks.drain"
EXPIRES_SECONDS = 60.0

_lock = threading.Lock()
_looked_at = {False: float("-inf"), True: float("-inf")}
"""By urgency: when this process last looked, by its monotonic clock."""


def wake_on_commit(*, urgent: bool = False) -> None:
    """Wake the drains once the caller's transaction is committed; at once where there is none.

    Never raises: what fails is logged, and left to the schedule.
    """
    transaction.on_commit(_wake_urgently if urgent else _wake, using=_alias(), robust=True)


def wake(*, urgent: bool = False) -> int:
    """Queue a drain for each connection that is pushed to and has none queued. The number of tasks queued.

    Paused connections, those in dry run and those that wait for a time are left to what ends their wait.
    Raises ``DatabaseError``.
    """
    due = sql.retrying(lambda: _set_woken(urgent=urgent), using=_alias())
    delay = 0.0 if urgent else settings.LINGER_SECONDS
    for position, connection_id in enumerate(due):
        try:
            background.enqueue(TASK, connection_id, delay=delay)
        except Exception:
            for unqueued in due[position:]:
                clear(unqueued)
            raise
    return len(due)


def clear(connection_id: int) -> bool:
    """Forget that a drain was asked for: later saves ask anew. The drain does this before it claims.

    Whether one was asked for.
    """
    asked = ConnectionState.objects.using(_alias()).filter(connection_id=connection_id).exclude(woken_at=None)
    return bool(asked.update(woken_at=None))


def is_overdue(connection_id: int) -> bool:
    """Whether a drain was asked for since the last ``clear`` whose task may have come by now, and gone."""
    now = timezone.now()
    asked = ConnectionState.objects.using(_alias()).filter(connection_id=connection_id, woken_at__lte=now)
    return asked.exists()


def reset() -> None:
    """As in a process that has just started: the next mark looks at once."""
    with _lock:
        _looked_at.update({False: float("-inf"), True: float("-inf")})


def _alias() -> str:
    return router.db_for_write(ConnectionState)


def _wake() -> None:
    _wake_if_due(urgent=False)


def _wake_urgently() -> None:
    _wake_if_due(urgent=True)


def _wake_if_due(*, urgent: bool) -> None:
    # The time is taken before the statement: a mark that comes while it runs must not count as looked for.
    moment = time.monotonic()
    with _lock:
        if moment - _looked_at[urgent] < settings.WAKE_SECONDS:
            return
        _looked_at[urgent] = moment
    try:
        wake(urgent=urgent)
    except Exception as error:  # noqa: BLE001 (whatever the database or the task engine raises: a save goes on)
        logger.error("The drains could not be woken (%s); the schedule will drain", type(error).__name__)  # noqa: TRY400


def _set_woken(*, urgent: bool) -> Sequence[int]:
    """The connections whose task is ours to queue.

    First a look, which on SQLite needs no lock and nearly always finds nothing to do; then a conditional UPDATE of each
    connection found, which tells whether another process was faster.
    """
    connection = connections[_alias()]
    state, table = (connection.ops.quote_name(model._meta.db_table) for model in (ConnectionState, Connection))
    asleep = f"woken_at IS NULL OR woken_at < {sql.later(connection, '%s')}"
    if urgent:
        # A task that has still to linger is not waited for.
        asleep += f" OR woken_at > {sql.now(connection)}"
    look = (
        f"SELECT connection_id FROM {state} WHERE ({asleep}) AND (wait_until IS NULL OR wait_until <= %s) "
        f"AND connection_id IN (SELECT id FROM {table} WHERE push_enabled AND NOT paused AND NOT dry_run)"
    )
    take = f"UPDATE {state} SET woken_at = {sql.later(connection, '%s')} WHERE connection_id = %s AND ({asleep})"
    starts_in = 0.0 if urgent else settings.LINGER_SECONDS
    present = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(look, [-EXPIRES_SECONDS, present])
        found = [row[0] for row in cursor.fetchall()]
        taken = []
        for connection_id in found:
            cursor.execute(take, [starts_in, connection_id, -EXPIRES_SECONDS])
            if cursor.rowcount:
                taken.append(connection_id)
    return taken
