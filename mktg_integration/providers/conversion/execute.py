"""Makes a planned call: one HTTP request, its answer told apart for each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError
from mktg_integration.profile import normal_email
from mktg_integration.providers.base import Answer, Call, Outcome, Result
from mktg_integration.providers.conversion import errors, schemas, steps
from mktg_integration.providers.conversion.client import ConversionClient
from mktg_integration.providers.conversion.normal import (
    BASE_DOMAIN,
    COMPANY_ID,
    company_record,
)
from mktg_integration.providers.conversion.reading import contact_record
from mktg_integration.records import CompanyRecord, ContactRecord, ContactStatus

JSON = Any
Items = Mapping[str, Mapping[str, JSON]]

BARRED = Result(barred=True)
AMBIGUOUS = Result(
    outcome=Outcome.RETRY,
    code="ambiguous_answer",
    reason="Conversion's batch answer does not say whose result is whose",
)


def execute(call: Call, client: ConversionClient) -> Answer:
    """Make ``call``. Raises ``ServiceError`` where it fails as a whole, ``MalformedAnswerError`` for an odd answer."""
    results = _OPERATIONS[call.operation](call, client)
    return Answer(results=results, companies=_companies(call, results))


def _companies(call: Call, results: Mapping[str, Result]) -> list[CompanyRecord]:
    """The companies that the service has taken, each once."""
    taken = (
        item["company"]
        for key, item in call.items.items()
        if item.get("company") and results[key].outcome is Outcome.DONE and not results[key].gone
    )
    return list({company[COMPANY_ID]: company_record(company) for company in taken}.values())


def _single(call: Call) -> tuple[str, Mapping[str, JSON]]:
    ((key, item),) = call.items.items()
    return key, item


# v2


def _upsert(call: Call, client: ConversionClient) -> dict[str, Result]:
    if len(call.items) == 1:
        return _upsert_one(call, client)
    contacts = [item["contact"] for item in call.items.values()]
    return match_results(call.items, client.upsert_contacts(contacts, **call.common))


def _upsert_one(call: Call, client: ConversionClient) -> dict[str, Result]:
    """By the endpoint for one contact, whose errors are documented."""
    key, item = _single(call)
    try:
        upserted = client.upsert_contact(item["contact"], **call.common)
    except ServiceError as error:
        if errors.is_contact_missing(error):
            return {key: _missing(item)}
        if error.action is not Action.REJECT and error.code != errors.UPSERT_FAILED:
            raise
        return {key: _failed(item, error.code, error.messages)}
    return {key: _upserted(item, upserted.contact_id, upserted.created)}


def _link(call: Call, client: ConversionClient) -> dict[str, Result]:
    """As an upsert; but that the contact is not there means that the address was not taken after all."""
    unproven = Result(
        outcome=Outcome.RETRY,
        code="address_not_changed",
        reason="Conversion refused the new address, and no other contact has it",
    )
    results = _upsert(call, client)
    return {key: unproven if found.outcome is Outcome.ABSENT else found for key, found in results.items()}


def match_results(items: Items, results: Sequence[schemas.BatchItem]) -> dict[str, Result]:
    """Whose result is whose: by the contact's id where it was sent, else by position, which must then be proven sound.

    A result carries the contact's id and no address. Where the counts differ, or an id that we sent comes back in
    another's place, positions say nothing: who was sent without an id is tried again.
    """
    sent_ids = [str(item["remote_id"]) for item in items.values()]
    places = {found.contact_id: place for place, found in enumerate(results) if found.contact_id}
    is_sound = len(results) == len(items) and all(
        places.get(remote_id, place) == place for place, remote_id in enumerate(sent_ids) if remote_id
    )
    if is_sound:
        return {key: _batch_result(item, found) for (key, item), found in zip(items.items(), results, strict=True)}
    by_id = {found.contact_id: found for found in results if found.contact_id}
    return {
        key: _batch_result(item, by_id[item["remote_id"]]) if item["remote_id"] in by_id else AMBIGUOUS
        for key, item in items.items()
    }


def _batch_result(item: Mapping[str, JSON], found: schemas.BatchItem) -> Result:
    if found.success and found.contact_id:
        return _upserted(item, found.contact_id, found.created)
    if found.success:
        return AMBIGUOUS
    said = errors.item_error(found.model_extra or {})
    return _failed(item, said.code, said.messages)


def _upserted(item: Mapping[str, JSON], contact_id: str, created: bool | None) -> Result:
    sent_id = item["remote_id"]
    if sent_id == contact_id:
        return Result()
    if sent_id and "email" in item["contact"]:
        # The address led to another contact than the id.
        return Result(outcome=Outcome.TAKEN)
    return Result(record=ContactRecord(remote_id=contact_id, email=item["email"]), created=created)


def _missing(item: Mapping[str, JSON]) -> Result:
    """A contact that was deleted and imported anew has another id and the same address."""
    return Result(gone=True) if "cnvContactId" in item["contact"] else Result(outcome=Outcome.ABSENT)


def _failed(item: Mapping[str, JSON], code: str, messages: Sequence[str]) -> Result:
    contact = item["contact"]
    if code == errors.CONTACT_NOT_FOUND:
        return _missing(item)
    is_renaming = "email" in contact and "cnvContactId" in contact
    if is_renaming and code not in errors.CODES and errors.may_be_taken(code, messages):
        return Result(outcome=Outcome.TAKEN)
    if is_renaming and code in (errors.UPSERT_FAILED, errors.DUPLICATE):
        return Result(outcome=Outcome.TAKEN)
    return errors.refused(code, messages, [*contact.get("fields", ()), *contact.get("companyFields", ())])


def _event(call: Call, client: ConversionClient) -> dict[str, Result]:
    key, item = _single(call)
    try:
        client.track_event(**item)
    except ServiceError as error:
        return {key: _event_refused(error)}
    return {key: Result()}


def _event_refused(error: ServiceError) -> Result:
    if not errors.is_contact_missing(error):
        raise error
    return Result(outcome=Outcome.ABSENT)


# v1


def _v1_upsert(call: Call, client: ConversionClient) -> dict[str, Result]:
    contacts = [item["contact"] for item in call.items.values()]
    found = {normal_email(one.email): one for one in client.v1_upsert_contacts(contacts)}
    return {
        key: _v1_upserted(item, found.get(normal_email(item["contact"]["email"]))) for key, item in call.items.items()
    }


def _v1_upserted(item: Mapping[str, JSON], found: schemas.V1Upserted | None) -> Result:
    if found is None:
        reason = (
            "Conversion took the batch and left this contact out without a reason: check the address and the fields"
        )
        return Result(outcome=Outcome.REJECTED, code="left_out", reason=reason)
    extra = found.model_extra or {}
    if extra.get("success", True) is not True or extra.get("error"):
        said = errors.item_error(extra)
        return errors.refused(said.code, said.messages, ())
    if found.contact_id is None:
        return Result(outcome=Outcome.RETRY, code="no_contact_id", reason="Conversion answered without a contact id")
    created = found.operation.lower() == "created"
    if created and item["is_update"]:
        # The contact was gone, and what was sent is only what had changed.
        return Result(outcome=Outcome.ABSENT)
    return Result(record=ContactRecord(remote_id=found.contact_id, email=item["contact"]["email"]), created=created)


def _v1_status(call: Call, client: ConversionClient) -> dict[str, Result]:
    try:
        data = client.v1_set_statuses(list(call.items.values()))
    except ServiceError as error:
        if len(call.items) == 1 and errors.is_contact_missing(error):
            return dict.fromkeys(call.items, Result(outcome=Outcome.ABSENT))
        raise
    failed = {normal_email(str(one.get("email", ""))): one for one in _objects(data) if _is_failed(one)}
    return {key: _v1_status_result(failed.get(normal_email(item["email"]))) for key, item in call.items.items()}


def _objects(data: JSON) -> list[Mapping[str, JSON]]:
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []


def _is_failed(one: Mapping[str, JSON]) -> bool:
    return one.get("success", True) is not True or bool(one.get("error"))


def _v1_status_result(failed: Mapping[str, JSON] | None) -> Result:
    if failed is None:
        return Result()
    said = errors.item_error(failed)
    return errors.refused(said.code, said.messages, ())


def _v1_companies(call: Call, client: ConversionClient) -> dict[str, Result]:
    companies = {item["company"][COMPANY_ID]: _company_body(item["company"]) for item in call.items.values()}
    client.v1_upsert_companies(list(companies.values()))
    return dict.fromkeys(call.items, Result())


def _company_body(company: Mapping[str, JSON]) -> dict[str, JSON]:
    body: dict[str, JSON] = {"id": company[COMPANY_ID]}
    if company.get(BASE_DOMAIN):
        body["baseDomain"] = company[BASE_DOMAIN]
    variables = {name: value for name, value in company.items() if name not in (COMPANY_ID, BASE_DOMAIN)}
    if variables:
        body["variables"] = variables
    return body


def _v1_engagement(call: Call, client: ConversionClient) -> dict[str, Result]:
    key, item = _single(call)
    try:
        client.v1_track_engagement(
            item["contact_email"], name=item["name"], description=item["description"], data=item["data"]
        )
    except ServiceError as error:
        return {key: _event_refused(error)}
    return {key: Result()}


def _v1_remove(call: Call, client: ConversionClient) -> dict[str, Result]:
    """The contact of an earlier address; that it is not there any more is as good."""
    key, item = _single(call)
    try:
        client.v1_delete_contact(item["email"])
    except ServiceError as error:
        if not errors.is_contact_missing(error):
            raise
    return {key: Result()}


# Reading and deleting, which the v2 dialect has to borrow from v1


def _read(call: Call, client: ConversionClient) -> dict[str, Result]:
    key, item = _single(call)
    is_optional = bool(call.common.get("optional"))
    if is_optional and client.v1_is_refused:
        return {key: BARRED}
    try:
        found = client.v1_contact(item["email"])
    except ServiceError as error:
        if is_optional and (_is_barred(error, client) or error.status == 404):
            return {key: BARRED}
        if errors.is_contact_missing(error):
            return {key: Result(outcome=Outcome.ABSENT)}
        raise
    if normal_email(found.email) != normal_email(item["email"]):
        raise MalformedAnswerError("conversion: GET /v1/contacts/by-email/{email} answered another contact's email")
    # v2's id and v1's are not said to be the same: the one that the contact is known by stays.
    record = contact_record(found, remote_id=item["remote_id"] if is_optional else found.id)
    return {key: Result(record=record, barred=record.status is ContactStatus.UNREAD)}


def _erase(call: Call, client: ConversionClient) -> dict[str, Result]:
    key, item = _single(call)
    is_optional = bool(call.common.get("optional"))
    if is_optional and client.v1_is_refused:
        return {key: BARRED}
    try:
        client.v1_delete_contact(item["email"])
    except ServiceError as error:
        if is_optional and _is_barred(error, client):
            return {key: BARRED}
        if not errors.is_contact_missing(error):
            raise
    return {key: Result(outcome=Outcome.ABSENT)}


def _is_barred(error: ServiceError, client: ConversionClient) -> bool:
    """The key is let into v2 and not into v1: that is so for every contact, so v1 is not asked again."""
    if error.status in (401, 403):
        client.v1_is_refused = True
        return True
    return error.status == 404 and not errors.is_contact_missing(error)


_OPERATIONS = {
    steps.UPSERT: _upsert,
    steps.LINK: _link,
    steps.READ: _read,
    steps.ERASE: _erase,
    steps.EVENT: _event,
    steps.V1_UPSERT: _v1_upsert,
    steps.V1_STATUS: _v1_status,
    steps.V1_REMOVE: _v1_remove,
    steps.V1_COMPANIES: _v1_companies,
    steps.V1_ENGAGEMENT: _v1_engagement,
}
