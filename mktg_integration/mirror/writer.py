"""What a provider told, written into the mirror's tables: a constant number of statements for each kind of record."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from django.db import router
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.mirror import news, optouts
from mktg_integration.mirror.keys import remote_key, tagging_key
from mktg_integration.mirror.links import user_pk
from mktg_integration.mirror.upsert import upsert
from mktg_integration.models import Company, Connection, Contact, CustomField, Tag, Tagging
from mktg_integration.models.mirror import Mirrored
from mktg_integration.profile import normal_email
from mktg_integration.records import (
    CompanyRecord,
    ContactRecord,
    ContactStatus,
    CustomFieldRecord,
    Record,
    TaggingRecord,
    TagRecord,
)
from mktg_integration.signals import tag_added, tag_removed

logger = logging.getLogger("mktg_integration.mirror")

REMOTE_ID_LENGTH = Contact._meta.get_field("remote_id").max_length or 0
EMAIL_LENGTH = Contact._meta.get_field("email").max_length or 0

R = TypeVar("R", bound=Record)
_Row = dict[str, Any]

# What says nothing of a contact: it must not take away what is known.
_SILENT: dict[type[Mirrored], dict[str, str | None]] = {
    Contact: {"subject": "", "user_id": None, "last_pushed_at": None, "status": ContactStatus.UNREAD.value},
    Tagging: {"tagged_at": None},
}


@dataclass
class Written:
    """How many rows were added, changed, left as they were, and refused because no column can hold them.

    Of a push only ``changed`` (all that was written) and ``refused`` are known: nothing is read before.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0

    def __iadd__(self, other: Written) -> Written:
        self.added += other.added
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.refused += other.refused
        return self


def write(
    connection: Connection,
    records: Sequence[Record],
    *,
    as_of: datetime,
    pushed: bool = False,
    owners: Mapping[str, str] | None = None,
    source: news.Source = "",
    unsubscribed_by_us: Collection[str] = (),
) -> Written:
    """Bring the mirror to what the provider told in ``records`` (any mix of kinds), true as of ``as_of`` (aware).

    An answer that is older than what a row was last told changes nothing. Without ``pushed`` the known rows are read
    first and unchanged ones skipped by their digest: two statements for each kind and ``upsert.PAGE`` records. Their
    ``seen_at`` stays as it was, so whoever reads streams keeps the time through which a stream is confirmed.
    With ``pushed`` (answers to our own calls) it is one statement for each kind, and one more where a contact turns
    out to have opted out; ``last_pushed_at`` is set.

    ``owners`` maps contacts' remote ids to subjects (``user:<pk>``, ``lead:<id>``). ``source`` says whence the news
    come that the public signals tell (``"pull"``, ``"inbound"``); with neither it nor ``pushed``, as when an account
    is read for the first time, no signal is sent. A contact that has newly opted out is recorded as an opt-out, unless
    its remote id is in ``unsubscribed_by_us``: that is no word of the person's. Raises ``DatabaseError``.
    """
    written = Written()
    context = _Context(connection, as_of, pushed, owners or {}, source or ("push" if pushed else ""))
    contacts = _of_kind(records, ContactRecord)
    if contacts:
        written += _write_contacts(context, contacts, frozenset(unsubscribed_by_us))
    for kind, model, make in _KINDS:
        of_kind = _of_kind(records, kind)
        if of_kind:
            rows = (make(context, record) for record in of_kind)
            of_model, fresh, _ = _write_kind(context, model, rows)
            written += of_model
            if model is Tagging and context.source and not pushed:
                news.tags_changed(connection, fresh, context.source, tag_added)
    if written.refused:
        logger.warning(
            "%s: %d records were refused: an id is missing or longer than %d characters, or an address longer than %d",
            connection.name,
            written.refused,
            REMOTE_ID_LENGTH,
            EMAIL_LENGTH,
        )
    return written


def untag(
    connection: Connection,
    pairs: Iterable[tuple[str, str]],
    *,
    as_of: datetime | None = None,
    source: news.Source = "",
) -> None:
    """These contacts have these tags no more, as of ``as_of`` (default now); pairs of remote ids (contact, tag).

    One statement for every ``upsert.PAGE`` pairs. The rows stay, marked as gone, so that an answer from before does not
    bring them back: whoever reads taggings asks for ``deleted_at=None``.
    """
    moment = as_of or timezone.now()
    context = _Context(connection, moment, True, {}, source)
    rows = []
    for contact, tag in pairs:
        row = _tagging(context, TaggingRecord(contact=contact, tag=tag))
        if row is not None:
            rows.append(row | {"deleted_at": moment})
    upsert(Tagging, rows, guard="seen_at", silent=_SILENT[Tagging])
    if source:
        news.tags_changed(connection, [row["key"] for row in rows], source, tag_removed)


def mark_gone(connection: Connection, remote_ids: Collection[str], *, as_of: datetime | None = None) -> int:
    """These contacts are no longer at the service, as of ``as_of`` (default now). One statement; their number.

    A contact that was seen later than that is not touched.
    """
    moment = as_of or timezone.now()
    keys = sorted(remote_key(connection.pk, remote_id) for remote_id in remote_ids)
    there = Contact.objects.filter(pk__in=keys, deleted_at=None, seen_at__lte=moment)
    return sql.retrying(lambda: there.update(deleted_at=moment, seen_at=moment), using=router.db_for_write(Contact))


