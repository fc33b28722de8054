"""What Kit answers beside subscribers, tags and fields, as records of the mirror."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from mktg_integration.providers.kit import schemas
from mktg_integration.records import (
    AccountRecord,
    AccountSnapshotRecord,
    BroadcastRecord,
    BroadcastStatsRecord,
    EmailTemplateRecord,
    FormMemberRecord,
    FormRecord,
    PurchaseItemRecord,
    PurchaseRecord,
    SegmentRecord,
    SequenceMemberRecord,
    SequenceRecord,
    WebhookRecord,
)


def form(told: schemas.Form) -> FormRecord:
    return FormRecord(
        remote_id=str(told.id),
        name=told.name,
        type=told.type,
        format=told.format or "",
        archived=told.archived,
        url=told.embed_url or "",
        created_at=told.created_at,
        raw=told.model_dump(mode="json"),
    )


def form_member(form_id: str, told: schemas.AddedSubscriber) -> FormMemberRecord:
    return FormMemberRecord(contact=str(told.id), form=form_id, added_at=told.added_at)


def sequence(told: schemas.Sequence) -> SequenceRecord:
    return SequenceRecord(
        remote_id=str(told.id),
        name=told.name,
        hold=told.hold,
        repeat=told.repeat,
        created_at=told.created_at,
        raw=told.model_dump(mode="json"),
    )


def sequence_member(sequence_id: str, told: schemas.AddedSubscriber) -> SequenceMemberRecord:
    return SequenceMemberRecord(contact=str(told.id), sequence=sequence_id, added_at=told.added_at)


def segment(told: schemas.Segment) -> SegmentRecord:
    raw = told.model_dump(mode="json")
    return SegmentRecord(remote_id=str(told.id), name=told.name, created_at=told.created_at, raw=raw)


def email_template(told: schemas.EmailTemplate) -> EmailTemplateRecord:
    return EmailTemplateRecord(
        remote_id=str(told.id),
        name=told.name,
        category=told.category,
        is_default=told.is_default,
        raw=told.model_dump(mode="json"),
    )


def broadcast(told: schemas.Broadcast) -> BroadcastRecord:
    return BroadcastRecord(
        remote_id=str(told.id),
        subject=told.subject or "",
        preview_text=told.preview_text or "",
        public=told.public,
        published_at=told.published_at,
        send_at=told.send_at,
        template=str(told.email_template.id) if told.email_template else "",
        created_at=told.created_at,
        raw=told.model_dump(mode="json"),
    )


def broadcast_stats(broadcast_id: str, told: schemas.BroadcastStats) -> BroadcastStatsRecord:
    return BroadcastStatsRecord(
        broadcast=broadcast_id,
        status=told.status,
        recipients=told.recipients,
        open_rate=told.open_rate,
        click_rate=told.click_rate,
        unsubscribes=told.unsubscribes,
        total_clicks=told.total_clicks,
        progress=told.progress,
        raw=told.model_dump(mode="json"),
    )


def purchase(told: schemas.Purchase) -> Iterator[PurchaseRecord | PurchaseItemRecord]:
    """The purchase, then its lines."""
    raw = told.model_dump(mode="json")
    yield PurchaseRecord(
        remote_id=str(told.id),
        transaction_id=told.transaction_id,
        email=told.email_address,
        currency=told.currency,
        status=told.status,
        transaction_time=told.transaction_time,
        subtotal=told.subtotal,
        discount=told.discount,
        tax=told.tax,
        total=told.total,
        raw=raw,
    )
    for position, product in enumerate(told.products, start=1):
        yield PurchaseItemRecord(
            purchase=str(told.id),
            position=position,
            name=product.name,
            product=product.pid,
            line=product.lid,
            sku=product.sku or "",
            quantity=product.quantity,
            unit_price=product.unit_price,
            raw=raw["products"][position - 1],
        )


def webhook(told: schemas.Webhook) -> WebhookRecord:
    event = told.event
    bound = (event.tag_id, event.form_id, event.sequence_id, event.course_id, event.product_id, event.initiator_value)
    target = urlsplit(told.target_url)
    return WebhookRecord(
        remote_id=str(told.id),
        event=event.name,
        parameter=next((str(value) for value in bound if value is not None), ""),
        target_url=f"{target.scheme}://{target.hostname or ''}",
    )


def account(told: schemas.Account, colors: Sequence[str], profile: schemas.CreatorProfile | None) -> AccountRecord:
    details = told.account
    return AccountRecord(
        # The id is not required of an answer; the address that the account belongs to is.
        remote_id=str(details.id) if details.id is not None else details.primary_email_address,
        name=details.name,
        plan=details.plan_type,
        email=details.primary_email_address,
        created_at=details.created_at,
        raw={
            **told.model_dump(mode="json"),
            "colors": list(colors),
            "creator_profile": profile and profile.model_dump(mode="json"),
        },
    )


def snapshot(account_id: str, growth: schemas.GrowthStats, email: schemas.EmailStats) -> AccountSnapshotRecord:
    """The day is the last one of the growth stats, which are in the account's own time zone."""
    return AccountSnapshotRecord(
        account=account_id,
        day=growth.ending.date(),
        days=(growth.ending.date() - growth.starting.date()).days,
        subscribers=growth.subscribers,
        new_subscribers=growth.new_subscribers,
        cancellations=growth.cancellations,
        net_new_subscribers=growth.net_new_subscribers,
        emails_sent=email.sent,
        emails_opened=email.opened,
        emails_clicked=email.clicked,
        raw={"growth": growth.model_dump(mode="json"), "email": email.model_dump(mode="json")},
    )
