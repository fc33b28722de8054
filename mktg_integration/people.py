"""People of the site: users by their address, and leads."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import models

from mktg_integration.conf import NAME, settings
from mktg_integration.models import Contact, Lead
from mktg_integration.profile import clean_email, normal_email

ALL = "*"
"""The scope of an act or an opt-out that is meant for all connections."""


def user_by_email(email: str) -> models.Model | None:
    """The earliest user who has this address, compared without case."""
    user_model = get_user_model()
    name = user_model.get_email_field_name()
    user: models.Model | None = (
        user_model._default_manager.filter(**{f"{name}__iexact": email.strip()}).order_by("pk").first()
    )
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
