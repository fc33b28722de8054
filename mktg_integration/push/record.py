"""After the answers: the mirror, what was last sent, and the rows, each in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from mktg_integration.http import LastAnswer
from mktg_integration.mirror import links, upsert, writer
from mktg_integration.models import Connection, Contact, DeadKind, DeadRow, Kind, OutboxRow, SyncState
from mktg_integration.profile import ConsentStatus, normal_email
from mktg_integration.providers.base import Intent, Person, Provider, VerdictKind
from mktg_integration.push import attempts, claims, snapshots
from mktg_integration.push.dead import dead_row
from mktg_integration.push.delivered import Delivered, Rejection
from mktg_integration.push.people import Batch
from mktg_integration.records import Record, TaggingRecord, TagRecord


def write_mirror(connection: Connection, driver: Provider[Any, Any], out: Delivered, *, as_of: datetime) -> None:
    """What the answers told of contacts, tags and fields."""
    owners = {person.known.remote_id: key for key, person in out.people.items() if person.known is not None}
    tags = {driver.normal_tag(tag.name): tag for tag in out.account_tags}
    # A service that lists no tags knows them by name alone.
    nameless = {name for _, name in out.tagged} - set(tags)
    tags |= {name: TagRecord(remote_id=name, name=name) for name in nameless}
    records: list[Record] = [*out.tags.values(), *(tags[name] for name in sorted(nameless)), *out.fields.values()]
    out.named_tags = {name: tags[name] for name in nameless}
    records += out.companies.values()
    records += out.records.values()
    records += out.others
    records += [
        TaggingRecord(contact=contact, tag=tags[name].remote_id, tagged_at=as_of)
        for contact, name in sorted(out.tagged - out.untagged)
    ]
    if records:
        writer.write(connection, records, as_of=as_of, pushed=True, owners=owners, unsubscribed_by_us=out.unsubscribed)
    if out.untagged:
        writer.untag(connection, [(contact, _tag_id(tags, name)) for contact, name in sorted(out.untagged)])
    if out.gone:
        writer.mark_gone(connection, out.gone)
    # Who was found as wanted was told nothing, and owns the contact all the same.
    adopted = {key: out.people[key].known for key in out.adopted}
    links.own(connection, {known.remote_id: key for key, known in adopted.items() if known is not None})
    for subject, left_behind in out.moved.items():
        links.disown(connection, left_behind, subject)


def _tag_id(tags: Mapping[str, TagRecord], name: str) -> str:
    return tags[name].remote_id if name in tags else name


def write_states(connection: Connection, batch: Batch, out: Delivered) -> None:
    """What was last sent, for each person of whom something was."""
    now = timezone.now()
    rows = [
        _state_row(connection, person, out.notes.get(key, ""), now, _answer(key, batch, out))
        for key, person in sorted(out.people.items())
        if person.sent is not None and person.intent in _STAY and _differs(batch.states.get(key), person, out)
    ]
    if rows:
        upsert.upsert(SyncState, rows)
    gone = {key: person for key, person in out.people.items() if person.intent not in _STAY and _has_left(key, out)}
    _end(connection, gone, batch)


_STAY = (Intent.SYNC, Intent.WITHDRAW)


def _has_left(key: str, out: Delivered) -> bool:
    """Also who is to be erased by hand: the site keeps no data of theirs while that waits."""
    rejection = out.rejected.get(key)
    by_hand = rejection is not None and rejection.verdict.kind is VerdictKind.NEEDS_PERSON
    return out.is_done(key) or (by_hand and out.people[key].intent is Intent.FORGET)


def _end(connection: Connection, gone: Mapping[str, Person], batch: Batch) -> None:
    """People who left own nothing any more; the mirror forgets whom the service was made to forget."""
    if not gone:
        return
    SyncState.objects.filter(key__in=[f"{connection.pk}:{key}" for key in gone]).delete()
    left: list[str] = []
    forgotten: list[str] = []
    for key, person in gone.items():
        contacts = forgotten if person.intent is Intent.FORGET else left
        if person.known is not None:
            contacts.append(f"{connection.pk}:{person.known.remote_id}")
        if key in batch.contacts:
            contacts.append(batch.contacts[key].key)
    Contact.objects.filter(key__in=left).update(subject="", user=None)
    Contact.objects.filter(key__in=forgotten).delete()


def _answer(key: str, batch: Batch, out: Delivered) -> tuple[int | None, str]:
    """Status and request id of the last call that went well."""
    answer: LastAnswer | None = out.answers.get(key)
    if answer is not None and answer.status < 400:
        return answer.status, answer.request_id
    before = batch.states.get(key)
    return (before.status, before.request_id) if before is not None else (None, "")


def _state_row(
    connection: Connection, person: Person, note: str, now: datetime, answer: tuple[int | None, str]
) -> dict[str, Any]:
    sent = person.sent
    assert sent is not None  # noqa: S101 (the caller filters)
    return {
        "key": f"{connection.pk}:{person.key}",
        "connection_id": connection.pk,
        "subject": person.key,
        "contact_id": f"{connection.pk}:{person.known.remote_id}" if person.known is not None else None,
        "email_key": normal_email(sent.email),
        "sent": snapshots.dump(sent),
        "owned_tags": sorted(person.owned_tags),
        "sent_at": now,
        "status": answer[0],
        "request_id": answer[1],
        "note": note[:500],
    }


def _differs(state: SyncState | None, person: Person, out: Delivered) -> bool:
    if state is None or person.sent is None:
        return True
    contact = f"{state.connection_id}:{person.known.remote_id}" if person.known is not None else None
    return (
        state.sent != snapshots.dump(person.sent)
        or state.contact_id != contact
        or state.owned_tags != sorted(person.owned_tags)
        or state.note != out.notes.get(person.key, "")[:500]
    )


def settle_rows(lease: claims.Lease, rows: Sequence[OutboxRow], out: Delivered) -> None:
    """Done rows go, rejected ones are buried, failed ones come again later, kept ones are given back."""
    rejected, failed, kept = out.rejected, out.failed, out.kept
    dead = [_dead(row, rejected[row.subject]) for row in rows if row.subject in rejected]
    if dead:
        claims.bury(lease, dead)
    later = [row for row in rows if row.subject in failed and row.subject not in rejected]
    if later:
        claims.postpone(lease, later)
    back = [row.key for row in rows if row.subject in kept and row.subject not in rejected]
    if back:
        claims.release(lease, back)
    done = [row.key for row in rows if row.subject not in rejected and row.subject not in failed | kept]
    if done:
        refused = {key for key, person in out.people.items() if _is_refused(person)}
        claims.settle(lease, done, by_hand={row.key for row in rows if row.subject in refused})
    by_hand = {row.key for row in dead if row.state == DeadKind.NEEDS_PERSON}
    left = [row for row in rows if row.kind == Kind.ERASURE and row.key in by_hand.union(done)]
    if left:
        claims.forget_profiles(lease, {row.subject for row in left})
    attempts.write(rows, out)


def _is_refused(person: Person) -> bool:
    return person.sent is not None and person.sent.consent is ConsentStatus.REFUSED


def _dead(row: OutboxRow, rejection: Rejection) -> DeadRow:
    verdict = rejection.verdict
    kind = DeadKind.NEEDS_PERSON if verdict.kind is VerdictKind.NEEDS_PERSON else DeadKind.REJECTED
    return dead_row(row, kind, verdict.code, verdict.reason, rejection.status, rejection.request_id)
