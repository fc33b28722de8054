"""Conversion's normal form of a person: field keys and values as the service keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.profile import Company, Profile
from mktg_integration.providers.base import Snapshot
from mktg_integration.providers.conversion.options import ConversionOptions, Dialect
from mktg_integration.providers.values import json_value
from mktg_integration.records import ContactStatus

JSON = Any

EXTERNAL_CONTACT = "externalContact"
"""Among the values of the v1 dialect: the site's own reference (v1, "Batch Upsert Contacts"), not a contact field."""
COMPANY_ID = "id"
BASE_DOMAIN = "baseDomain"

SUBSCRIBED = "SUBSCRIBED"
UNSUBSCRIBED = "UNSUBSCRIBED"

STATUSES: Mapping[str | None, ContactStatus] = {
    "SUBSCRIBED": ContactStatus.ACTIVE,
    "UNSUBSCRIBED": ContactStatus.UNSUBSCRIBED,
    "BOUNCED": ContactStatus.BOUNCED,
    "COMPLAINED": ContactStatus.COMPLAINED,
    "NO_STATUS": ContactStatus.INACTIVE,
    "PENDING": ContactStatus.INACTIVE,
    None: ContactStatus.INACTIVE,
}
"""The documented statuses. Others are managed by the service and unknown here: such a contact counts as unread."""


def snapshot(profile: Profile, *, user_id: str, options: ConversionOptions) -> Snapshot:
    """``profile`` as Conversion keeps it. Raises ``ProfileError`` naming a field that it cannot take."""
    fields = {"first_name": profile.first_name, "last_name": profile.last_name, **profile.fields}
    values = {name: json_value(name, value) for name, value in fields.items()}
    if options.tags_field:
        values[options.tags_field] = ", ".join(sorted(profile.tags)) or None
    company: dict[str, JSON] = {}
    if options.dialect is Dialect.V2:
        company = _company_fields(profile.company)
    else:
        if user_id:
            values[EXTERNAL_CONTACT] = {"id": user_id}
        if profile.company is not None:
            # v1 documents no link from a contact to a company, but a contact's variable of that name.
            values.setdefault("company_name", json_value("company_name", profile.company.name))
            company = _company_with_id(profile.company)
    consent = profile.consent
    return Snapshot(
        email=profile.email, values=values, company=company, consent=consent.status, evidence=consent.evidence
    )


def _company_fields(company: Company | None) -> dict[str, JSON]:
    if company is None:
        return {}
    fields = {"company_name": company.name, "website": company.domain, **company.fields}
    return {name: json_value(name, value) for name, value in fields.items()}


def _company_with_id(company: Company) -> dict[str, JSON]:
    if not company.external_id:
        return {}
    fields = {"company_name": company.name, **company.fields}
    variables = {name: json_value(name, value) for name, value in fields.items()}
    return {**variables, COMPANY_ID: company.external_id, BASE_DOMAIN: company.domain.strip().lower() or None}


def answered_values(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """A contact's fields as answered, in normal form."""
    return {name: None if value == "" else value for name, value in fields.items()}
