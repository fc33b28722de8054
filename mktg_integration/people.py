"""People of the site: users and leads, by their address and by their subject (``user:<pk>``, ``lead:<id>``)."""

from __future__ import annotations

from typing import Any, Literal

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models

from mktg_integration.conf import NAME, settings
from mktg_integration.models import Contact, Lead, SyncState
from mktg_integration.profile import clean_email, normal_email, spellings

ALL = "*"
"""The scope of an act or an opt-out that is meant for all connections."""


# Subjects


def user_subject(user: Any) -> str:
    """``user:<pk>`` of a user or of a user's primary key."""
    return f"user:{getattr(user, 'pk', user)}"


def lead_subject(lead: Any) -> str:
    """``lead:<id>`` of a lead or of a lead's id."""
    return f"lead:{getattr(lead, 'pk', lead)}"


def subject_of(person: models.Model) -> str:
    """The subject of a user or a lead."""
    return lead_subject(person.pk) if isinstance(person, Lead) else user_subject(person)


def parse_subject(subject: str) -> tuple[Literal["user", "lead"], str]:
    """``("user" | "lead", primary key as text)``. Raises ``ValueError``."""
    kind, separator, pk = subject.partition(":")
    if not separator or not pk or kind not in ("user", "lead"):
        raise ValueError(f"no subject: {kind!r} is neither user nor lead, or the key is missing")
    return ("user" if kind == "user" else "lead"), pk


def is_possible(subject: str) -> bool:
    """Whether somebody can have this subject: a key that the column can hold, written as it writes it.

    False of one from before the site changed its user model. Raises ``ValueError`` for what is no subject.
    """
    kind, pk = parse_subject(subject)
    field: Any = (get_user_model() if kind == "user" else Lead)._meta.pk
    try:
        value = field.to_python(pk)
        field.run_validators(value)
    except ValidationError:
        return False
    return str(value) == pk


def row_of(subject: str) -> models.Model | None:
    """The user or the lead; None where there is none any more. Raises ``ValueError`` for what is no subject."""
    kind, pk = parse_subject(subject)
    users: Any = get_user_model()._default_manager
    rows = users if kind == "user" else Lead.objects.select_related("user")
    try:
        row: models.Model | None = rows.filter(pk=pk).first()
    except (ValueError, ValidationError):
        # Written before the site changed its user model.
        return None
    return row


def person_of(subject: str) -> models.Model | None:
    """As ``row_of``; of a lead that became a user, the user."""
    row = row_of(subject)
    return row.user if isinstance(row, Lead) and row.user is not None else row


def addresses_left(subject: str) -> list[str]:
    """The addresses by which services know somebody who is gone here."""
    sent = SyncState.objects.filter(subject=subject).values_list("sent", flat=True)
    mirrored = Contact.objects.filter(subject=subject).values_list("email", flat=True)
    return sorted({*(str(one.get("email") or "") for one in sent), *mirrored} - {""})


# Addresses


def user_by_email(email: str) -> models.Model | None:
    """The earliest user who has this address, compared without case, however its domain is spelled."""
    user_model = get_user_model()
    name = user_model.get_email_field_name()
    at = models.Q()
    for spelled in spellings(email):
        at |= models.Q(**{f"{name}__iexact": spelled})
    user: models.Model | None = user_model._default_manager.filter(at).order_by("pk").first()
    return user


def address_of(person: models.Model | str) -> str:
    """The address of a user, a lead, a contact, or the address itself; empty where a user has none."""
    if isinstance(person, str):
        return person.strip()
    if isinstance(person, Lead | Contact):
        return person.email
    # Asked of the person, not of its type: request.user is a proxy of another type.
    return str(getattr(person, person.get_email_field_name(), "") or "").strip()  # type: ignore[attr-defined]


def address_is_verified(user: models.Model) -> bool:
    """Whether this user has shown that the address is theirs, by the site's own word (``EMAIL_VERIFIED``); False where
    the site has no such function."""
    if not settings.EMAIL_VERIFIED:
        return False
    return bool(settings.import_path(settings.EMAIL_VERIFIED, f'{NAME}["EMAIL_VERIFIED"]')(user))


def lead_for(email: str, **profile: Any) -> Lead:
    """The lead with this address, made or given ``profile``'s values. Raises ``ProfileError``."""
    clean = clean_email(email)
    values = {name: value for name, value in profile.items() if value not in (None, "")}
    lead, _ = Lead.objects.update_or_create(email_key=normal_email(clean), defaults={"email": clean, **values})
    return lead
