"""All that this app's tables hold of one person, as JSON: for the person, and for staff who may see personal data.

Left out is what cannot be found by person without reading whole tables: deliveries as received (``INBOX_KEPT_DAYS``),
and the request of a large import while its callback is awaited. The user's own row is the site's to export.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, Q
from django.utils import timezone

from mktg_integration.encryption import address_hash
from mktg_integration.exceptions import DecryptionError
from mktg_integration.insight.contacts import subject_of as subject_of_contact
from mktg_integration.insight.rows import rows_of
from mktg_integration.mirror.links import user_pk
from mktg_integration.models import (
    Attempt,
    AuditEntry,
    Connection,
    Contact,
    DeadRow,
    ExplicitActs,
    FormMember,
    Lead,
    OptOut,
    OutboxRow,
    Purchase,
    SequenceMember,
    SyncState,
    Tagging,
)
from mktg_integration.people import address_of, lead_subject, subject_of
from mktg_integration.profile import normal_email

OURS = ("digest", "email_key", "claim_token", "claimed_version", "version")
"""Columns that tell nothing of a person."""


def export_of(person: Model) -> dict[str, Any]:
    """What is held of a user or a lead: of this person, and of this person's address where it is nobody else's.

    Ask first whether the address is theirs (``people.address_is_verified``).
    """
    leads = Lead.objects.filter(email_key=normal_email(address_of(person)))
    if not isinstance(person, Lead):
        leads |= Lead.objects.filter(user_id=person.pk)
    subjects = {subject_of(person), *(lead_subject(lead) for lead in leads)}
    return _export(subjects, address_of(person), list(leads))


def export_of_contact(contact: Contact) -> dict[str, Any]:
    """The same of whoever a contact is: somebody who is gone here, or never was."""
    leads = list(Lead.objects.filter(email_key=contact.email_key))
    return _export({subject_of_contact(contact), *(lead_subject(lead) for lead in leads)} - {""}, contact.email, leads)


def _export(subjects: set[str], address: str, leads: list[Lead]) -> dict[str, Any]:
    key = normal_email(address)
    theirs = Q(subject__in=subjects)
    at_address = Q(email_key=key, subject="") if key else Q(pk__in=())
    linked = Q(user_id__in=[pk for pk in map(user_pk, subjects) if pk is not None], subject="")
    # One by one, each in an index: an OR of them would read the whole table on some databases.
    contacts = {one.pk: one for condition in (theirs, at_address, linked) for one in Contact.objects.filter(condition)}
    states = list(SyncState.objects.filter(theirs))
    addresses = {key, *(contact.email_key for contact in contacts.values()), *(one.email_key for one in states)} - {""}
    hashes = [address_hash(one) for one in sorted(addresses)]
    return {
        "made_at": timezone.now(),
        "people": sorted(subjects),
        "contacts": [_contact(contact) for _, contact in sorted(contacts.items())],
        "leads": _rows(leads),
        "said": _rows(ExplicitActs.objects.filter(theirs).order_by("pk")),
        "opt_outs": _rows(OptOut.objects.filter(address_hash__in=hashes).order_by("pk")),
        "sent": _rows(states),
        "purchases": [_purchase(one) for one in Purchase.objects.filter(email_key=key).order_by("pk")] if key else [],
        "to_be_sent": _outgoing(OutboxRow, subjects),
        "could_not_be_sent": _outgoing(DeadRow, subjects),
        "attempts": _rows(Attempt.objects.filter(theirs).order_by("at", "pk")),
        "done_by_staff_or_person": [
            {"at": one.at, "action": one.action, "by_way_of": one.via, "connection": one.connection_name, **one.detail}
            for one in AuditEntry.objects.filter(theirs).order_by("at", "pk")
        ],
    }


def _contact(contact: Contact) -> dict[str, Any]:
    return {
        **_columns(contact),
        "tags": [
            {"tag": one.tag.name if _has(one, "tag") else one.tag_id, **_membership(one), "tagged_at": one.tagged_at}
            for one in Tagging.objects.filter(contact_id=contact.pk).select_related("tag").order_by("pk")
        ],
        "forms": [
            {"form": one.form.name if _has(one, "form") else one.form_id, **_membership(one), "added_at": one.added_at}
            for one in FormMember.objects.filter(contact_id=contact.pk).select_related("form").order_by("pk")
        ],
        "sequences": [
            {
                "sequence": one.sequence.name if _has(one, "sequence") else one.sequence_id,
                **_membership(one),
                "added_at": one.added_at,
            }
            for one in SequenceMember.objects.filter(contact_id=contact.pk).select_related("sequence").order_by("pk")
        ],
    }


def _membership(row: Any) -> dict[str, Any]:
    return {"last_seen": row.seen_at, "gone_since": row.deleted_at}


def _has(row: Any, name: str) -> bool:
    """A membership may have been told before what it is in."""
    try:
        return getattr(row, name) is not None
    except ObjectDoesNotExist:
        return False


def _purchase(purchase: Purchase) -> dict[str, Any]:
    return {**_columns(purchase), "items": _rows(purchase.items.order_by("position"))}


def _outgoing(model: type[OutboxRow] | type[DeadRow], subjects: set[str]) -> list[dict[str, Any]]:
    return [
        {**_columns(row, but=("payload",)), "payload": _payload(row)}
        for connection in Connection.objects.defer("credentials").order_by("pk")
        for subject in sorted(subjects)
        for row in rows_of(model, connection, subject).order_by("pk")
    ]


def _payload(row: Any) -> Any:
    try:
        return row.payload
    except DecryptionError:
        return None


def _rows(rows: Iterable[Model]) -> list[dict[str, Any]]:
    return [_columns(row) for row in rows]


def _columns(row: Model, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.attname not in (*OURS, *but)
    }
