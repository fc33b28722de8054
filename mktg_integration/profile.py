"""What the site wants a provider to know of one person, and the mapping that makes it of a user."""

from __future__ import annotations

import hashlib
import math
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
        if not isinstance(self.email, str):
            raise ProfileError("email must be text: correct the mapping")
        _check_consent(self.consent)
        texts: dict[str, Any] = {
            name: _text(name, getattr(self, name)) for name in ("first_name", "last_name", "user_id", "pid")
        }
        if self.company is not None and not isinstance(self.company, Company):
            raise ProfileError("company must be a Company or None: correct the mapping")
        if self.company is not None:
            _check_fields(self.company.fields)
            for name in ("external_id", "name", "domain"):
                _text(f"company's {name}", getattr(self.company, name))
        for name, moment in (("first_seen_at", self.first_seen_at), ("last_seen_at", self.last_seen_at)):
            if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
                raise ProfileError(f"{name} must be an aware date-time: correct the mapping")
        _check_fields(self.fields)
        return replace(self, email=clean_email(self.email), tags=_tags(self.tags), **texts)


def _check_consent(consent: Any) -> None:
    if not isinstance(consent, Consent):
        raise ProfileError("consent must be a Consent: correct the mapping")
    if not isinstance(consent.status, ConsentStatus):
        raise ProfileError("consent's status must be a ConsentStatus: correct the mapping")
    if not isinstance(consent.who, str) or not isinstance(consent.how, str):
        raise ProfileError("consent's who and how must be text: correct the mapping")
    if consent.when is not None and not isinstance(consent.when, datetime):
        raise ProfileError("consent's when must be a date-time or None: correct the mapping")


def _text(name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise ProfileError(f"{name} must be text: correct the mapping")
    return value or ""


def _tags(tags: Any) -> frozenset[str]:
    if isinstance(tags, str | bytes) or not isinstance(tags, Iterable):
        raise ProfileError("tags must be a collection of names, not one text: correct the mapping")
    names = [tag for tag in tags if tag]
    if not all(isinstance(name, str) for name in names):
        raise ProfileError("tags must be names, as text: correct the mapping")
    return frozenset(name.strip() for name in names if name.strip())


def _check_fields(fields: Any) -> None:
    if not isinstance(fields, Mapping):
        raise ProfileError("fields must be a dict of names and values: correct the mapping")
    for name, value in fields.items():
        if not isinstance(name, str) or not name.strip():
            raise ProfileError("each of the fields must be named by a text that is not empty: correct the mapping")
        if isinstance(value, float | Decimal) and not math.isfinite(value):
            raise ProfileError(f"field {name!r} is no finite number: correct the mapping")
        if not isinstance(value, str | int | float | bool | Decimal | date | None):
            raise ProfileError(f"field {name!r} has a {type(value).__name__}: map it to text, number or date")
        if isinstance(value, datetime) and value.tzinfo is None:
            raise ProfileError(f"field {name!r} is a date-time without a time zone: make it aware")


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


def spellings(email: str) -> list[str]:
    """The address as given and, where its domain has letters beyond ASCII, with the domain spelled in both ways: by
    these a column is searched that holds addresses as people wrote them."""
    email = email.strip()
    domain = email.rpartition("@")[2].casefold()
    if domain.isascii() and "xn--" not in domain:
        return [email]
    try:
        checked = validate_email(email, check_deliverability=False, globally_deliverable=False, allow_smtputf8=True)
    except EmailNotValidError:
        return [email]
    return sorted({email, *(f"{checked.local_part}@{spelled}" for spelled in (checked.domain, checked.ascii_domain))})


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
