"""Applies what came to the mirror: in the order of its time, once, by one process for each connection.

Signed facts are written as they are. Of what is unsigned an opt-out is believed at once; all else is only a reason to
read the contact again. An older word never undoes a newer one: the mirror's own guard sees to it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Exists, Min, OuterRef
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.connections import open_client
from mktg_integration.exceptions import Action, MalformedAnswerError, MktgError, ServiceError, UnsupportedError
from mktg_integration.inbound.addresses import address_of
from mktg_integration.inbound.believing import Believer, OnOptOut
from mktg_integration.inbound.reading import Lesson, Told, body_of, learn, read_rows
from mktg_integration.mirror import reader, writer
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import (
    Connection,
    Contact,
    InboundAddress,
    InboxKind,
    InboxRow,
    InboxState,
    OutboxRow,
    SyncState,
    Tagging,
)
from mktg_integration.models.leases import take_row_lease
from mktg_integration.providers.webhooks import Webhooks
from mktg_integration.records import TaggingRecord, TagRecord

logger = logging.getLogger("mktg_integration.inbound")

BATCH = 100
LINES = 500
"""Characters that the inbox has for a reason."""
OWN_PUSH_SECONDS = 3.0
OWN_PUSH_TRIES = 40
"""So often an opt-out waits for a push of ours to the same person to end: two minutes, longer than any lease."""
TAG_LAG = (30.0, 120.0, 600.0)
"""Seconds between the looks at a contact's tags until they show what was told: lists lag behind."""
_OF_ONE = (Action.REJECT, Action.FAIL)
"""What a service answers of what was asked for, and not of the account or of itself."""


@dataclass
class Applied:
    """How many rows were applied, and so on; ``read``: calls to the service; ``next_in``: seconds until more is due."""

    applied: int = 0
    unreadable: int = 0
    postponed: int = 0
    read: int = 0
    busy: bool = False
    next_in: float | None = None


OnCallback = Callable[[Any], bool]
"""Given the body of a callback, takes what answers a request of this site; False: it is read as a hint."""


def apply_inbox(
    connection: Connection,
    *,
    on_opt_out: OnOptOut,
    on_callback: OnCallback | None = None,
    seconds: float | None = None,
) -> Applied:
    """Apply what is due, for at most ``seconds`` (default ``DRAIN_SECONDS``).

    Raises ``DatabaseError``; what a service or a body does wrong is kept on the row.
    """
    done = Applied()
    ends_at = time.monotonic() + (settings.DRAIN_SECONDS if seconds is None else seconds)
    address_of(connection)
    lease = take_row_lease(InboundAddress, connection.pk, settings.LEASE_SECONDS)
    if lease is None:
        done.busy, done.next_in = True, settings.CALL_SECONDS / 6
        return done
    try:
        # Before the first look: what comes from now on wakes a task of its own.
        InboundAddress.objects.filter(pk=connection.pk).update(woken_at=None)
        while time.monotonic() < ends_at and lease.hold():
            rows = list(_due(connection).order_by("received_at", "key")[:BATCH])
            if not rows:
                break
            _apply_rows(connection, rows, done, ends_at, on_opt_out, on_callback)
    finally:
        lease.release()
    if done.next_in is None:
        done.next_in = _next_in(connection)
    return done


