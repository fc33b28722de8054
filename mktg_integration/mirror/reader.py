"""The mirror's rows, as the engines ask for them."""

from __future__ import annotations

from collections.abc import Iterable

from mktg_integration.models import Connection, Contact, CustomField, Tag, Tagging
from mktg_integration.profile import normal_email
from mktg_integration.records import ContactRecord, ContactStatus


def to_record(contact: Contact) -> ContactRecord:
    """The contact as the service told of it."""
    return ContactRecord(
        remote_id=contact.remote_id,
        email=contact.email,
        status=ContactStatus(contact.status),
        values=contact.values,
        company=contact.company_values,
        created_at=contact.remote_created_at,
        raw=contact.raw,
    )


def contacts_by_email(connection: Connection, emails: Iterable[str]) -> dict[str, Contact]:
    """The contacts that the connection has of these addresses, by ``normal_email``. One statement.

    Contacts that are gone are left out; of several with one address the one that was seen last counts.
    """
    wanted = sorted({normal_email(email) for email in emails} - {""})
    if not wanted:
        return {}
    rows = Contact.objects.filter(connection=connection, email_key__in=wanted, deleted_at=None).order_by("seen_at")
    return {contact.email_key: contact for contact in rows}


def catalogue(connection: Connection) -> tuple[dict[str, Tag], dict[str, CustomField]]:
    """The tags by ``name_key`` and the custom fields by ``field_key`` that the account has. Two statements.

    Of several tags with one name the oldest counts.
    """
    tags = Tag.objects.filter(connection=connection, deleted_at=None).order_by("-remote_created_at", "-key")
    fields = CustomField.objects.filter(connection=connection, deleted_at=None)
    return {tag.name_key: tag for tag in tags}, {field.field_key: field for field in fields}


def tag_names(contacts: Iterable[str]) -> dict[str, frozenset[str]]:
    """The ``name_key``s of the tags that these contacts (by key) have. One statement."""
    names: dict[str, set[str]] = {key: set() for key in contacts}
    rows = Tagging.objects.filter(contact__in=list(names), deleted_at=None, tag__deleted_at=None)
    for contact, name in rows.values_list("contact_id", "tag__name_key"):
        names[contact].add(name)
    return {key: frozenset(found) for key, found in names.items()}
