"""What a Kit account holds, as immutable rows."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ConfigDict

SubscriberState = Literal["active", "bounced", "cancelled", "complained", "inactive"]
STATES: tuple[SubscriberState, ...] = ("active", "bounced", "cancelled", "complained", "inactive")
OPTED_OUT: frozenset[SubscriberState] = frozenset({"bounced", "cancelled", "complained"})
"""States of people who may not be mailed until they themselves come back."""

# World files are checked against these classes; an unknown key in one is a mistake worth telling.
STRICT = ConfigDict(extra="forbid")


def field_key(label: str) -> str:
    """A custom field's key: its label in ASCII, lower case, underscored ("Create a custom field")."""
    ascii_only = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", ascii_only.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Its ``fields`` are by the custom field's key, and hold only what was set."""

    __pydantic_config__ = STRICT
    id: int
    email_address: str
    created_at: str
    updated_at: str
    first_name: str | None = None
    state: SubscriberState = "active"
    cancelled_at: str | None = None
    """Kept while an opted-out subscriber has been asked to confirm, so that a return can be told."""
    fields: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CustomField:
    """The name keeps the key of the day the field was made; label and key may change.

    ``deletable``: False for one that Kit refuses to delete.
    """

    __pydantic_config__ = STRICT
    id: int
    label: str
    key: str
    name: str
    created_at: str
    deletable: bool = True


@dataclass(frozen=True, slots=True)
class Tag:
    __pydantic_config__ = STRICT
    id: int
    name: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Segment:
    __pydantic_config__ = STRICT
    id: int
    name: str
    created_at: str


@dataclass(frozen=True, slots=True)
class EmailTemplate:
    __pydantic_config__ = STRICT
    id: int
    name: str
    is_default: bool = False
    category: str = "HTML"


@dataclass(frozen=True, slots=True)
class Form:
    """``confirmation``: whether the form asks a newcomer to confirm by email."""

    __pydantic_config__ = STRICT
    id: int
    name: str
    created_at: str
    uid: str
    type: Literal["embed", "hosted"] = "embed"
    format: str | None = None
    archived: bool = False
    trashed: bool = False
    confirmation: bool = True


@dataclass(frozen=True, slots=True)
class Sequence:
    __pydantic_config__ = STRICT
    id: int
    name: str
    created_at: str
    hold: bool = False
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Broadcast:
    __pydantic_config__ = STRICT
    id: int
    created_at: str
    email_template_id: int
    subject: str | None = None
    preview_text: str | None = None
    description: str | None = None
    content: str | None = None
    public: bool = False
    published_at: str | None = None
    send_at: str | None = None
    thumbnail_alt: str | None = None
    thumbnail_url: str | None = None
    email_address: str | None = None
    subscriber_filter: list[dict[str, Any]] = field(default_factory=lambda: [{"all": [{"type": "all_subscribers"}]}])


@dataclass(frozen=True, slots=True)
class LineItem:
    """One product of a purchase, in the order of keys that the document shows."""

    __pydantic_config__ = STRICT
    quantity: int
    lid: str
    unit_price: float
    sku: str | None
    name: str
    pid: str


@dataclass(frozen=True, slots=True)
class Purchase:
    __pydantic_config__ = STRICT
    id: int
    transaction_id: str
    status: str
    email_address: str
    currency: str
    transaction_time: str
    subtotal: float
    discount: float
    tax: float
    total: float
    products: list[LineItem]


@dataclass(frozen=True, slots=True)
class Product:
    """Made by the first purchase that names its ``pid``."""

    __pydantic_config__ = STRICT
    id: int
    pid: str
    name: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """The older kind: ``event`` without its prefix, ``parameter`` the id or link that it waits for."""

    __pydantic_config__ = STRICT
    id: int
    event: str
    target_url: str
    parameter: int | str | None = None


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """The newer, signed kind."""

    __pydantic_config__ = STRICT
    id: int
    url: str
    events: list[str]
    secret: str
    created_at: str
    name: str | None = None
    description: str | None = None
    status: Literal["active", "disabled"] = "active"
    previous_secret: str | None = None
    previous_secret_expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Work that was answered 202 and is done at ``due`` (seconds since the epoch)."""

    __pydantic_config__ = STRICT
    id: int
    kind: str
    items: list[dict[str, Any]]
    due: float
    size: int
    """Bytes of the request, which count against the queue's quota."""
    callback_url: str | None = None
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code that has not been exchanged."""

    __pydantic_config__ = STRICT
    code: str
    client_id: str
    redirect_uri: str
    scope: str
    expires_at: float
    challenge: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its refresh token; ``refreshed``: the refresh token has been used."""

    __pydantic_config__ = STRICT
    access_token: str
    refresh_token: str
    client_id: str
    scope: str
    created_at: float
    expires_at: float
    refreshed: bool = False
    revoked: bool = False
    tenant: str | None = None


@dataclass(slots=True)
class Account:
    __pydantic_config__ = STRICT
    id: int = 1
    name: str = "Sandbox"
    plan_type: str = "creator"
    primary_email_address: str = "owner@example.com"
    user_email: str = "owner@example.com"
    created_at: str = "2023-02-17T11:43:55Z"
    utc_offset_hours: float = -5
    """Of the sending time zone, which growth stats are told in."""
    colors: list[str] = field(default_factory=list)
    emails_sent: int = 0
    emails_clicked: int = 0
    emails_opened: int = 0


@dataclass(slots=True)
class Profile:
    """The creator profile, where the account has one."""

    __pydantic_config__ = STRICT
    name: str
    byline: str
    bio: str
    image_url: str
    profile_url: str


@dataclass(slots=True)
class RateLimit:
    """Requests in any rolling ``seconds``, for each API key and for each OAuth token."""

    __pydantic_config__ = STRICT
    api_key: int = 120
    oauth: int = 600
    seconds: float = 60


@dataclass(slots=True)
class Settings:
    """How this Kit behaves; all can be changed while it runs."""

    __pydantic_config__ = STRICT
    rate_limit: RateLimit | None = field(default_factory=RateLimit)
    """None: no limit."""
    list_lag: float = 0
    """Seconds that lists, but not look-ups by id, lag behind writes."""
    async_delay: float = 0.5
    """Seconds until what was answered 202 is done."""
    token_lifetime: float = 172_800
    """Seconds for which an access token is good."""
    newer_endpoints: bool = False
    """Serve those endpoints that are newer than the document."""
    duplicate_tag: Literal["error", "existing"] = "error"
    """Creating a tag whose name is taken: the document's 422, or today's 200 with the existing tag."""
    subscriber_limit: int | None = None
    """Of the account's plan; a bulk request beyond it is refused with 403."""
    bulk_queue_limit: int = 300_000_000
    """Bytes of requests that may wait; beyond it 413."""
    broadcasts_allowed: bool = True
    """False: writing broadcasts is refused with 403."""
    auto_consent: bool = False
    """True: the authorize page redirects at once, without asking."""
    redirect_uris: dict[str, list[str]] = field(default_factory=dict)
    """Allowed redirect URIs by client id; a client without an entry may use any."""
