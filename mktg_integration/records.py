"""What providers give and take: plain dataclasses, without ORM, settings or HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
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


Record = ContactRecord | TagRecord | TaggingRecord | CustomFieldRecord | CompanyRecord
