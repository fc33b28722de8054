"""What each kind of record becomes: a row of its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from mktg_integration.mirror import news
from mktg_integration.mirror.digest import digest
from mktg_integration.mirror.keys import membership_key, remote_key
from mktg_integration.mirror.links import user_pk
from mktg_integration.mirror.upsert import Statement
from mktg_integration.models import (
    AccountSnapshot,
    Broadcast,
    BroadcastStats,
    Company,
    Connection,
    Contact,
    CustomField,
    EmailTemplate,
    Form,
    FormMember,
    Purchase,
    PurchaseItem,
    Segment,
    Sequence,
    SequenceMember,
    ServiceAccount,
    Tag,
    Tagging,
    Webhook,
)
from mktg_integration.models.commerce import DIGITS, PLACES
from mktg_integration.models.mirror import Mirrored
from mktg_integration.profile import normal_email
from mktg_integration.records import (
    AccountRecord,
    AccountSnapshotRecord,
    BroadcastRecord,
    BroadcastStatsRecord,
    CompanyRecord,
    ContactRecord,
    ContactStatus,
    CustomFieldRecord,
    EmailTemplateRecord,
    FormMemberRecord,
    FormRecord,
    PurchaseItemRecord,
    PurchaseRecord,
    Record,
    SegmentRecord,
    SequenceMemberRecord,
    SequenceRecord,
    TaggingRecord,
    TagRecord,
    WebhookRecord,
)

REMOTE_ID_LENGTH = Contact._meta.get_field("remote_id").max_length or 0
EMAIL_LENGTH = Contact._meta.get_field("email").max_length or 0
CURRENCY_LENGTH = Purchase._meta.get_field("currency").max_length or 0

Row = dict[str, Any]

# What says nothing of a contact: it must not take away what is known.
SILENT: dict[type[Mirrored], dict[str, str | None]] = {
    Contact: {"subject": "", "user_id": None, "last_pushed_at": None, "status": ContactStatus.UNREAD.value},
    Tagging: {"tagged_at": None},
}


@dataclass(frozen=True)
class Context:
    """What all rows of one answer have in common."""

    connection: Connection
    as_of: datetime
    pushed: bool
    owners: Mapping[str, str]
    source: news.Source


def _contact(context: Context, record: ContactRecord) -> Row | None:
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
    return _row(
        context,
        record.remote_id,
        told,
        email_key=normal_email(email),
        first_name=first_name if isinstance(first_name, str) else "",
        subject=subject,
        user_id=user_pk(subject),
        last_pushed_at=context.as_of if context.pushed else None,
    )


def _tag(context: Context, record: TagRecord) -> Row | None:
    told = {"name": record.name, "remote_created_at": record.created_at, "raw": record.raw}
    return _row(context, record.remote_id, told, name_key=context.connection.driver.normal_tag(record.name))


def tagging_row(context: Context, record: TaggingRecord) -> Row | None:
    return _membership(context, record.contact, "tag_id", record.tag, {"tagged_at": record.tagged_at})


def _form_member(context: Context, record: FormMemberRecord) -> Row | None:
    return _membership(context, record.contact, "form_id", record.form, {"added_at": record.added_at})


def _sequence_member(context: Context, record: SequenceMemberRecord) -> Row | None:
    return _membership(context, record.contact, "sequence_id", record.sequence, {"added_at": record.added_at})


def _membership(
    context: Context, contact: str, column: str, container: str, told: Mapping[str, datetime | None]
) -> Row | None:
    if not _fits(contact) or not _fits(container):
        return None
    pk = context.connection.pk
    made = {
        "key": membership_key(pk, contact, container),
        "contact_id": remote_key(pk, contact),
        column: remote_key(pk, container),
    }
    if context.pushed:
        # It has our own time: the service's, when it is told, is news.
        made["digest"] = ""
    return _row(context, f"{contact}:{container}"[:REMOTE_ID_LENGTH], {"raw": {}, **told}, **made)


def _custom_field(context: Context, record: CustomFieldRecord) -> Row | None:
    told = {"field_key": record.key, "label": record.label, "raw": record.raw}
    return _row(context, record.remote_id, told)


def _company(context: Context, record: CompanyRecord) -> Row | None:
    told = {"name": record.name, "domain": record.domain, "values": record.values, "raw": record.raw}
    return _row(context, record.external_id, told)


def _form(context: Context, record: FormRecord) -> Row | None:
    told = {
        "name": record.name,
        "type": record.type,
        "format": record.format,
        "archived": record.archived,
        "url": record.url,
        "remote_created_at": record.created_at,
        "raw": record.raw,
    }
    return _row(context, record.remote_id, told)


def _sequence(context: Context, record: SequenceRecord) -> Row | None:
    told = {
        "name": record.name,
        "hold": record.hold,
        "repeat": record.repeat,
        "remote_created_at": record.created_at,
        "raw": record.raw,
    }
    return _row(context, record.remote_id, told)


def _segment(context: Context, record: SegmentRecord) -> Row | None:
    told = {"name": record.name, "remote_created_at": record.created_at, "raw": record.raw}
    return _row(context, record.remote_id, told)


def _email_template(context: Context, record: EmailTemplateRecord) -> Row | None:
    told = {
        "name": record.name,
        "category": record.category,
        "is_default": record.is_default,
        "raw": record.raw,
    }
    return _row(context, record.remote_id, told)


def _broadcast(context: Context, record: BroadcastRecord) -> Row | None:
    told = {
        "subject": record.subject,
        "preview_text": record.preview_text,
        "public": record.public,
        "published_at": record.published_at,
        "send_at": record.send_at,
        "template_id": remote_key(context.connection.pk, record.template) if record.template else None,
        "remote_created_at": record.created_at,
        "raw": record.raw,
    }
    return _row(context, record.remote_id, told)


def _broadcast_stats(context: Context, record: BroadcastStatsRecord) -> Row | None:
    told = {
        "broadcast_id": remote_key(context.connection.pk, record.broadcast),
        "status": record.status,
        "recipients": record.recipients,
        "open_rate": record.open_rate,
        "click_rate": record.click_rate,
        "unsubscribes": record.unsubscribes,
        "total_clicks": record.total_clicks,
        "progress": record.progress,
        "raw": record.raw,
    }
    return _row(context, record.broadcast, told)


def _purchase(context: Context, record: PurchaseRecord) -> Row | None:
    email = record.email.strip()
    money = (record.subtotal, record.discount, record.tax, record.total)
    # A currency that was cut short would be another currency.
    if len(email) > EMAIL_LENGTH or len(record.currency) > CURRENCY_LENGTH or not all(map(_holds, money)):
        return None
    told = {
        "transaction_id": record.transaction_id,
        "status": record.status,
        "email": email,
        "currency": record.currency,
        "transaction_time": record.transaction_time,
        "subtotal": record.subtotal,
        "discount": record.discount,
        "tax": record.tax,
        "total": record.total,
        "raw": record.raw,
    }
    return _row(context, record.remote_id, told, email_key=normal_email(email))


def _purchase_item(context: Context, record: PurchaseItemRecord) -> Row | None:
    if not _holds(record.unit_price) or not _fits(record.purchase):
        return None
    told = {
        "purchase_id": remote_key(context.connection.pk, record.purchase),
        "position": record.position,
        "name": record.name,
        "product": record.product,
        "line": record.line,
        "sku": record.sku,
        "quantity": record.quantity,
        "unit_price": record.unit_price,
        "raw": record.raw,
    }
    return _row(context, f"{record.purchase}:{record.position}", told)


def _webhook(context: Context, record: WebhookRecord) -> Row | None:
    told = {"event": record.event, "parameter": record.parameter, "target_url": record.target_url, "raw": {}}
    return _row(context, record.remote_id, told)


def _account(context: Context, record: AccountRecord) -> Row | None:
    told = {
        "name": record.name,
        "plan": record.plan,
        "email": record.email,
        "remote_created_at": record.created_at,
        "raw": record.raw,
    }
    return _row(context, record.remote_id, told)


def _snapshot(context: Context, record: AccountSnapshotRecord) -> Row | None:
    told = {
        "account_id": remote_key(context.connection.pk, record.account),
        "day": record.day,
        "days": record.days,
        "subscribers": record.subscribers,
        "new_subscribers": record.new_subscribers,
        "cancellations": record.cancellations,
        "net_new_subscribers": record.net_new_subscribers,
        "emails_sent": record.emails_sent,
        "emails_opened": record.emails_opened,
        "emails_clicked": record.emails_clicked,
        "raw": record.raw,
    }
    return _row(context, f"{record.account}:{record.day.isoformat()}", told)


KINDS: Mapping[type[Record], tuple[type[Mirrored], Callable[[Context, Any], Row | None]]] = {
    ContactRecord: (Contact, _contact),
    TagRecord: (Tag, _tag),
    CustomFieldRecord: (CustomField, _custom_field),
    CompanyRecord: (Company, _company),
    TaggingRecord: (Tagging, tagging_row),
    FormMemberRecord: (FormMember, _form_member),
    SequenceMemberRecord: (SequenceMember, _sequence_member),
    FormRecord: (Form, _form),
    SequenceRecord: (Sequence, _sequence),
    SegmentRecord: (Segment, _segment),
    EmailTemplateRecord: (EmailTemplate, _email_template),
    BroadcastRecord: (Broadcast, _broadcast),
    BroadcastStatsRecord: (BroadcastStats, _broadcast_stats),
    PurchaseRecord: (Purchase, _purchase),
    PurchaseItemRecord: (PurchaseItem, _purchase_item),
    WebhookRecord: (Webhook, _webhook),
    AccountRecord: (ServiceAccount, _account),
    AccountSnapshotRecord: (AccountSnapshot, _snapshot),
}
"""By kind of record: its table, and what makes its row (None where no column can hold it)."""


@dataclass(frozen=True)
class Made:
    """What one answer told, by kind of record, each with its row: None where no column can hold it.

    ``ready``: the statements that write all rows of a kind, if they were made beforehand.
    """

    context: Context
    kinds: Mapping[type[Record], list[tuple[Any, Row | None]]]
    ready: Mapping[type[Record], list[Statement]] = field(default_factory=dict)


def make_rows(context: Context, records: Iterable[Record]) -> Made:
    """Rows of any mix of kinds; for any thread: it asks no database."""
    kinds: dict[type[Record], list[tuple[Any, Row | None]]] = {}
    for record in records:
        kind = type(record)
        kinds.setdefault(kind, []).append((record, KINDS[kind][1](context, record)))
    return Made(context, kinds)


def model_of(kind: type[Record]) -> type[Mirrored]:
    """The table of a kind of record."""
    return KINDS[kind][0]


def _fits(remote_id: str) -> bool:
    return 0 < len(remote_id) <= REMOTE_ID_LENGTH


def _row(context: Context, remote_id: str, told: Mapping[str, Any], **made: Any) -> Row | None:
    """The columns that all kinds have, what was told, and what was ``made`` of it, which is no part of the digest.

    None where a column cannot hold the id.
    """
    if not _fits(remote_id):
        return None
    return {
        "key": remote_key(context.connection.pk, remote_id),
        "connection_id": context.connection.pk,
        "remote_id": remote_id,
        "digest": digest(told),
        "seen_at": context.as_of,
        "deleted_at": None,
        **told,
        **made,
    }


def _holds(amount: Decimal) -> bool:
    """Whether the columns of money can hold this amount."""
    return amount.is_finite() and abs(amount) < Decimal(10) ** (DIGITS - PLACES) and amount == round(amount, PLACES)