def _apply_rows(
    connection: Connection,
    rows: Sequence[InboxRow],
    done: Applied,
    ends_at: float,
    on_opt_out: OnOptOut,
    on_callback: OnCallback | None,
) -> None:
    """Apply these; what one of them breaks (a value that no column can hold) it breaks alone.

    Raises ``DatabaseError`` where the database itself fails.
    """
    try:
        _Batch(connection, rows, done, ends_at, on_opt_out, on_callback).apply()
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 (whatever a body of somebody else's making leads to)
        if len(rows) > 1:
            half = len(rows) // 2
            for part in (rows[:half], rows[half:]):
                _apply_rows(connection, part, done, ends_at, on_opt_out, on_callback)
            return
        # The kind alone: the words of such an error may be the delivery's own.
        why = f"it cannot be applied: {type(error).__name__}"
        logger.error("%s: a delivery: %s", connection.name, why)  # noqa: TRY400
        InboxRow.objects.filter(pk=rows[0].key).update(state=InboxState.UNREADABLE, detail=why)
        done.unreadable += 1


def _due(connection: Connection) -> Any:
    return InboxRow.objects.filter(connection=connection, state=InboxState.PENDING, due_at__lte=timezone.now())


def _next_in(connection: Connection) -> float | None:
    pending = InboxRow.objects.filter(connection=connection, state=InboxState.PENDING)
    first = pending.aggregate(first=Min("due_at"))["first"]
    return None if first is None else max(0.0, (first - timezone.now()).total_seconds())


class _Batch:
    def __init__(
        self,
        connection: Connection,
        rows: Sequence[InboxRow],
        done: Applied,
        ends_at: float,
        on_opt_out: OnOptOut,
        on_callback: OnCallback | None,
    ) -> None:
        self.on_callback = on_callback
        self.mirror = Believer(connection, on_opt_out)
        self.connection = connection
        self.rows = {row.key: row for row in rows}
        self.done = done
        self.ends_at = ends_at
        self.later: dict[str, tuple[float, str]] = {}
        """Rows to come again, in how many seconds, and why."""
        self.unreadable: dict[str, str] = {}

    def apply(self) -> None:
        webhooks = self.connection.driver.webhooks
        if webhooks is None:
            self.unreadable = dict.fromkeys(self.rows, f"{self.connection.driver.label} tells nothing by itself")
            self._settle()
            return
        told, self.unreadable = read_rows(self._without_answers(), webhooks)
        told = self._without_our_own(told)
        lesson = learn(told)
        self.mirror.believe(lesson)
        self._look(lesson, webhooks)
        self._settle()

    def _without_answers(self) -> list[InboxRow]:
        """Callbacks that answer requests of this site are what the push makes of them: nothing is left to be read."""
        return [row for row in self.rows.values() if not (row.kind == InboxKind.CALLBACK and self._is_taken(row))]

    def _is_taken(self, row: InboxRow) -> bool:
        try:
            return self.on_callback is not None and self.on_callback(body_of(row))
        except MalformedAnswerError:
            return False

    def _without_our_own(self, told: list[Told]) -> list[Told]:
        """An opt-out that comes while a push of ours to that person is under way may be its echo, and no word of the
        person's. Once the push has ended the mirror knows."""
        contacts = {one.notice.contact for one in told if one.notice.opt_out is not None}
        if not contacts:
            return told
        waits = self._being_pushed(contacts)
        waiting = {
            one.row for one in told if one.notice.contact in waits and self.rows[one.row].attempts < OWN_PUSH_TRIES
        }
        for key in waiting:
            self.later[key] = (OWN_PUSH_SECONDS, "")
        return [one for one in told if one.row not in waiting]

    def _being_pushed(self, contacts: Collection[str]) -> set[str]:
        in_flight = OutboxRow.objects.filter(connection=self.connection, subject=OuterRef("subject")).exclude(
            claim_token=""
        )
        keys = [remote_key(self.connection.pk, contact) for contact in contacts]
        states = SyncState.objects.filter(connection=self.connection, contact__in=keys)
        owned = Contact.objects.filter(pk__in=keys).exclude(subject="")
        found = {*states.filter(Exists(in_flight)).values_list("contact_id", flat=True)}
        found |= {*owned.filter(Exists(in_flight)).values_list("pk", flat=True)}
        return {contact for contact in contacts if remote_key(self.connection.pk, contact) in found}

    # What has to be read

    def _look(self, lesson: Lesson, webhooks: Webhooks[Any]) -> None:
        known = self.mirror.known(lesson.hints)
        needs = [f"contact:{contact}" for contact, one in lesson.hints.items() if _tells_more(one, known.get(contact))]
        needs += [f"tags:{contact}" for contact in sorted(lesson.reads_tags)]
        needs += [f"purchase:{purchase}" for purchase in sorted(lesson.purchases)]
        if not needs:
            return
        try:
            client = open_client(self.connection).client
        except (MktgError, ServiceError) as error:
            self._put_off(lesson, needs, error)
            return
        for position, need in enumerate(needs):
            if time.monotonic() >= self.ends_at:
                for unread in needs[position:]:
                    self._again(lesson.needed_by.get(unread, ()), 0.0, "")
                return
            try:
                self._read(need, lesson, webhooks, client)
            except (UnsupportedError, MalformedAnswerError) as error:
                self._give_up(lesson, need, error)
            except MktgError as error:
                if isinstance(error, ServiceError) and error.action in _OF_ONE:
                    self._give_up(lesson, need, error)
                    continue
                self._put_off(lesson, needs[position:], error)
                return
            self.done.read += 1

    def _give_up(self, lesson: Lesson, need: str, error: MktgError) -> None:
        """What this one tells of cannot be read, which says nothing of the others."""
        self.unreadable.update(dict.fromkeys(lesson.needed_by.get(need, ()), str(error)))

    def _read(self, need: str, lesson: Lesson, webhooks: Webhooks[Any], client: Any) -> None:
        kind, _, remote_id = need.partition(":")
        asked = timezone.now()
        if kind == "purchase":
            writer.write(self.connection, webhooks.purchase(client, remote_id), as_of=asked, source="inbound")
        elif kind == "tags":
            self._read_tags(remote_id, lesson, webhooks, client)
        else:
            record = webhooks.contact(client, remote_id)
            if record is None:
                writer.mark_gone(self.connection, [remote_id], as_of=asked)
            else:
                self.mirror.write([record], asked, self.mirror.known([remote_id]))

    def _read_tags(self, contact: str, lesson: Lesson, webhooks: Webhooks[Any], client: Any) -> None:
        asked = timezone.now()
        records = webhooks.tags(client, contact)
        now = {record.tag for record in records if isinstance(record, TaggingRecord)}
        said = {tag: one.notice.has_tag for (who, tag), one in lesson.taggings.items() if who == contact}
        rows = lesson.needed_by.get(f"tags:{contact}", set())
        tries = max((self.rows[row].attempts for row in rows if row in self.rows), default=0)
        if any((tag in now) != has for tag, has in said.items()) and tries < len(TAG_LAG):
            # Told, and not shown yet. What is shown is older than what was told.
            self._again(rows, TAG_LAG[tries], "the service's list does not show the tag yet")
            return
        self.mirror.write_unknown_tags([record for record in records if isinstance(record, TagRecord)])
        self.mirror.tag([record for record in records if isinstance(record, TaggingRecord)], asked)
        key = remote_key(self.connection.pk, contact)
        live = Tagging.objects.filter(connection=self.connection, contact=key, deleted_at=None, seen_at__lte=asked)
        there = set(live.values_list("tag__remote_id", flat=True)) - {None}
        self.mirror.untag([(contact, tag) for tag in sorted(there - now)], asked)

    def _put_off(self, lesson: Lesson, needs: Sequence[str], error: MktgError) -> None:
        rows = {row for need in needs for row in lesson.needed_by.get(need, ())}
        told = error.retry_after if isinstance(error, ServiceError) else None
        for row in rows:
            tries = self.rows[row].attempts if row in self.rows else 0
            backoff = min(settings.BACKOFF_SECONDS * 2 ** min(tries, 20), settings.BACKOFF_SECONDS_MAX)
            self._again([row], told if told is not None else backoff, str(error))
        logger.warning("%s: what came in waits: %s", self.connection.name, error)

    def _again(self, rows: Iterable[str], seconds: float, why: str) -> None:
        self.later.update({row: (seconds, why) for row in rows if row in self.rows})

    # How it ends

    def _settle(self) -> None:
        now = timezone.now()
        for key, why in self.unreadable.items():
            self.later.pop(key, None)
            logger.warning("%s: a delivery cannot be understood: %s", self.connection.name, why)
            InboxRow.objects.filter(pk=key).update(state=InboxState.UNREADABLE, detail=why[:LINES])
        for key, (seconds, why) in self.later.items():
            row = self.rows[key]
            InboxRow.objects.filter(pk=key).update(
                due_at=now + timedelta(seconds=seconds), attempts=row.attempts + 1, detail=why[:LINES]
            )
        applied = [key for key in self.rows if key not in self.later and key not in self.unreadable]
        InboxRow.objects.filter(pk__in=applied).update(state=InboxState.APPLIED, applied_at=now, detail="")
        self.done.applied += len(applied)
        self.done.unreadable += len(self.unreadable)
        self.done.postponed += len(self.later)


def _tells_more(one: Told, contact: Contact | None) -> bool:
    """Whether the hint differs from what is known; where it does not there is nothing to read, as of our own echo."""
    record = one.notice.record
    if record is None or contact is None or contact.deleted_at is not None or one.notice.opt_out is not None:
        return True
    known = reader.to_record(contact)
    return (known.email, known.status, known.values) != (record.email, record.status, record.values)
