"""What staff may have done to a connection. Each act is audited; what takes calls to a service is a task's, but for
``test``, which a person waits for. The callers ask for permission."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

from mktg_integration import background
from mktg_integration import connections as binding
from mktg_integration.audit import Actor, record
from mktg_integration.exceptions import NotNowError, UnsupportedError
from mktg_integration.models import (
    AuditAction,
    Connection,
    ConnectionSource,
    ConnectionState,
    Contact,
    OAuthToken,
    OutboxRow,
    Run,
    SyncState,
)
from mktg_integration.operations import runs
from mktg_integration.operations.deliveries import NOT_ENDED_BY_HAND
from mktg_integration.operations.probing import Step, test

__all__ = [
    "Step",
    "confirm_site",
    "disconnect",
    "must_be_empty",
    "pause",
    "push_now",
    "register_webhooks",
    "remove_webhooks",
    "repair_webhooks",
    "resume",
    "set_dry_run",
    "test",
]

TASKS = background.TASKS


def pause(actor: Actor, connection: Connection) -> None:
    """Changes are kept from now on and nothing is sent. A call that is under way still ends."""
    _switch(connection, "paused", True)
    record(actor, AuditAction.PAUSED, connection=connection)


def resume(actor: Actor, connection: Connection) -> None:
    """Send again, beginning with what was kept."""
    _switch(connection, "paused", False)
    record(actor, AuditAction.RESUMED, connection=connection)
    _drain(connection)


def set_dry_run(actor: Actor, connection: Connection, on: bool) -> None:
    """In a dry run changes are kept, what a push would do is shown by a reconcile's preview, and nothing is sent."""
    _switch(connection, "dry_run", on)
    record(actor, AuditAction.CHANGED, connection=connection, dry_run=on)
    if not on:
        _drain(connection)


def push_now(actor: Actor, connection: Connection, everybody: bool = False) -> Run:
    """Have what is due sent at once, though the connection may wait: staff have seen to the reason.

    Raises as ``runs.start_push``.
    """
    waiting = ConnectionState.objects.filter(connection=connection).exclude(wait_until=None)
    waiting.exclude(wait_reason__in=NOT_ENDED_BY_HAND).update(wait_until=None)
    return runs.start_push(actor, connection, everybody)


def confirm_site(actor: Actor, connection: Connection) -> None:
    """This site, at its ``PUBLIC_URL``, is the one that writes through the connection."""
    before = connection.bound_url
    binding.bind(connection)
    record(actor, AuditAction.SITE_CONFIRMED, connection=connection, before=before, now=connection.bound_url)


def disconnect(actor: Actor, connection: Connection, delete_mirror: bool = False) -> None:
    """Remove its webhooks, revoke and wipe its tokens and send nothing more; with ``delete_mirror`` what the service
    told is deleted too. Asks a task for it. Raises ``NotNowError`` on a copy of the database, and where it was done."""
    if not connection.is_of_this_site():
        text = gettext("%(name)s is bound to %(url)s: disconnecting it here would cut that site off.")
        raise NotNowError(text % {"name": connection.name, "url": connection.bound_url})
    gone = OAuthToken.objects.filter(pk=connection.pk).exclude(disconnected_at=None).exists()
    if gone and not connection.push_enabled and not delete_mirror:
        raise NotNowError(gettext("%(name)s is disconnected already.") % {"name": connection.name})
    record(actor, AuditAction.DISCONNECTED, connection=connection, delete_mirror=delete_mirror)
    background.enqueue(TASKS + "disconnect", connection.pk, int(delete_mirror))


def must_be_empty(connection: Connection) -> None:
    """Before a connection is deleted. Raises ``NotNowError``: a million contacts are not deleted while somebody waits
    for an answer."""
    name = {"name": connection.name}
    if connection.source == ConnectionSource.SETTINGS and not connection.undeclared:
        raise NotNowError(gettext("The settings declare %(name)s: take it out of them first.") % name)
    has_tokens = OAuthToken.objects.filter(connection=connection, disconnected_at=None).exists()
    tables: tuple[Any, ...] = (Contact, SyncState)
    if has_tokens or any(table.objects.filter(connection=connection).exists() for table in tables):
        text = gettext("%(name)s is in use: disconnect it first, and have what the service told deleted with it.")
        raise NotNowError(text % name)
    if OutboxRow.objects.filter(connection=connection).exists():
        text = gettext("%(name)s has rows in the outbox: give them up on its Disconnect page, or by outbox/discard/.")
        raise NotNowError(text % name)


def register_webhooks(actor: Actor, connection: Connection) -> None:
    """Have the service tell what happens there. Asks a task for it. Raises ``UnsupportedError``, ``NotNowError``."""
    _webhooks(actor, connection, "register")


def repair_webhooks(actor: Actor, connection: Connection) -> None:
    """Have made anew what was registered and is not there any more. Raises as ``register_webhooks``."""
    _webhooks(actor, connection, "repair")


def remove_webhooks(actor: Actor, connection: Connection) -> None:
    """Have the service tell nothing more. Raises as ``register_webhooks``."""
    _webhooks(actor, connection, "remove")


def _webhooks(actor: Actor, connection: Connection, what: str) -> None:
    if connection.driver.webhooks is None:
        raise UnsupportedError(gettext("%s tells nothing by itself.") % connection.driver.label)
    if not connection.is_of_this_site():
        text = gettext("%(name)s is bound to %(url)s: confirm first that this site is the one that acts for it.")
        raise NotNowError(text % {"name": connection.name, "url": connection.bound_url})
    record(actor, AuditAction.WEBHOOKS, connection=connection, what=what)
    background.enqueue(f"{TASKS}{what}_webhooks", connection.pk)


def _switch(connection: Connection, name: str, on: bool) -> None:
    Connection.objects.filter(pk=connection.pk).update(**{name: on})
    setattr(connection, name, on)


def _drain(connection: Connection) -> None:
    if connection.push_enabled and not connection.paused and not connection.dry_run:
        background.enqueue(TASKS + "drain", connection.pk)
