"""Conversion v1: contacts, subscription statuses, engagements and companies.

Implements the reference's "External API Documentation". Its example bodies are lost and only the field lists
are left; the envelopes are those of the field notes. Where both are silent:

- Batches are ``{"contacts": […]}`` and ``{"companies": […]}``, 1 to 1000 items. The subscription batch takes
  ``{"contacts": [{"email", "subscriptionStatus"}]}``, also with ``status`` for ``subscriptionStatus``. An
  engagement is one object of the listed fields.
- A bad item, and an unknown contact in the subscription batch, is left out of ``data``, unless the world has
  ``v1_refuse_whole_batch``: then the whole batch is a 400 VALIDATION_ERROR that names the item.
- Statuses: 400 VALIDATION_ERROR, 401 UNAUTHORIZED, 404 NOT_FOUND, 409 DUPLICATE_ERROR (two companies with one
  ``baseDomain``, where the world has ``unique_base_domain``), 429 RATE_LIMIT_EXCEEDED, 500 INTERNAL_ERROR.
- A contact made here has NO_STATUS until a status is set; any key is taken in ``variables``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from ..values import place, undocumented_shapes
from ..wire import Request
from .answers import Answer, Body, Refused, check_batch_size, email_address, join_notes, read_json
from .store import Store, write_fields
from .world import Company, Engagement

STATUSES = ("SUBSCRIBED", "UNSUBSCRIBED", "PENDING")
INVALID = "VALIDATION_ERROR"


def _status(text: str) -> str:
    if text not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return text


class ContactItem(Body):
    email: Annotated[str, AfterValidator(email_address)]
    variables: dict[str, Any] = {}
    externalContact: Any = None  # noqa: N815 (the document's name)


class SubscriptionItem(Body):
    email: Annotated[str, AfterValidator(email_address)]
    subscriptionStatus: Annotated[str, AfterValidator(_status)] = ""  # noqa: N815
    status: Annotated[str, AfterValidator(_status)] = ""


class CompanyItem(Body):
    id: str = Field(min_length=1)
    baseDomain: str | None = None  # noqa: N815
    variables: dict[str, Any] = {}


class EngagementBody(Body):
    contactEmail: Annotated[str, AfterValidator(email_address)]  # noqa: N815
    type: Literal["ACTIVITY"]
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    data: Any = None


class ContactsBody(Body):
    contacts: list[Any]


class CompaniesBody(Body):
    companies: list[Any]


B = TypeVar("B", bound=Body)


def _parse(model: type[B], value: Any, where: tuple[str | int, ...] = ()) -> B:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        message = "; ".join(f"{place((*where, *p['loc'])) or 'body'}: {p['msg']}" for p in problems)
        raise Refused(INVALID, message, undocumented=undocumented_shapes(problems)) from error


def _batch(store: Store, key: str, items: list[Any], model: type[B], apply: Callable[[B], Any]) -> Answer:
    """Apply each item; a bad one refuses all before anything is done, or is left out of the answer."""
    check_batch_size(items, INVALID)
    parsed: list[B] = []
    notes: list[str | None] = []
    for index, item in enumerate(items):
        try:
            parsed.append(_parse(model, item, (key, index)))
        except Refused as refused:
            if store.settings.v1_refuse_whole_batch:
                raise
            notes.append(refused.undocumented)
    done = [apply(item) for item in parsed]
    return Answer({"success": True, "data": [row for row in done if row is not None]}, join_notes(notes))


def upsert_contacts(store: Store, request: Request) -> Answer:
    """``POST /v1/contacts/batch``."""

    def apply(item: ContactItem) -> dict[str, Any]:
        found = store.by_email(item.email)
        contact = found or store.create(item.email)
        write_fields(contact.fields, item.variables)
        if "externalContact" in item.model_fields_set:
            contact.external_contact = item.externalContact
        if found:
            store.touch(found)
        operation = "updated" if found else "created"
        return {"email": contact.email, "contactId": contact.id, "operation": operation}

    body = _parse(ContactsBody, read_json(request, INVALID))
    return _batch(store, "contacts", body.contacts, ContactItem, apply)


def get_contact(store: Store, request: Request, email: str) -> Answer:
    """``GET /v1/contacts/by-email/{email}``."""
    contact = store.by_email(email)
    if contact is None:
        raise Refused("NOT_FOUND", "Contact not found", status=404)
    return Answer(
        {
            "success": True,
            "data": {
                "id": contact.id,
                "businessId": store.settings.business_id,
                "email": contact.email,
                "variables": contact.fields,
                "subscriptionStatus": contact.subscription_status,
                "createdAt": contact.created_at,
            },
        }
    )


def delete_contact(store: Store, request: Request, email: str) -> Answer:
    """``DELETE /v1/contacts/by-email/{email}``."""
    contact = store.by_email(email)
    if contact is None:
        raise Refused("NOT_FOUND", "Contact not found", status=404)
    store.delete(contact)
    return Answer({"success": True, "message": "Contact deleted successfully"})


def set_subscriptions(store: Store, request: Request) -> Answer:
    """``POST /v1/contacts/batch-subscription``."""

    def apply(item: SubscriptionItem) -> dict[str, Any] | None:
        contact = store.by_email(item.email)
        status = item.subscriptionStatus or item.status
        if contact is None or not status:
            return None
        store.set_status(contact, status)
        store.touch(contact)
        return {"email": contact.email, "contactId": contact.id, "subscriptionStatus": status}

    body = _parse(ContactsBody, read_json(request, INVALID))
    if store.settings.v1_refuse_whole_batch:
        _refuse_unknown_or_unset(store, body.contacts)
    return _batch(store, "contacts", body.contacts, SubscriptionItem, apply)


def _refuse_unknown_or_unset(store: Store, items: list[Any]) -> None:
    for index, raw in enumerate(items):
        item = _parse(SubscriptionItem, raw, ("contacts", index))
        if not (item.subscriptionStatus or item.status):
            raise Refused(INVALID, f"contacts[{index}].subscriptionStatus: Field required")
        if store.by_email(item.email) is None:
            raise Refused("NOT_FOUND", f"contacts[{index}]: Contact not found", status=404)


def track_engagement(store: Store, request: Request) -> Answer:
    """``POST /v1/contacts/engagements``."""
    body = _parse(EngagementBody, read_json(request, INVALID))
    contact = store.by_email(body.contactEmail)
    if contact is None:
        raise Refused("NOT_FOUND", "Contact not found", status=404)
    row = Engagement(
        id=str(uuid.uuid4()),
        contact_id=contact.id,
        name=body.name,
        description=body.description,
        data=body.data,
        created_at=store.now(),
    )
    store.engagements.append(row)
    return Answer({"success": True, "data": {"id": row.id, "contactId": contact.id}})


def upsert_companies(store: Store, request: Request) -> Answer:
    """``POST /v1/companies/batch``."""

    def apply(item: CompanyItem) -> dict[str, Any]:
        found = store.companies.get(item.id)
        company = found or Company(external_id=item.id, created_at=store.now())
        store.companies[item.id] = company
        if item.baseDomain is not None:
            company.base_domain = item.baseDomain
        write_fields(company.variables, item.variables)
        return {"id": item.id, "companyId": company.id, "operation": "updated" if found else "created"}

    body = _parse(CompaniesBody, read_json(request, INVALID))
    if store.settings.unique_base_domain:
        _refuse_shared_domains(store, body.companies)
    return _batch(store, "companies", body.companies, CompanyItem, apply)


def _refuse_shared_domains(store: Store, items: list[Any]) -> None:
    owners: dict[str, str] = {}
    for index, raw in enumerate(items):
        item = _parse(CompanyItem, raw, ("companies", index))
        if not item.baseDomain:
            continue
        held = store.company_with_domain(item.baseDomain)
        owner = owners.setdefault(item.baseDomain.lower(), held.external_id if held else item.id)
        if owner != item.id:
            message = f"companies[{index}].baseDomain: another company already has it"
            raise Refused("DUPLICATE_ERROR", message, status=409)


def get_company(store: Store, request: Request, id: str) -> Answer:
    """``GET /v1/companies/by-external-id/{id}``."""
    company = store.companies.get(id)
    if company is None:
        raise Refused("NOT_FOUND", "Company not found", status=404)
    return Answer(
        {
            "success": True,
            "data": {
                "id": company.id,
                "businessId": store.settings.business_id,
                "externalId": company.external_id,
                "baseDomain": company.base_domain,
                "variables": company.variables,
                "createdAt": company.created_at,
            },
        }
    )


def delete_company(store: Store, request: Request, id: str) -> Answer:
    """``DELETE /v1/companies/by-external-id/{id}``."""
    if store.companies.pop(id, None) is None:
        raise Refused("NOT_FOUND", "Company not found", status=404)
    return Answer({"success": True, "message": "Company deleted successfully"})
