"""What the site wants a provider to know of one person, and the mapping that makes it of a user."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from email_validator import EmailNotValidError, validate_email

from mktg_integration.exceptions import ProfileError

FieldValue = str | int | float | bool | Decimal | date | datetime | None
"""``None`` and ``""`` both mean: empty at the service."""


class ConsentStatus(StrEnum):
    GRANTED = "granted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether the person agreed to be mailed, with the evidence: who said it, when, and how."""

    status: ConsentStatus = ConsentStatus.UNKNOWN
    who: str = ""
    when: datetime | None = None
    how: str = ""

    @classmethod
    def granted(cls, *, who: str = "", when: datetime | None = None, how: str = "") -> Consent:
        return cls(ConsentStatus.GRANTED, who, when, how)

    @classmethod
    def refused(cls, *, who: str = "", when: datetime | None = None, how: str = "") -> Consent:
        """A no. Give ``when``: ``subscribe()`` lifts a refusal that it is later than, and never one without a date,
        which may have been said a moment ago; that one ends when the mapping stops saying so."""
        return cls(ConsentStatus.REFUSED, who, when, how)

    @property
    def evidence(self) -> str:
        """A digest that differs for every new piece of evidence; it tells nothing of the person."""
        when = self.when.isoformat() if self.when else ""
        text = "\x1f".join((self.status, self.who, when, self.how))
        return hashlib.sha256(text.encode()).hexdigest()[:24]


UNKNOWN = Consent()


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """The company that a person belongs to; ``external_id`` is the site's own id of it."""

    external_id: str = ""
    name: str = ""
    domain: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What the site wants a provider to know of one person.

    ``fields`` are named as the service labels or keys them; only fields named here are ever written.
    ``tags`` are names (tags at Kit, segments at ConvertLoop). ``user_id`` and ``pid`` identify a person at
    ConvertLoop; where ``user_id`` is empty the user's primary key is sent.
    """

    email: str
    first_name: str = ""
    last_name: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    tags: Iterable[str] = frozenset()
    company: Company | None = None
    consent: Consent = UNKNOWN
    user_id: str = ""
    pid: str = ""
    first_seen_at: datetime | None = None
    last_seen_at: datetime | None = None

    def checked(self) -> Profile:
        """This profile with its address and tags cleaned.

        Raises ``ProfileError`` naming the field (never its value) where a service could not take it.
        """
        if not isinstance(self.email, str) or not isinstance(self.consent, Consent):
            raise ProfileError("email must be text and consent a Consent: correct the mapping")
        if isinstance(self.tags, str):
            raise ProfileError("tags must be a collection of names, not one text: correct the mapping")
        if self.company is not None and not isinstance(self.company, Company):
            raise ProfileError("company must be a Company or None: correct the mapping")
        for name, moment in (("first_seen_at", self.first_seen_at), ("last_seen_at", self.last_seen_at)):
            if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
                raise ProfileError(f"{name} must be an aware date-time: correct the mapping")
        for name, value in self.fields.items():
            if not isinstance(value, str | int | float | bool | Decimal | date | None):
                raise ProfileError(f"field {name!r} has a {type(value).__name__}: map it to text, number or date")
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ProfileError(f"field {name!r} is a date-time without a time zone: make it aware")
        tags = frozenset(tag.strip() for tag in self.tags if tag and tag.strip())
        return replace(self, email=clean_email(self.email), tags=tags)


def clean_email(email: str) -> str:
    """The address as it is sent: trimmed, the domain in lower case and ASCII (IDNA), as the services take it.

    Raises ``ProfileError`` if it is malformed.
    """
    try:
        checked = validate_email(
            email.strip(), check_deliverability=False, globally_deliverable=False, allow_smtputf8=True
        )
    except EmailNotValidError:
        raise ProfileError("email is not a valid address: correct it at the user") from None
    return f"{checked.local_part}@{checked.ascii_domain}"


def normal_email(email: str) -> str:
    """The form in which addresses are compared: whatever their case, and their domain's spelling."""
    if not email.rpartition("@")[2].isascii():
        with suppress(ProfileError):
            email = clean_email(email)
    return email.strip().casefold()


Mapper = Callable[[Any, Any], "Profile | None"]
"""A mapping: ``(user, connection) -> Profile | None``; None: this user does not go there.

It may carry two attributes: ``prepare(queryset) -> queryset``, which joins and prefetches what it reads, and
``ignores``, the names of user fields whose change alone means nothing to it (default ``{"last_login"}``).
"""

IGNORED_BY_DEFAULT = frozenset({"last_login"})


def default_mapping(user: Any, connection: Any) -> Profile | None:
    """Address and names as Django's user models have them; consent unknown. None for a user without an address."""
    email = getattr(user, user.get_email_field_name(), "") or ""
    if not email.strip():
        return None
    return Profile(
        email=email,
        first_name=getattr(user, "first_name", "") or "",
        last_name=getattr(user, "last_name", "") or "",
    )
