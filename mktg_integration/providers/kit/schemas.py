"""What Kit answers, as its v4 document has it. Keys that the document does not name are kept (``model_extra``)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["active", "inactive", "bounced", "complained", "cancelled"]


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Pagination(Model):
    """ "Pagination": ``has_next_page`` decides; the total comes only where it was asked for."""

    has_previous_page: bool
    has_next_page: bool
    start_cursor: str | None = None
    end_cursor: str | None = None
    per_page: int | None = None
    total_count: int | None = None


class Envelope(Model):
    """One page of a list."""

    pagination: Pagination


# Accounts


class User(Model):
    email: str | None = None


class AccountDetails(Model):
    id: int | None = None
    name: str
    plan_type: str
    primary_email_address: str
    created_at: datetime | None = None


class Account(Model):
    user: User
    account: AccountDetails


class Colors(Model):
    colors: tuple[str, ...]


class CreatorProfile(Model):
    name: str | None = None
    byline: str | None = None
    bio: str | None = None
    image_url: str | None = None
    profile_url: str | None = None


class CreatorProfileAnswer(Model):
    profile: CreatorProfile


class EmailStats(Model):
    sent: int
    clicked: int
    opened: int
    email_stats_mode: str
    open_tracking_enabled: bool
    click_tracking_enabled: bool
    starting: datetime
    ending: datetime


class EmailStatsAnswer(Model):
    stats: EmailStats


class GrowthStats(Model):
    """``starting`` and ``ending`` are in the account's sending time zone, not UTC."""

    cancellations: int
    net_new_subscribers: int
    new_subscribers: int
    subscribers: int
    starting: datetime
    ending: datetime


class GrowthStatsAnswer(Model):
    stats: GrowthStats


# Subscribers


class Subscriber(Model):
    id: int
    first_name: str | None = None
    email_address: str
    state: State
    created_at: datetime | None = None
    fields: dict[str, Any] = Field(default_factory=dict)


class TaggedSubscriber(Subscriber):
    tagged_at: datetime | None = None


class AddedSubscriber(Subscriber):
    added_at: datetime | None = None


class BulkTagged(Model):
    """One tagging that a bulk call made; its state is not told."""

    id: int
    first_name: str | None = None
    email_address: str
    state: State | None = None
    created_at: datetime | None = None
    tagged_at: datetime | None = None


class SubscriberAnswer(Model):
    subscriber: Subscriber
    warnings: tuple[Any, ...] = ()


class TaggedSubscriberAnswer(Model):
    subscriber: TaggedSubscriber


class AddedSubscriberAnswer(Model):
    subscriber: AddedSubscriber


class SubscriberPage(Envelope):
    subscribers: tuple[Subscriber, ...]


class TaggedSubscriberPage(Envelope):
    subscribers: tuple[TaggedSubscriber, ...]


class AddedSubscriberPage(Envelope):
    subscribers: tuple[AddedSubscriber, ...]


class FailedSubscriber(Model):
    """What of a refused subscriber is told back; the address is null where it was invalid."""

    id: int | None = None
    first_name: str | None = None
    email_address: str | None = None
    state: str | None = None
    created_at: datetime | None = None


class SubscriberFailure(Model):
    subscriber: FailedSubscriber
    errors: tuple[str, ...] = ()


class BulkSubscribers(Model):
    subscribers: tuple[Subscriber, ...] = ()
    failures: tuple[SubscriberFailure, ...] = ()


class BulkTaggings(Model):
    """The shape of a failure is not documented."""

    subscribers: tuple[BulkTagged, ...] = ()
    failures: tuple[Any, ...] = ()


# Tags


class Tag(Model):
    id: int
    name: str
    created_at: datetime | None = None


class TagAnswer(Model):
    tag: Tag


class TagPage(Envelope):
    tags: tuple[Tag, ...]


class SubscriberTag(Model):
    id: int
    name: str
    tagged_at: datetime | None = None


class SubscriberTagPage(Model):
    tags: tuple[SubscriberTag, ...]
    # "List tags for a subscriber" is the one list whose pagination is not required.
    pagination: Pagination = Pagination(has_previous_page=False, has_next_page=False)


class FailedTag(Model):
    id: int | None = None
    name: str | None = None
    created_at: datetime | None = None


class TagFailure(Model):
    tag: FailedTag
    errors: tuple[str, ...] = ()