# Rows


@dataclass(frozen=True)
class _Context:
    connection: Connection
    as_of: datetime
    pushed: bool
    owners: Mapping[str, str]
    source: news.Source


def _of_kind(records: Iterable[Record], kind: type[R]) -> list[R]:
    return [record for record in records if isinstance(record, kind)]


def _contact(context: _Context, record: ContactRecord) -> _Row | None:
    email = record.email.strip()
    if len(email) > EMAIL_LENGTH:
        return None
    subject = context.owners.get(record.remote_id, "")
    first_name = record.values.get("first_name")
    told = {
        "email": email,
        "status": ContactStatus(record.status).value,
        "values": record.values,
        "company_values": record.company,
        "remote_created_at": record.created_at,
        "raw": record.raw,
    }
    row = _row(context, record.remote_id, told)
    if row is None:
        return None
    return row | {
        "email_key": normal_email(email),
        "first_name": first_name if isinstance(first_name, str) else "",
        "subject": subject,
        "user_id": user_pk(subject),
        "last_pushed_at": context.as_of if context.pushed else None,
    }


def _tag(context: _Context, record: TagRecord) -> _Row | None:
    told = {"name": record.name, "remote_created_at": record.created_at, "raw": record.raw}
    row = _row(context, record.remote_id, told)
    return row and row | {"name_key": context.connection.driver.normal_tag(record.name)}


def _tagging(context: _Context, record: TaggingRecord) -> _Row | None:
    pk = context.connection.pk
    row = _row(context, f"{record.contact}:{record.tag}"[:REMOTE_ID_LENGTH], {"raw": {}, "tagged_at": record.tagged_at})
    if row is None or not _fits(record.contact) or not _fits(record.tag):
        return None
    return row | {
        "key": tagging_key(pk, record.contact, record.tag),
        "contact_id": remote_key(pk, record.contact),
        "tag_id": remote_key(pk, record.tag),
        "digest": "",
    }


def _custom_field(context: _Context, record: CustomFieldRecord) -> _Row | None:
    told = {"field_key": record.key, "label": record.label, "raw": record.raw}
    return _row(context, record.remote_id, told)


def _company(context: _Context, record: CompanyRecord) -> _Row | None:
    told = {"name": record.name, "domain": record.domain, "values": record.values, "raw": record.raw}
    return _row(context, record.external_id, told)


_KINDS: tuple[tuple[Any, type[Mirrored], Callable[[_Context, Any], _Row | None]], ...] = (
    (TagRecord, Tag, _tag),
    (CustomFieldRecord, CustomField, _custom_field),
    (CompanyRecord, Company, _company),
    (TaggingRecord, Tagging, _tagging),
)


def _fits(remote_id: str) -> bool:
    return 0 < len(remote_id) <= REMOTE_ID_LENGTH


def _row(context: _Context, remote_id: str, told: Mapping[str, Any]) -> _Row | None:
    """The columns that all kinds have, and what was told; None where a column cannot hold the id."""
    if not _fits(remote_id):
        return None
    return {
        "key": remote_key(context.connection.pk, remote_id),
        "connection_id": context.connection.pk,
        "remote_id": remote_id,
        "digest": _digest(told),
        "seen_at": context.as_of,
        "deleted_at": None,
        **told,
    }


def _digest(told: Mapping[str, Any]) -> str:
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode("ascii"), digest_size=16).hexdigest()


# Statements


def _write_contacts(context: _Context, records: Sequence[ContactRecord], unsubscribed_by_us: frozenset[str]) -> Written:
    by_key = {remote_key(context.connection.pk, record.remote_id): record for record in records}
    told = {key: record for key, record in by_key.items() if record.remote_id not in unsubscribed_by_us}
    before: dict[str, news.Before] = {}
    if context.pushed:
        # Few if any: only to tell an opt-out that is news from one that was known.
        before = news.read_before(Contact, [key for key, record in told.items() if record.status.opted_out])
    written, fresh, read = _write_kind(context, Contact, (_contact(context, record) for record in records))
    before = before or read
    changed = {key: told[key] for key in fresh if key in told}
    opted_out = [record for key, record in changed.items() if news.opted_out(before.get(key), record)]
    if opted_out:
        optouts.record_optouts(context.connection, opted_out, as_of=context.as_of)
    if context.source:
        news.contacts_changed(context.connection, changed, before, context.source)
    return written


def _write_kind(
    context: _Context, model: type[Mirrored], made: Iterable[_Row | None]
) -> tuple[Written, list[str], dict[str, news.Before]]:
    """What was written, the keys that were added or changed, and how the known rows were before."""
    all_rows = list(made)
    rows = {row["key"]: row for row in all_rows if row is not None}
    refused = sum(row is None for row in all_rows)
    before = {} if context.pushed else news.read_before(model, list(rows))
    fresh = [key for key, row in rows.items() if key not in before or _is_news(before[key], row, context.as_of)]
    upsert(model, [rows[key] for key in fresh], guard="seen_at", silent=_SILENT.get(model, {}))
    added = 0 if context.pushed else sum(key not in before for key in fresh)
    written = Written(added, len(fresh) - added, len(rows) - len(fresh), refused)
    return written, fresh, before


def _is_news(before: news.Before, row: _Row, as_of: datetime) -> bool:
    return before.seen_at <= as_of and (before.digest != row["digest"] or before.gone)
