"""Delivers what is sent once for each occurrence: events, in their order for each person, never coalesced."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import Kind, OutboxRow
from mktg_integration.providers.base import Call, Event, Person, Verdict, VerdictKind
from mktg_integration.push import claims, record
from mktg_integration.push.deliver import Delivered, Delivery, Rejection


def deliver_occurrences(
    delivery: Delivery,
    lease: claims.Lease,
    rows: Sequence[OutboxRow],
    people: Delivered,
    count: Callable[[Sequence[OutboxRow], Delivered], None],
) -> Delivered:
    """Send these rows for people whose profiles have just been delivered, and settle them.

    The events of one person go one after the other; where one fails, the later ones wait with it. What became of the
    profiles (``people``) decides first: an event of somebody who could not be sent waits.
    """
    out = Delivered(people=dict(people.people), stop=people.stop)
    queues: dict[str, deque[OutboxRow]] = {}
    for row in sorted(rows, key=lambda row: (row.marked_at, row.payload.get("queued", 0), row.key)):
        queues.setdefault(row.subject, deque()).append(row)
    for subject in [subject for subject in queues if subject not in people.people or not people.is_done(subject)]:
        _set_aside(queues.pop(subject), people, lease)
    for subject, due_at in _waiting_before(queues).items():
        claims.defer(lease, [row.key for row in queues.pop(subject)], due_at)
    while queues and out.stop is None:
        heads = {subject: queue[0] for subject, queue in queues.items()}
        calls = [_call(delivery, out, row) for row in heads.values()]
        delivery.execute([call for call in calls if call is not None], out)
        record.settle_rows(lease, list(heads.values()), out.rejected, out.failed, out.kept)
        count(list(heads.values()), out)
        for subject in heads:
            queues[subject].popleft()
            if subject in out.kept:
                claims.release(lease, [row.key for row in queues.pop(subject)])
            elif not queues[subject]:
                del queues[subject]
        for subject, due_at in _waiting_before({s: queues[s] for s in out.failed if s in queues}).items():
            claims.defer(lease, [row.key for row in queues.pop(subject)], due_at)
        # A refused event does not hold back the person's next one.
        out.rejected.clear()
    claims.release(lease, [row.key for queue in queues.values() for row in queue])
    return out


def _waiting_before(queues: Mapping[str, Sequence[OutboxRow]]) -> dict[str, datetime]:
    """Whose earlier occurrence is to be tried later, and when: theirs have to wait for it."""
    if not queues:
        return {}
    in_hand = [row.key for queue in queues.values() for row in queue]
    connection_id = next(iter(queues.values()))[0].connection_id
    earlier = OutboxRow.objects.filter(
        connection_id=connection_id, subject__in=list(queues), kind__in=(Kind.EVENT, Kind.PURCHASE)
    ).exclude(key__in=in_hand)
    waiting: dict[str, datetime] = {}
    for subject, marked_at, due_at in earlier.values_list("subject", "marked_at", "due_at"):
        if marked_at <= queues[subject][0].marked_at:
            waiting[subject] = max(due_at, waiting.get(subject, due_at))
    return waiting


def _set_aside(rows: Sequence[OutboxRow], people: Delivered, lease: claims.Lease) -> None:
    subject = rows[0].subject
    if subject not in people.people and subject not in people.rejected and subject not in people.kept:
        # Not a person whom this connection knows of: there is nobody to tell it of.
        claims.settle(lease, [row.key for row in rows])
        return
    record.settle_rows(lease, rows, people.rejected, people.failed, people.kept)


def _call(delivery: Delivery, out: Delivered, row: OutboxRow) -> Call | None:
    person: Person = out.people[row.subject]
    reason = f"{delivery.driver.label} takes no {row.get_kind_display()}"
    if row.kind == Kind.EVENT:
        try:
            return delivery.driver.plan_event(person, _event(row), delivery.options)
        except UnsupportedError as error:
            reason = str(error)
    verdict = Verdict(kind=VerdictKind.REJECTED, code="unsupported", reason=reason)
    out.rejected[row.subject] = Rejection(verdict=verdict)
    return None


def _event(row: OutboxRow) -> Event:
    payload = row.payload
    return Event(
        key=row.key.split(":", 4)[4],
        name=payload["name"],
        occurred_at=payload["occurred_at"],
        data=payload.get("data") or {},
    )