class BulkTags(Model):
    tags: tuple[Tag, ...] = ()
    failures: tuple[TagFailure, ...] = ()


# Custom fields


class CustomField(Model):
    """``created_at`` comes with the bulk answers alone."""

    id: int
    name: str
    key: str
    label: str
    created_at: datetime | None = None


class CustomFieldAnswer(Model):
    custom_field: CustomField


class CustomFieldPage(Envelope):
    custom_fields: tuple[CustomField, ...]


class FailedCustomField(Model):
    id: int | None = None
    name: str | None = None
    key: str | None = None
    label: str | None = None
    created_at: datetime | None = None


class CustomFieldFailure(Model):
    custom_field: FailedCustomField
    errors: tuple[str, ...] = ()


class BulkCustomFields(Model):
    custom_fields: tuple[CustomField, ...] = ()
    failures: tuple[CustomFieldFailure, ...] = ()


# Broadcasts


class TemplateReference(Model):
    id: int
    name: str


class Broadcast(Model):
    id: int
    created_at: datetime
    subject: str | None = None
    preview_text: str | None = None
    description: str | None = None
    content: str | None = None
    public: bool = False
    published_at: datetime | None = None
    send_at: datetime | None = None
    thumbnail_alt: str | None = None
    thumbnail_url: str | None = None
    email_address: str | None = None
    email_template: TemplateReference | None = None
    subscriber_filter: Any = None


class BroadcastAnswer(Model):
    broadcast: Broadcast


class BroadcastPage(Envelope):
    broadcasts: tuple[Broadcast, ...]


class BroadcastStats(Model):
    recipients: int
    open_rate: float
    click_rate: float
    unsubscribes: int
    total_clicks: int
    show_total_clicks: bool
    status: str
    progress: float
    open_tracking_disabled: bool
    click_tracking_disabled: bool


class BroadcastWithStats(Model):
    id: int
    stats: BroadcastStats


class BroadcastStatsAnswer(Model):
    broadcast: BroadcastWithStats


# Email templates, forms, sequences, segments


class EmailTemplate(Model):
    id: int
    name: str
    is_default: bool
    category: str


class EmailTemplatePage(Envelope):
    email_templates: tuple[EmailTemplate, ...]


class Form(Model):
    id: int
    name: str
    created_at: datetime
    type: str
    format: str | None = None
    embed_js: str | None = None
    embed_url: str | None = None
    archived: bool = False
    uid: str | None = None


class FormPage(Envelope):
    forms: tuple[Form, ...]


class Sequence(Model):
    id: int
    name: str
    hold: bool
    repeat: bool
    created_at: datetime


class SequencePage(Envelope):
    sequences: tuple[Sequence, ...]


class Segment(Model):
    id: int
    name: str
    created_at: datetime


class SegmentPage(Envelope):
    segments: tuple[Segment, ...]


# Purchases


class Product(Model):
    """The line item id, product id and price as the site gave them; money as ``Decimal``."""

    name: str
    pid: str
    lid: str
    quantity: int
    sku: str | None = None
    unit_price: Decimal


class Purchase(Model):
    id: int
    transaction_id: str
    status: str
    email_address: str
    currency: str
    transaction_time: datetime
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal
    products: tuple[Product, ...] = ()


class PurchaseAnswer(Model):
    purchase: Purchase


class PurchasePage(Envelope):
    purchases: tuple[Purchase, ...]


# Webhooks


class WebhookEvent(Model):
    """The name comes back without its prefix (``subscriber_activate``)."""

    name: str
    tag_id: int | None = None
    form_id: int | None = None
    sequence_id: int | None = None
    course_id: int | None = None
    product_id: int | None = None
    initiator_value: Any = None


class Webhook(Model):
    id: int
    account_id: int
    event: WebhookEvent
    target_url: str


class WebhookAnswer(Model):
    webhook: Webhook


class WebhookPage(Envelope):
    webhooks: tuple[Webhook, ...]


# OAuth


class Token(Model):
    """Tokens are kept out of the representation; ``expires_in`` is in seconds, ``created_at`` in Unix time."""

    access_token: str = Field(repr=False)
    token_type: str
    expires_in: int
    refresh_token: str = Field(repr=False)
    scope: str = ""
    created_at: int | None = None


class Document(Model):
    """An answer whose shape our copy of the document does not have (see ``client.newer``)."""
