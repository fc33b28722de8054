"""Conversion's normal form of a person: field keys and values as the service keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.exceptions import ProfileError
from mktg_integration.profile import Company, Profile
from mktg_integration.providers.base import Snapshot
from mktg_integration.providers.conversion.options import ConversionOptions, Dialect
from mktg_integration.providers.values import json_value
from mktg_integration.records import CompanyRecord, ContactStatus

JSON = Any

EXTERNAL_CONTACT = "externalContact"
"""Among the values of the v1 dialect: the site's own reference (v1, "Batch Upsert Contacts"), not a contact field."""
COMPANY_ID = "id"
"""Among the fields of a company: the site's own id. v2 sends it under ``COMPANY_ID_FIELD`` alone."""
BASE_DOMAIN = "baseDomain"
COMPANY_NAME = "company_name"
WEBSITE = "website"

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
    if profile.company is not None and COMPANY_ID in profile.company.fields:
        raise ProfileError(f"company field {COMPANY_ID!r} is the site's own id: set it as external_id on the company")
    if options.dialect is Dialect.V2:
        company = _company_fields(profile.company)
    else:
        if user_id:
            values[EXTERNAL_CONTACT] = {"id": user_id}
        if profile.company is not None:
            # v1 documents no link from a contact to a company, but a contact's variable of that name.
            values.setdefault(COMPANY_NAME, json_value(COMPANY_NAME, profile.company.name))
            company = _company_with_id(profile.company)
    consent = profile.consent
    return Snapshot(
        email=profile.email, values=values, company=company, consent=consent.status, evidence=consent.evidence
    )


def _company_fields(company: Company | None) -> dict[str, JSON]:
    if company is None:
        return {}
    fields = {COMPANY_NAME: company.name, WEBSITE: company.domain, **company.fields}
    told = {name: json_value(name, value) for name, value in fields.items()}
    return {**told, COMPANY_ID: company.external_id} if company.external_id else told


def _company_with_id(company: Company) -> dict[str, JSON]:
    if not company.external_id:
        return {}
    fields = {COMPANY_NAME: company.name, **company.fields}
    variables = {name: json_value(name, value) for name, value in fields.items()}
    return {**variables, COMPANY_ID: company.external_id, BASE_DOMAIN: company.domain.strip().lower() or None}


def company_record(company: Mapping[str, JSON]) -> CompanyRecord:
    """The mirror's record of a company that the service has taken, of its normal form; it has a ``COMPANY_ID``."""
    fields = {name: value for name, value in company.items() if name not in (COMPANY_ID, BASE_DOMAIN)}
    return CompanyRecord(
        external_id=str(company[COMPANY_ID]),
        name=str(fields.get(COMPANY_NAME) or ""),
        domain=str(company.get(BASE_DOMAIN) or fields.get(WEBSITE) or ""),
        values=fields,
    )


def answered_values(fields: Mapping[str, JSON]) -> dict[str, JSON]:
    """A contact's fields as answered, in normal form."""
    return {name: None if value == "" else value for name, value in fields.items()}
