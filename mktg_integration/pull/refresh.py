"""Contacts of a service without a list, read anew one by one: paced, the ones that were seen longest ago first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from mktg_integration.connections import Opened, open_client
from mktg_integration.mirror import confirmed, reader, writer
from mktg_integration.models import Connection, Contact
from mktg_integration.records import ContactRecord

PER_SECOND = 10.0
"""Where the service documents no rate: a refresh is never urgent."""
PAGE = 50


@dataclass
class Refreshed:
    """Contacts that were read, that had changed, and that were not there any more."""

    read: int = 0
    changed: int = 0
    gone: int = 0


def refresh_contacts(
    connection: Connection,
    contacts: QuerySet[Contact] | None = None,
    *,
    seconds: float | None = None,
    per_second: float = PER_SECOND,
    on_page: Callable[[int], Any] | None = None,
) -> Refreshed:
    """Read these contacts of the connection anew (default: all), at most ``per_second``, for at most ``seconds``.

    A later refresh goes on with those that this one did not come to. Raises ``UnsupportedError`` where the service or
    the credentials cannot read contacts, ``ServiceError``, ``MalformedAnswerError``, ``ConfigurationError``; what was
    read before is kept.
    """
    opened = open_client(connection)
    ends_at = None if seconds is None else time.monotonic() + seconds
    chosen = (Contact.objects.all() if contacts is None else contacts).filter(connection=connection, deleted_at=None)
    out = Refreshed()
    for page in _pages(chosen, before=timezone.now()):
        _Page(connection, opened, per_second, ends_at).refresh(page, out)
        if on_page is not None:
            on_page(len(page))
        if ends_at is not None and time.monotonic() >= ends_at:
            break
    return out


def _pages(contacts: QuerySet[Contact], *, before: datetime) -> Iterator[list[Contact]]:
    while page := list(contacts.filter(seen_at__lt=before).order_by("seen_at", "key")[:PAGE]):
        yield page


@dataclass
class _Page:
    connection: Connection
    opened: Opened
    per_second: float
    ends_at: float | None

    def refresh(self, page: Sequence[Contact], out: Refreshed) -> None:
        """What was read is written, whatever comes of the rest."""
        asked = timezone.now()
        found: dict[str, ContactRecord | None] = {}
        try:
            for contact in page:
                started = time.monotonic()
                if self.ends_at is not None and started >= self.ends_at:
                    break
                driver, options, client = self.opened
                found[contact.remote_id] = driver.look_up(reader.to_record(contact), client, options)
                time.sleep(max(0.0, started + 1 / self.per_second - time.monotonic()))
        finally:
            self._write(found, asked, out)

    def _write(self, found: dict[str, ContactRecord | None], asked: datetime, out: Refreshed) -> None:
        records = [record for record in found.values() if record is not None]
        gone = [remote_id for remote_id, record in found.items() if record is None]
        if records:
            written = writer.write(self.connection, records, as_of=asked, source="pull")
            confirmed.confirm(self.connection, Contact, [record.remote_id for record in records], as_of=asked)
            out.changed += written.changed
        if gone:
            out.gone += writer.mark_gone(self.connection, gone, as_of=asked)
        out.read += len(found)
