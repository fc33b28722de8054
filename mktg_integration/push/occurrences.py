"""Delivers what is sent once for each occurrence, in its order for each person, never coalesced: events, purchases,
entries into sequences, and changes of the account's tags."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import Connection, Kind, OutboxRow
from mktg_integration.models import Purchase as MirroredPurchase
from mktg_integration.providers.base import Call, Event, Intent, Person, Verdict, VerdictKind
from mktg_integration.providers.occurrences import Occurrence, Progress, Purchase, SequenceEntry, TagChange
from mktg_integration.push import claims, record
from mktg_integration.push.deliver import Delivery
from mktg_integration.push.delivered import Delivered, Failure, Rejection
from mktg_integration.push.people import Batch

IN_DOUBT = Verdict(
    kind=VerdictKind.NEEDS_PERSON,
    code="in_doubt",
    reason="the service's answer was lost, so it may have been carried out: look there, then replay or discard",
)
NO_CONTACT = Verdict(
    kind=VerdictKind.REJECTED,
    code="no_contact",
    reason="the service has no contact of this person: see why their profile makes none, then replay or discard",
)

Count = Callable[[Sequence[OutboxRow], Delivered], None]


def deliver_occurrences(
    connection: Connection,
    delivery: Delivery,
    lease: claims.Lease,
    rows: Sequence[OutboxRow],
    people: Delivered,
    count: Count,
) -> Delivered:
    """Send these rows for people whose profiles have just been delivered, and settle them.

    What is of one person goes one after the other; where one fails, the later ones wait with it. What became of the
    profiles (``people``) decides first: an event of somebody who could not be sent waits.
    """
    as_of = timezone.now()
    account = {row.subject: Person(key=row.subject, email="") for row in rows if row.kind == Kind.TAG}
    out = Delivered(people={**people.people, **account}, stop=people.stop)
    queues: dict[str, deque[OutboxRow]] = {}
    rows = _leave_out_recorded(connection, lease, rows, count)
    for row in sorted(rows, key=lambda row: (row.marked_at, row.payload.get("queued", 0), row.key)):
        queues.setdefault(row.subject, deque()).append(row)
    for subject in [subject for subject in queues if subject not in out.people or not people.is_done(subject)]:
        _set_aside(queues.pop(subject), people, lease)
    for subject, due_at in _waiting_before(queues).items():
        claims.defer(lease, [row.key for row in queues.pop(subject)], due_at)
    while queues and out.stop is None:
        heads = {subject: queue[0] for subject, queue in queues.items()}
        _send(connection, delivery, lease, heads, out)
        _judge_doubtful(heads, out)
        _judge_absent(connection, delivery, heads, out)
        # The mirror first: what it shows to be recorded is not sent again, whatever happens to the row.
        record.write_mirror(connection, delivery.driver, out, as_of=as_of)
        _forget_written(out)
        record.settle_rows(lease, list(heads.values()), out)
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


def _forget_written(out: Delivered) -> None:
    for told in (out.tags, out.fields, out.records, out.others, out.companies):
        told.clear()


def _send(
    connection: Connection, delivery: Delivery, lease: claims.Lease, heads: Mapping[str, OutboxRow], out: Delivered
) -> None:
    """Bring these rows to their end, one call of each after the other."""
    progress = {subject: _progress(connection, row) for subject, row in heads.items()}
    while progress and out.stop is None:
        calls = []
        for subject, so_far in progress.items():
            call = _call(delivery, out, heads[subject], so_far)
            if call is not None:
                calls.append(call)
        sent = _note_tried(lease, heads, calls, out)
        out.steps.clear()
        delivery.execute(sent, out)
        progress = {
            subject: replace(progress[subject], step=step)
            for subject, step in out.steps.items()
            if subject in progress and out.is_done(subject)
        }
    # What a stop left in the middle is given back.
    out.kept |= set(progress)


def _judge_doubtful(heads: Mapping[str, OutboxRow], out: Delivered) -> None:
    """A lost answer leaves open whether it was carried out. A purchase can be looked up later, anything else cannot."""
    for subject in out.in_doubt:
        if heads[subject].kind != Kind.PURCHASE:
            _bury(out, subject, IN_DOUBT)
    out.in_doubt.clear()


def _judge_absent(connection: Connection, delivery: Delivery, heads: Mapping[str, OutboxRow], out: Delivered) -> None:
    """A contact that is gone is made again, if the profile says so, before its occurrence is tried a second time."""
    again = {
        subject: out.people[subject]
        for subject in sorted(out.absent)
        if not heads[subject].attempts and out.people[subject].intent is Intent.SYNC
    }
    for subject in out.absent.difference(again):
        _bury(out, subject, NO_CONTACT)
    out.absent.clear()
    if again:
        _make_again(connection, delivery, again, out)


def _make_again(connection: Connection, delivery: Delivery, people: Mapping[str, Person], out: Delivered) -> None:
    as_of = timezone.now()
    record.write_mirror(connection, delivery.driver, out, as_of=as_of)
    _forget_written(out)
    out.gone.clear()
    made = delivery.run(people)
    record.write_mirror(connection, delivery.driver, made, as_of=as_of)
    record.write_states(connection, Batch(), made)
    out.people.update(made.people)
    out.calls += made.calls
    out.stop = out.stop or made.stop
    out.rejected.update(made.rejected)
    out.kept |= made.kept
    # The occurrence itself comes later: a service may know a new contact only after a while.
    out.failed |= set(people) - made.kept
    later = Failure(reason="the contact was gone and is made again; this comes after it")
    out.failures.update({**dict.fromkeys(people, later), **made.failures})


def _bury(out: Delivered, subject: str, verdict: Verdict) -> None:
    out.kept.discard(subject)
    out.failed.discard(subject)
    out.rejected[subject] = Rejection(verdict=verdict)


def _note_tried(
    lease: claims.Lease, heads: Mapping[str, OutboxRow], calls: Sequence[Call], out: Delivered
) -> list[Call]:
    """The calls that may be made now. Of a purchase it is written down first that it is sent, because a process that
    dies with the answer leaves nothing else behind."""
    once = [key for call in calls if not call.repeatable for key in call.items if heads[key].kind == Kind.PURCHASE]
    if not once:
        return list(calls)
    noted = claims.note_tried(lease, [heads[subject].key for subject in once])
    locked = {subject for subject in once if heads[subject].key not in noted}
    out.kept |= locked
    return [call for call in calls if not locked.intersection(call.items)]


def _progress(connection: Connection, row: OutboxRow) -> Progress:
    if row.tried_at is None:
        return Progress()
    before = MirroredPurchase.objects.filter(connection=connection, seen_at__lt=row.tried_at).order_by("-seen_at")
    known = before.values_list("remote_id", flat=True).first()
    lag = timedelta(seconds=settings.LIST_LAG_SECONDS)
    return Progress(in_doubt=True, is_listed=timezone.now() - row.tried_at >= lag, known_before=known or "")


def _leave_out_recorded(
    connection: Connection, lease: claims.Lease, rows: Sequence[OutboxRow], count: Count
) -> list[OutboxRow]:
    """The rows without the purchases that the service is known to have."""
    of_purchases = {row.key: row.payload.get("transaction_id") for row in rows if row.kind == Kind.PURCHASE}
    if not of_purchases:
        return list(rows)
    recorded = set(
        MirroredPurchase.objects.filter(
            connection=connection, transaction_id__in=list(of_purchases.values()), deleted_at=None
        ).values_list("transaction_id", flat=True)
    )
    done = [row for row in rows if of_purchases.get(row.key) in recorded]
    if done:
        claims.settle(lease, [row.key for row in done])
        count(done, Delivered())
    return [row for row in rows if row not in done]


def _waiting_before(queues: Mapping[str, Sequence[OutboxRow]]) -> dict[str, datetime]:
    """Whose earlier occurrence is to be tried later, and when: theirs have to wait for it."""
    if not queues:
        return {}
    in_hand = [row.key for queue in queues.values() for row in queue]
    connection_id = next(iter(queues.values()))[0].connection_id
    earlier = (
        OutboxRow.objects.filter(connection_id=connection_id, subject__in=list(queues))
        .exclude(kind__in=(Kind.PROFILE, Kind.ERASURE))
        .exclude(key__in=in_hand)
    )
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
    record.settle_rows(lease, rows, people)


def _call(delivery: Delivery, out: Delivered, row: OutboxRow, progress: Progress) -> Call | None:
    """The next call for this row; None where it has come to an end without one."""
    person: Person = out.people[row.subject]
    driver, options = delivery.driver, delivery.options
    planned: Call | Verdict | None
    try:
        if row.kind == Kind.EVENT:
            planned = driver.plan_event(person, _event(row), options)
        else:
            planned = driver.plan_occurrence(person, _occurrence(row), delivery.catalogue, options, progress)
    except UnsupportedError as error:
        planned = Verdict(kind=VerdictKind.REJECTED, code="unsupported", reason=str(error))
    if isinstance(planned, Verdict):
        out.rejected[row.subject] = Rejection(verdict=planned)
        return None
    return planned


def _event(row: OutboxRow) -> Event:
    payload = row.payload
    return Event(
        key=row.key.split(":", 4)[4],
        name=payload["name"],
        occurred_at=payload["occurred_at"],
        data=payload.get("data") or {},
    )


def _occurrence(row: OutboxRow) -> Occurrence:
    payload = row.payload
    if row.kind == Kind.PURCHASE:
        return Purchase.from_json({key: value for key, value in payload.items() if key != "queued"})
    if row.kind == Kind.SEQUENCE:
        return SequenceEntry(sequence=payload["sequence"])
    if row.kind == Kind.TAG:
        return TagChange(name=payload["name"], remote_id=payload.get("remote_id", ""))
    raise UnsupportedError(f"no provider is told of a row of the kind {row.kind!r}: delete it")
