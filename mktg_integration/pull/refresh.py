"""Contacts of a service without a list, read anew one by one: paced, and gone on with where the last part ended."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration.conf import settings
from mktg_integration.connections import Opened, open_client
from mktg_integration.exceptions import Action, MalformedAnswerError, MktgError, NotNowError, ServiceError
from mktg_integration.mirror import confirmed, reader, writer
from mktg_integration.models import Connection, Contact, PullCheckpoint, PullPage, PullPhase
from mktg_integration.pull.lease import take_lease
from mktg_integration.records import ContactRecord

logger = logging.getLogger("mktg_integration.pull")

PER_SECOND = 10.0
"""Where the service documents no rate: a refresh is never urgent."""
PAGE = 50
MOST_IN_A_ROW = 20
"""Contacts in a row that cannot be read before it is taken for more than one contact's trouble."""
SUSPICIOUS = 10
"""Of a page with at least so many who are gone, and more gone than there, nobody is taken for gone."""
STREAM = "contacts, one by one"
"""The pass over all of a connection's contacts, among its checkpoints."""
_OF_ONE = (Action.REJECT, Action.FAIL)


@dataclass
class Refreshed:
    """Contacts that were read, that had changed, that were not there any more, and that could not be read."""

    read: int = 0
    changed: int = 0
    gone: int = 0
    failed: int = 0
    last: str = ""
    """Key of the last contact that was asked for."""


def refresh_contacts(
    connection: Connection,
    contacts: QuerySet[Contact] | None = None,
    *,
    seconds: float | None = None,
    per_second: float = PER_SECOND,
    after: str = "",
    before: datetime | None = None,
    confirm_deletions: bool = False,
    on_page: Callable[[int], Any] | None = None,
) -> Refreshed:
    """Read these contacts of the connection anew (default: all), at most ``per_second``, for at most ``seconds``.

    In the order of their keys, beginning ``after`` one; who was told of since ``before`` (default now) is left out.
    A contact that the service will not tell of is counted and passed by. Raises ``UnsupportedError`` where the service
    or the credentials cannot read contacts, ``NotNowError`` where so many are gone that it may be another account
    (not with ``confirm_deletions``), ``ServiceError``, ``MalformedAnswerError``, ``ConfigurationError``; what was read
    before is kept.
    """
    opened = open_client(connection)
    ends_at = None if seconds is None else time.monotonic() + seconds
    # Within the connection's keys, so that the database reads no other's.
    chosen = (Contact.objects.all() if contacts is None else contacts).filter(
        connection=connection, deleted_at=None, key__gt=f"{connection.pk}:", key__lt=f"{connection.pk};"
    )
    out = Refreshed(last=after)
    for page in _pages(chosen, after=after, before=before or timezone.now()):
        _Page(connection, opened, per_second, ends_at, confirm_deletions, out).refresh(page)
        if on_page is not None:
            on_page(len(page))
        if ends_at is not None and time.monotonic() >= ends_at:
            break
    return out


def _pages(contacts: QuerySet[Contact], *, after: str, before: datetime) -> Iterator[list[Contact]]:
    while page := list(contacts.filter(seen_at__lt=before, key__gt=after).order_by("key")[:PAGE]):
        yield page
        after = page[-1].key


@dataclass
class _Page:
    connection: Connection
    opened: Opened
    per_second: float
    ends_at: float | None
    confirm_deletions: bool
    out: Refreshed

    def refresh(self, page: Sequence[Contact]) -> None:
        """What was read is written, whatever comes of the rest."""
        asked = timezone.now()
        found: dict[str, ContactRecord | None] = {}
        failed = 0
        try:
            for contact in page:
                started = time.monotonic()
                if self.ends_at is not None and started >= self.ends_at:
                    break
                try:
                    found[contact.remote_id] = self._look_up(contact)
                    failed = 0
                except MktgError as error:
                    failed += 1
                    if not _is_of_one(error) or failed >= MOST_IN_A_ROW:
                        raise
                    self.out.failed += 1
                    logger.warning("%s: a contact cannot be read: %s", self.connection.name, error)
                self.out.last = contact.key
                time.sleep(max(0.0, started + 1 / self.per_second - time.monotonic()))
        finally:
            self._write(found, asked)

    def _look_up(self, contact: Contact) -> ContactRecord | None:
        driver, options, client = self.opened
        return driver.look_up(reader.to_record(contact), client, options)

    def _write(self, found: dict[str, ContactRecord | None], asked: datetime) -> None:
        records = [record for record in found.values() if record is not None]
        gone = [remote_id for remote_id, record in found.items() if record is None]
        if records:
            written = writer.write(self.connection, records, as_of=asked, source="pull")
            confirmed.confirm(self.connection, Contact, [record.remote_id for record in records], as_of=asked)
            self.out.changed += written.changed
        self.out.read += len(found)
        if len(gone) >= SUSPICIOUS and len(gone) > len(records) and not self.confirm_deletions:
            raise NotNowError(
                gettext(
                    "{gone} of {found} contacts are not there: is it the same account? If they were deleted there, "
                    "run python manage.py mktg_pull --connection {name} --full --confirm-deletions"
                ).format(gone=len(gone), found=len(found), name=self.connection.name)
            )
        if gone:
            self.out.gone += writer.mark_gone(self.connection, gone, as_of=asked)


