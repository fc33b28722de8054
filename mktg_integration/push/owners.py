"""Who owns a contact: a contact has one owner, and passes on only when that one is gone or was a lead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Manager
from django.db.models.functions import Lower

from mktg_integration.conf import settings
from mktg_integration.models import Connection, Contact, ExplicitActs, Lead, SyncState
from mktg_integration.people import address_is_verified, parse_subject, user_subject
from mktg_integration.profile import normal_email, spellings
from mktg_integration.push import outbox


def is_gone(subject: str) -> bool:
    """Whether no such user or lead exists any more."""
    kind, pk = parse_subject(subject)
    holders: Manager[Any] = get_user_model()._default_manager if kind == "user" else Lead.objects
    return not holders.filter(pk=pk).exists()


def holds(subject: str, email_key: str) -> bool:
    """Whether this person still is at this address, by the site's own word."""
    kind, pk = parse_subject(subject)
    if kind == "lead":
        return Lead.objects.filter(pk=pk, email_key=email_key).exists()
    user = get_user_model()._default_manager.filter(pk=pk).first()
    return user is not None and normal_email(getattr(user, user.get_email_field_name()) or "") == email_key


def may_pass_on(owner: str, subjects: Sequence[str]) -> bool:
    """Whether the contact may go to one of ``subjects``: its owner is gone, or a lead who is now a verified user."""
    if is_gone(owner):
        return True
    kind, pk = parse_subject(owner)
    user = _verified(subjects) if kind == "lead" else None
    if user is None:
        return False
    Lead.objects.filter(pk=pk).update(user=user)
    rename(owner, user_subject(user))
    return True


def first(subjects: Sequence[str], *, leaving: Collection[str]) -> str:
    """Of people who share an address and whose contact nobody owns: whom it goes to.

    Who leaves speaks for the address; a lead who asked for mail goes before a user who has not shown that the address
    is theirs; else the earliest account.
    """
    leads = [subject for subject in subjects if parse_subject(subject)[0] == "lead"]
    lead_first = bool(leads) and _verified(subjects) is None
    return min(subjects, key=lambda s: (s not in leaving, (s not in leads) if lead_first else (s in leads), _age(s)))


def heirs(connection: Connection, deleted: Mapping[str, str]) -> dict[str, str]:
    """Of deleted users (subject to address): the users who still hold their addresses, and take over the contact."""
    user_model = get_user_model()
    name = user_model.get_email_field_name()
    wanted = {normal_email(email): subject for subject, email in deleted.items()}
    asked = sorted({spelled.lower() for email in deleted.values() for spelled in spellings(email)})
    users = user_model._default_manager.annotate(mktg_email=Lower(name)).filter(mktg_email__in=asked)
    found: dict[str, str] = {}
    for pk, email in users.order_by("pk").values_list("pk", "mktg_email"):
        found.setdefault(wanted[normal_email(email)], user_subject(pk))
    for subject, heir in found.items():
        rename(subject, heir, connection=connection)
    if found:
        outbox.mark(sorted(set(found.values())), connections=[connection.pk])
    return found


def rename(subject: str, heir: str, *, connection: Connection | None = None) -> None:
    """What was sent of one person, and what was said by them, is the other's from now on (everywhere, or there)."""
    states = SyncState.objects.filter(subject=subject)
    contacts = Contact.objects.filter(subject=subject)
    if connection is not None:
        states, contacts = states.filter(connection=connection), contacts.filter(connection=connection)
    taken = set(SyncState.objects.filter(subject=heir).values_list("connection_id", flat=True))
    for state in states:
        state.delete()
        if state.connection_id not in taken:
            state.key, state.subject = f"{state.connection_id}:{heir}", heir
            state.save(force_insert=True)
    contacts.update(subject=heir, user=_user_pk(heir))
    if connection is None:
        said = set(ExplicitActs.objects.filter(subject=heir).values_list("scope", flat=True))
        for acts in ExplicitActs.objects.filter(subject=subject):
            acts.delete()
            if acts.scope not in said:
                acts.key, acts.subject = f"{acts.scope}:{heir}", heir
                acts.save(force_insert=True)


def _verified(subjects: Sequence[str]) -> Any:
    """The user among these who has shown that the address is theirs, by the site's own word."""
    if not settings.EMAIL_VERIFIED:
        return None
    parsed = [parse_subject(subject) for subject in subjects]
    users = get_user_model()._default_manager.filter(pk__in=[pk for kind, pk in parsed if kind == "user"])
    return next((user for user in users.order_by("pk") if address_is_verified(user)), None)


def _user_pk(subject: str) -> Any:
    kind, pk = parse_subject(subject)
    return get_user_model()._meta.pk.to_python(pk) if kind == "user" else None


def _age(subject: str) -> tuple[int, str]:
    """The earlier account first, as far as keys tell."""
    pk = parse_subject(subject)[1]
    return (int(pk) if pk.isdigit() else 0, pk)
