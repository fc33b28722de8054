"""What providers give and take: plain dataclasses, without ORM, settings or HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

JSON = Any


class ContactStatus(StrEnum):
    """Whether a service may mail a contact, in one vocabulary for all services."""

    ACTIVE = "active"
    """May be mailed."""
    INACTIVE = "inactive"
    """Is there and is not mailed (Kit ``inactive``, Conversion ``NO_STATUS`` or ``PENDING``)."""
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNREAD = "unread"
    """Is there; the service has not told its status."""

    @property
    def opted_out(self) -> bool:
        """No push may bring this contact back."""
        return self in OPTED_OUT


OPTED_OUT = frozenset({ContactStatus.UNSUBSCRIBED, ContactStatus.BOUNCED, ContactStatus.COMPLAINED})


@dataclass(frozen=True, kw_only=True, slots=True)
class ContactRecord:
    """One contact, person or subscriber as a service told of it.

    ``values`` holds what the service keeps of the person in the provider's normal form: the same keys and value
    forms that ``providers.base.Snapshot.values`` has, so that the two can be compared.
    """

    remote_id: str
    email: str
    status: ContactStatus = ContactStatus.UNREAD
    values: Mapping[str, JSON] = field(default_factory=dict)
    company: Mapping[str, JSON] = field(default_factory=dict)
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TagRecord:
    """A tag (Kit), or a segment (ConvertLoop)."""

    remote_id: str
    name: str
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaggingRecord:
    """A contact has a tag. ``contact`` and ``tag`` are remote ids."""

    contact: str
    tag: str
    tagged_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomFieldRecord:
    """A custom field that the account has. ``key`` is what values are stored under, ``label`` what people see."""

    remote_id: str
    key: str
    label: str
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class CompanyRecord:
    """A company, by the site's own id."""

    external_id: str
    name: str = ""
    domain: str = ""
    values: Mapping[str, JSON] = field(default_factory=dict)
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FormRecord:
    """A form or landing page. ``type`` and ``format`` are the service's own words."""

    remote_id: str
    name: str
    type: str = ""
    format: str = ""
    archived: bool = False
    url: str = ""
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceRecord:
    """A series of emails that a contact can be added to. ``hold``: paused; ``repeat``: may be run through again."""

    remote_id: str
    name: str
    hold: bool = False
    repeat: bool = False
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FormMemberRecord:
    """A contact was added to a form; both by remote id."""

    contact: str
    form: str
    added_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceMemberRecord:
    """A contact was added to a sequence; both by remote id."""

    contact: str
    sequence: str
    added_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentRecord:
    """A saved selection of contacts, by name alone."""

    remote_id: str
    name: str
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class EmailTemplateRecord:
    remote_id: str
    name: str
    category: str = ""
    is_default: bool = False
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastRecord:
    """One email to many, as draft, scheduled or sent. ``template`` is the email template's remote id."""

    remote_id: str
    subject: str = ""
    preview_text: str = ""
    public: bool = False
    published_at: datetime | None = None
    send_at: datetime | None = None
    template: str = ""
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastStatsRecord:
    """How a broadcast (by remote id) fared. Rates are in percent, ``progress`` is a share from 0 to 1."""

    broadcast: str
    status: str = ""
    recipients: int = 0
    open_rate: float = 0.0
    click_rate: float = 0.0
    unsubscribes: int = 0
    total_clicks: int = 0
    progress: float = 0.0
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PurchaseRecord:
    """A purchase, in ``currency`` (three letters). ``transaction_id`` is the site's own."""

    remote_id: str
    transaction_id: str
    email: str
    currency: str
    status: str = ""
    transaction_time: datetime | None = None
    subtotal: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PurchaseItemRecord:
    """One line of a purchase (by remote id), ``position`` from 1. ``product`` and ``line`` are the site's ids."""

    purchase: str
    position: int
    name: str
    product: str = ""
    line: str = ""
    sku: str = ""
    quantity: int = 1
    unit_price: Decimal = Decimal(0)
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookRecord:
    """A webhook that the service keeps. ``event`` is the service's name of it, ``parameter`` what it is bound to.

    ``target_url`` is without its path and query, because they may carry a secret.
    """

    remote_id: str
    event: str
    target_url: str
    parameter: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRecord:
    """The account itself."""

    remote_id: str
    name: str
    plan: str = ""
    email: str = ""
    created_at: datetime | None = None
    raw: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountSnapshotRecord:
    """The figures of an account (by remote id) on one ``day`` of its own time zone, each of the last ``days`` days."""

    account: str
    day: date
    days: int
    subscribers: int
    new_subscribers: int
    cancellations: int
    net_new_subscribers: int
    emails_sent: int
    emails_opened: int
    emails_clicked: int
    raw: Mapping[str, JSON] = field(default_factory=dict)


Record = (
    ContactRecord
    | TagRecord
    | TaggingRecord
    | CustomFieldRecord
    | CompanyRecord
    | FormRecord
    | SequenceRecord
    | FormMemberRecord
    | SequenceMemberRecord
    | SegmentRecord
    | EmailTemplateRecord
    | BroadcastRecord
    | BroadcastStatsRecord
    | PurchaseRecord
    | PurchaseItemRecord
    | WebhookRecord
    | AccountRecord
    | AccountSnapshotRecord
)
