"""What Conversion lets one read: a contact by its address (v1), and the exports that some accounts have (v2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError, UnsupportedError
from mktg_integration.profile import normal_email
from mktg_integration.providers.base import Page
from mktg_integration.providers.conversion import errors, schemas
from mktg_integration.providers.conversion.client import ConversionClient
from mktg_integration.providers.conversion.normal import STATUSES, answered_values
from mktg_integration.providers.conversion.options import ConversionOptions, Dialect
from mktg_integration.records import ContactRecord, ContactStatus

JSON = Any

NOBODY = "nobody@example.invalid"
"""An address that nobody can have (RFC 2606)."""


def contact_record(found: schemas.V1Contact, *, remote_id: str) -> ContactRecord:
    """v1 "Get Contact by Email". A status that is not documented is ``UNREAD``."""
    return ContactRecord(
        remote_id=remote_id,
        email=found.email,
        status=STATUSES.get(found.subscription_status, ContactStatus.UNREAD),
        values=answered_values(found.variables or {}),
        created_at=found.created_at,
        raw=found.model_dump(mode="json", by_alias=True),
    )


def look_up(contact: ContactRecord, client: ConversionClient, options: ConversionOptions) -> ContactRecord | None:
    """The contact anew, by its address. Its id stays the one that it is known by, because v1's and v2's are not said
    to be the same; so does its company, which v1 does not tell.

    Raises ``UnsupportedError`` where the key may not use v1, ``MalformedAnswerError`` for another one's contact.
    """
    if not options.read_status:
        raise UnsupportedError("READ_STATUS is off: the key may not read contacts by Conversion's v1")
    try:
        found = client.v1_contact(contact.email)
    except ServiceError as error:
        if errors.is_contact_missing(error):
            return None
        if options.dialect is Dialect.V2 and error.status in (401, 403, 404):
            raise UnsupportedError(
                "the key may not read contacts by Conversion's v1: set READ_STATUS to False"
            ) from None
        raise
    if normal_email(found.email) != normal_email(contact.email):
        raise MalformedAnswerError("conversion: GET /v1/contacts/by-email/{email} answered another contact's email")
    return replace(contact_record(found, remote_id=contact.remote_id), company=contact.company)


def read_contacts(cursor: str | None, client: ConversionClient) -> Page:
    """One page of an export. Raises ``MalformedAnswerError`` for a contact without id or address."""
    contacts, following = client.export_page(cursor)
    return Page(records=[_exported(contact) for contact in contacts], cursor=following)


def _exported(contact: Mapping[str, JSON]) -> ContactRecord:
    """The form of an exported contact is not documented: the names of both dialects are understood."""
    remote_id = contact.get("cnvContactId") or contact.get("contactId") or contact.get("id")
    email = contact.get("email")
    if not isinstance(remote_id, str) or not isinstance(email, str):
        raise MalformedAnswerError("conversion: POST /v2/exports/contacts told of a contact without id or email")
    fields = contact.get("fields") or contact.get("variables") or {}
    company = contact.get("companyFields") or {}
    if not isinstance(fields, Mapping) or not isinstance(company, Mapping):
        raise MalformedAnswerError("conversion: POST /v2/exports/contacts told of fields that are no object")
    # A status that is left out has not been told; ``null`` is one.
    status = ContactStatus.UNREAD
    if "subscriptionStatus" in contact:
        status = STATUSES.get(contact["subscriptionStatus"], ContactStatus.UNREAD)
    return ContactRecord(
        remote_id=remote_id,
        email=email,
        status=status,
        values=answered_values(fields),
        company=answered_values(company),
        raw=dict(contact),
    )


def verify(client: ConversionClient, options: ConversionOptions) -> str:
    """Whether the key is taken: v2 by an upsert without a person (``missing_identifier``), v1 by looking for nobody."""
    if options.dialect is Dialect.V1:
        _look_for_nobody(client)
        return "v1 takes the key"
    try:
        client.upsert_contact({}, updateOnly=True)
    except ServiceError as error:
        if error.action is not Action.REJECT:
            raise
    if not options.read_status:
        return "v2 takes the key; v1 is not used (READ_STATUS)"
    try:
        _look_for_nobody(client)
    except ServiceError as error:
        if error.status not in (401, 403, 404):
            raise
        return "v2 takes the key and v1 does not: set READ_STATUS to False; erasing then needs a person"
    return "v2 and v1 take the key"


def _look_for_nobody(client: ConversionClient) -> None:
    try:
        client.v1_contact(NOBODY)
    except ServiceError as error:
        if not errors.is_contact_missing(error):
            raise