def _is_of_one(error: MktgError) -> bool:
    return isinstance(error, MalformedAnswerError) or (isinstance(error, ServiceError) and error.action in _OF_ONE)


# The pass that the schedule makes over all contacts


def due_passes() -> list[Connection]:
    """The connections whose contacts are read one by one and whose pass has to go on or to begin (``PULL_FULL_DAYS``
    after the last one began). Failures are logged. A bounded number of statements."""
    ago = timezone.now() - _pace()
    rows = PullCheckpoint.objects.filter(stream=STREAM, phase=PullPhase.IDLE, started_at__gt=ago)
    done = set(rows.values_list("connection_id", flat=True))
    due = []
    for connection in Connection.objects.filter(undeclared=False).exclude(pk__in=done).select_related("state"):
        wait = connection.state.wait_until
        if wait is not None and wait > timezone.now():
            continue
        try:
            driver = connection.driver
            if driver.reads_one_by_one(driver.options(connection.account())):
                due.append(connection)
        except MktgError as error:
            logger.warning("%s is not read: %s", connection.name, error)
    return due


def _pace() -> timedelta:
    return timedelta(days=settings.PULL_FULL_DAYS)


def go_on(connection: Connection, *, seconds: float, per_second: float = PER_SECOND) -> Refreshed | None:
    """One part of the connection's pass over the contacts of which nothing was told for ``PULL_FULL_DAYS``.

    None where another process pulls. What the service or the account does wrong is logged: an outage leaves the rest of
    the pass for the next part, all else ends it.
    """
    lease = take_lease(connection.pk)
    if lease is None:
        return None
    try:
        return _Pass(connection).go_on(seconds, per_second)
    finally:
        lease.release()


class _Pass:
    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        # Of no table: that it has come to its end says nothing of contacts that nobody knows here.
        self.row, _ = PullCheckpoint.objects.get_or_create(
            key=f"{connection.pk}:{STREAM}", defaults={"connection": connection, "stream": STREAM, "table": ""}
        )

    def go_on(self, seconds: float, per_second: float) -> Refreshed:
        if self.row.phase == PullPhase.IDLE:
            self._begin()
        after = PullPage.objects.filter(reading=self.row.reading).values_list("cursor", flat=True).first() or ""
        ends_at = time.monotonic() + seconds
        out = Refreshed(last=after)
        # An answer to a push is as good as a reading.
        before = (self.row.started_at or timezone.now()) - _pace()
        try:
            out = refresh_contacts(self.connection, seconds=seconds, per_second=per_second, after=after, before=before)
        except MktgError as error:
            logger.error("%s: its contacts are not read: %s", self.connection.name, error)  # noqa: TRY400
            if not isinstance(error, ServiceError):
                self._end()
            return out
        if time.monotonic() < ends_at:
            self._end(is_whole=True)
        else:
            values = {"reading": self.row.reading, "number": 0, "cursor": out.last}
            PullPage.objects.update_or_create(key=f"{self.row.reading}:0", defaults=values)
        return out

    def _begin(self) -> None:
        self.row.phase, self.row.reading, self.row.started_at = (
            PullPhase.READING,
            secrets.token_hex(16),
            timezone.now(),
        )
        self.row.full = True
        self.row.save()

    def _end(self, *, is_whole: bool = False) -> None:
        PullPage.objects.filter(reading=self.row.reading).delete()
        self.row.phase, self.row.reading = PullPhase.IDLE, ""
        if is_whole:
            self.row.finished_at = self.row.full_at = timezone.now()
        self.row.save()
