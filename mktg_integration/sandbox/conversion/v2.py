"""Conversion v2: contacts upserted alone and in batches, events, exports.

Implements the reference's overview and ``POST /v2/contacts``, and of the field notes ``POST /v2/contacts/batch``,
``/v2/events`` and ``/v2/exports/contacts``. Where those are silent:

- A body that is no JSON object, lacks its Content-Type, or has an unknown key or a wrong type, is answered 400
  with the code ``invalid_request``; a missing or wrong key 401 ``unauthorized``; 429 ``rate_limit_exceeded``.
- A ``cnvContactId`` that is unknown is ``contact_not_found`` with ``updateOnly`` or without an ``email``;
  otherwise the contact is found or made by ``email``. An address that is another contact's: ``upsert_failed``.
- ``preserveExistingFields`` holds for ``fields`` and ``companyFields``, not for the subscription status.
- A failed item of a batch is ``{"success": false, "error": {"code", "message"}}`` in its place.
- An event's ``userId`` is the ``user_id`` that a world gives to a contact.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from ..values import is_iso_time, place, undocumented_shapes
from ..wire import Request
from .answers import Answer, Body, Refused, check_batch_size, email_address, join_notes, read_json
from .store import Store, write_fields
from .world import Contact, FieldDefinition

STATUSES = ("SUBSCRIBED", "UNSUBSCRIBED", "NO_STATUS")
INVALID_REQUEST = "invalid_request"


def _contact_id(text: str) -> str:
    return str(uuid.UUID(text))


def _status(text: str) -> str:
    if text not in STATUSES:
        raise ValueError(f"subscriptionStatus must be one of {', '.join(STATUSES)}.")
    return text


def _iso_time(text: str) -> str:
    if not is_iso_time(text):
        raise ValueError("Must be an ISO 8601 date-time.")
    return text


class ContactBody(Body):
    """What a single upsert and an item of a batch share. An empty default means: not given."""

    email: Annotated[str, AfterValidator(email_address)] = ""
    cnvContactId: Annotated[str, AfterValidator(_contact_id)] = ""  # noqa: N815 (the document's name)
    subscriptionStatus: Annotated[str, AfterValidator(_status)] = ""  # noqa: N815
    fields: dict[str, Any] = {}
    companyFields: dict[str, Any] = {}  # noqa: N815


class Options(Body):
    updateOnly: bool = False  # noqa: N815
    syncToCRM: bool = False  # noqa: N815
    preserveExistingFields: bool = False  # noqa: N815


class UpsertBody(ContactBody, Options):
    pass


class BatchBody(Options):
    contacts: list[Any]


class EventBody(Body):
    event: str = Field(min_length=1)
    userId: str = ""  # noqa: N815
    email: Annotated[str, AfterValidator(email_address)] = ""
    eventId: str | None = None  # noqa: N815
    data: dict[str, Any] | None = None
    timestamp: Annotated[str, AfterValidator(_iso_time)] = ""


class ExportBody(Body):
    limit: int = Field(default=1000, ge=1, le=1000)
    cursor: str | None = None


B = TypeVar("B", bound=Body)

# The documented code for what is wrong with a key; all else is invalid_request.
_CODE_OF = {
    "email": "invalid_email",
    "subscriptionStatus": "invalid_subscription_status",
    "fields": "invalid_field",
    "companyFields": "invalid_field",
}


def _parse(model: type[B], value: Any) -> B:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        first = problems[0]
        code = _CODE_OF.get(str(first["loc"][0]) if first["loc"] else "", INVALID_REQUEST)
        message = f"{place(first['loc']) or 'The item'}: {first['msg']}"
        raise Refused(code, message, undocumented=undocumented_shapes(problems)) from error


def upsert(store: Store, request: Request) -> Answer:
    """``POST /v2/contacts``."""
    body = _parse(UpsertBody, read_json(request, INVALID_REQUEST))
    contact, created = _upsert_one(store, body, body)
    return Answer({"data": {"cnvContactId": contact.id, "contactCreated": created}})


def upsert_batch(store: Store, request: Request) -> Answer:
    """``POST /v2/contacts/batch``: results in the order of the items."""
    body = _parse(BatchBody, read_json(request, INVALID_REQUEST))
    check_batch_size(body.contacts, INVALID_REQUEST)
    if store.settings.v2_refuse_whole_batch:
        _refuse_for_one_item(store, body)
    results: list[dict[str, Any]] = []
    notes: list[str | None] = []
    for item in body.contacts:
        try:
            contact, created = _upsert_one(store, _parse(ContactBody, item), body)
        except Refused as refused:
            results.append({"success": False, "error": refused.body()})
            notes.append(refused.undocumented)
        else:
            results.append({"success": True, "cnvContactId": contact.id, "contactCreated": created})
    return Answer({"data": {"results": results}}, join_notes(notes))


def _refuse_for_one_item(store: Store, body: BatchBody) -> None:
    for index, item in enumerate(body.contacts):
        try:
            _check(store, _parse(ContactBody, item), body)
        except Refused as refused:
            message = f"contacts[{index}]: {refused.message}"
            raise Refused(refused.code, message, undocumented=refused.undocumented) from refused


def _check(store: Store, body: ContactBody, options: Options) -> Contact | None:
    """Refuse what cannot be done; answers the contact that the body means, None for a new one."""
    if not (body.email or body.cnvContactId):
        raise Refused("missing_identifier", "Either email or cnvContactId is required.")
    if not store.settings.any_field:
        _check_defined(body.fields, store.contact_fields, "fields")
        _check_defined(body.companyFields, store.company_fields, "companyFields")
    _check_writable(body.fields, store.contact_fields, "fields")
    _check_writable(body.companyFields, store.company_fields, "companyFields")
    by_email = store.by_email(body.email) if body.email else None
    contact = store.contacts.get(body.cnvContactId) or by_email
    if contact is None and (options.updateOnly or not body.email):
        raise Refused("contact_not_found", "No existing contact matches the identifier.", status=404)
    if contact is not None and by_email not in (None, contact):
        raise Refused("upsert_failed", "The email address belongs to another contact.")
    return contact


def _check_defined(keys: Iterable[str], defined: Mapping[str, FieldDefinition], where: str) -> None:
    if unknown := [key for key in keys if key not in defined]:
        # The hint is for whoever runs the sandbox: there is no endpoint that defines a field.
        hint = "The sandbox's world defines fields, or takes any with any_field."
        raise Refused("invalid_field", f"{where}: the field {unknown[0]!r} does not exist. {hint}")


def _check_writable(keys: Iterable[str], defined: Mapping[str, FieldDefinition], where: str) -> None:
    if locked := [key for key in keys if key in defined and defined[key].read_only]:
        raise Refused("invalid_field", f"{where}: the field {locked[0]!r} is read-only.")


def _upsert_one(store: Store, body: ContactBody, options: Options) -> tuple[Contact, bool]:
    found = _check(store, body, options)
    contact = found or store.create(body.email)
    if found and body.email:
        store.rename(found, body.email)
    if body.subscriptionStatus:
        store.set_status(contact, body.subscriptionStatus)
    write_fields(contact.fields, body.fields, preserve=options.preserveExistingFields)
    write_fields(contact.company_fields, body.companyFields, preserve=options.preserveExistingFields)
    contact.synced_to_crm = contact.synced_to_crm or options.syncToCRM
    if found:
        store.touch(found)
    return contact, found is None


def track(store: Store, request: Request) -> Answer:
    """``POST /v2/events``: for a contact that exists; the same ``eventId`` updates in place."""
    body = _parse(EventBody, read_json(request, INVALID_REQUEST))
    if not (body.email or body.userId):
        raise Refused("missing_identifier", "Either email or userId is required.")
    contact = store.by_user_id(body.userId) if body.userId else None
    contact = contact or (store.by_email(body.email) if body.email else None)
    if contact is None:
        raise Refused("contact_not_found", "No existing contact matches the identifier.", status=404)
    event = store.record_event(contact, body.event, body.eventId, body.data, body.timestamp or store.now())
    return Answer({"data": {"cnvEventId": event.id, "cnvContactId": contact.id}})


def export_contacts(store: Store, request: Request) -> Answer:
    """``POST /v2/exports/contacts``: pages by cursor. A short page is not the end, a null cursor is."""
    body = _parse(ExportBody, read_json(request, INVALID_REQUEST))
    contacts = list(store.contacts.values())
    start = 0
    if body.cursor is not None:
        if not body.cursor.isdecimal() or int(body.cursor) > len(contacts):
            raise Refused(INVALID_REQUEST, "cursor: not one that this endpoint gave.")
        start = int(body.cursor)
    # The first page is one short where it can be, so that nobody takes a short page for the last.
    size = body.limit - 1 if start == 0 and body.limit > 1 else body.limit
    page = contacts[start : start + size]
    following = start + len(page)
    return Answer(
        {
            "data": {"contacts": [_exported(contact) for contact in page]},
            "pagination": {"nextCursor": str(following) if following < len(contacts) else None},
        }
    )


def _exported(contact: Contact) -> dict[str, Any]:
    return {
        "cnvContactId": contact.id,
        "email": contact.email,
        "subscriptionStatus": contact.subscription_status,
        "fields": contact.fields,
        "companyFields": contact.company_fields,
        "createdAt": contact.created_at,
        "updatedAt": contact.updated_at,
    }
