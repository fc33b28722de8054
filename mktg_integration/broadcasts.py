"""Broadcasts, written from the site: drafts made, changed, scheduled and deleted at the service.

These are calls made at once, not rows of the outbox: whoever writes an email to thousands wants to see that the service
took it, has to decide what to do where it did not, and would not want it scheduled by a retry an hour after the time.
So each waits for the service's answer, raises what went wrong, and repeats nothing by itself. Call them outside of
transactions.

All raise ``ServiceError`` (with ``answered`` False where nobody knows whether it was done: look at the service's list
before it is tried again), ``UnsupportedError`` where the service takes no broadcasts or the connection may not write,
and ``ValueError`` naming what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from mktg_integration.connections import Opened, open_client, public_url_matches
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.mirror import writer
from mktg_integration.models import Broadcast, Connection
from mktg_integration.providers.broadcasts import Audience, BroadcastDraft, Match

__all__ = ["Audience", "Match", "change", "create_draft", "delete", "schedule", "unschedule"]

_NAMES = {field.name for field in fields(BroadcastDraft)} - {"send_at"}


def create_draft(connection: str, **draft: Any) -> Broadcast:
    """A new draft, mailed to nobody; the mirror's row of it.

    ``draft`` takes the fields of ``providers.broadcasts.BroadcastDraft`` without ``send_at``: ``subject``, ``content``
    (HTML), ``preview_text``, ``audience``, ``template``, …
    """
    row = Connection.objects.filter(name=connection).first()
    if row is None:
        raise UnsupportedError(f"there is no connection {connection!r}")
    return _write(row, "", lambda _: replace(BroadcastDraft(), **_checked(draft)))


def change(broadcast: Broadcast, **changes: Any) -> Broadcast:
    """Change these fields of a draft or a scheduled broadcast; all others stay as the service has them now."""
    return _write(broadcast.connection, broadcast.remote_id, lambda now: replace(now, **_checked(changes)))


def schedule(broadcast: Broadcast, send_at: datetime) -> Broadcast:
    """Have it mailed at ``send_at`` (aware, in the future). It needs a subject and content."""
    if send_at.tzinfo is None:
        raise ValueError("send_at: give a time with its zone")
    if send_at <= timezone.now():
        raise ValueError("send_at: give a time in the future")

    def scheduled(now: BroadcastDraft) -> BroadcastDraft:
        if not now.subject.strip() or not now.content.strip():
            raise ValueError("a broadcast needs a subject and content before it can be scheduled")
        return replace(now, send_at=send_at)

    return _write(broadcast.connection, broadcast.remote_id, scheduled)


def unschedule(broadcast: Broadcast) -> Broadcast:
    """Make a draft of it again, so that it is not mailed."""
    return _write(broadcast.connection, broadcast.remote_id, lambda now: replace(now, send_at=None, on_web=False))


def delete(broadcast: Broadcast) -> None:
    """Delete it at the service, unless it is being mailed already; the mirror marks it as gone."""
    opened = _open(broadcast.connection)
    opened.driver.delete_broadcast(broadcast.remote_id, opened.client)
    # As of now, so that a list that lags behind does not bring it back.
    Broadcast.objects.filter(pk=broadcast.pk).update(deleted_at=timezone.now(), seen_at=timezone.now())


def _write(connection: Connection, remote_id: str, change: Callable[[BroadcastDraft], BroadcastDraft]) -> Broadcast:
    opened = _open(connection)
    # The service wants the whole each time: what the mirror knows may be older than what staff wrote there.
    now = opened.driver.read_broadcast(remote_id, opened.client) if remote_id else BroadcastDraft()
    wanted = change(now)
    as_of = timezone.now()
    record = opened.driver.write_broadcast(remote_id, wanted, opened.client)
    writer.write(connection, [record], as_of=as_of, pushed=True)
    return Broadcast.objects.get(connection=connection, remote_id=record.remote_id)


def _open(connection: Connection) -> Opened:
    if connection.paused or connection.dry_run:
        raise UnsupportedError(
            f"{connection.name} is {'paused' if connection.paused else 'in dry run'}: end that first"
        )
    if not public_url_matches(connection):
        raise UnsupportedError(f"{connection.name} is bound to another site's PUBLIC_URL: confirm that this one writes")
    return open_client(connection)


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(given) - _NAMES)
    if unknown:
        hint = "; schedule() sets the time" if "send_at" in unknown else ""
        raise ValueError(f"{', '.join(unknown)}: not a field of a draft, which has {', '.join(sorted(_NAMES))}{hint}")
    return given
