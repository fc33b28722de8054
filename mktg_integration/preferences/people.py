"""Whose preferences they are: from a link's subject to the person as the site has it now."""

from __future__ import annotations

import hmac

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model

from mktg_integration.encryption import address_hash
from mktg_integration.models import Contact, Lead, SyncState
from mktg_integration.people import address_of
from mktg_integration.preference_links import Link
from mktg_integration.push.outbox import lead_subject, parse_subject, user_subject


def find(subject: str) -> Model | None:
    """The user or lead; of a lead that became a user, the user. None where there is nobody any more."""
    kind, pk = parse_subject(subject)
    try:
        if kind == "user":
            user: Model | None = get_user_model()._default_manager.filter(pk=pk).first()
            return user
        lead = Lead.objects.select_related("user").filter(pk=pk).first()
    except (ValueError, ValidationError):
        # Signed before the site changed its user model.
        return None
    return lead if lead is None or lead.user is None else lead.user


def subject_of(person: Model) -> str:
    return lead_subject(person.pk) if isinstance(person, Lead) else user_subject(person)


def has_address(person: Model, link: Link) -> bool:
    """Whether the address that the link was sent to is still this person's."""
    address = address_of(person)
    return bool(address) and hmac.compare_digest(address_hash(address), link.address_hash)


def known_addresses(subject: str) -> list[str]:
    """The addresses by which services know somebody who is gone here."""
    sent = SyncState.objects.filter(subject=subject).values_list("sent", flat=True)
    mirrored = Contact.objects.filter(subject=subject).values_list("email", flat=True)
    return sorted({*(str(one.get("email", "")) for one in sent), *mirrored} - {""})
