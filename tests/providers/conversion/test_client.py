"""The client at the transport: requests as the documents have them, answers in every documented shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
import responses
from responses import matchers

from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.providers.base import Account, Call, Outcome
from mktg_integration.providers.conversion import ConversionClient, ConversionProvider
from mktg_integration.providers.conversion.errors import CODES, TABLE
from mktg_integration.records import ContactStatus

BASE = "https://pub-api.conversion.ai/api"
BATCH = f"{BASE}/v2/contacts/batch"
SINGLE = f"{BASE}/v2/contacts"
BY_EMAIL = f"{BASE}/v1/contacts/by-email/jane%40example.com"
KEY = "sk_live_1_secret"
ID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
JANE = {
    "email": "jane@example.com",
    "subscriptionStatus": "SUBSCRIBED",
    "fields": {"first_name": "Jane", "last_name": "Smith", "job_title": "VP of Marketing"},
    "companyFields": {"company_name": "Acme Corp"},
}
V2_HEADERS = matchers.header_matcher({"X-API-Key": KEY, "Content-Type": "application/json"})
V1_HEADERS = matchers.header_matcher({"Authorization": f"Bearer {KEY}"})


@pytest.fixture
def client() -> ConversionClient:
    return ConversionClient(KEY)


def body(body: Any) -> Any:
    return matchers.json_params_matcher(body)


def upsert_call(*items: dict[str, Any], operation: str = "upsert", **common: Any) -> Call:
    return Call(operation=operation, items={str(n): item for n, item in enumerate(items)}, common=common)


def item(contact: dict[str, Any], remote_id: str = "") -> dict[str, Any]:
    return {"contact": contact, "email": contact.get("email", "jane@example.com"), "remote_id": remote_id}


def batch_answer(*results: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"results": list(results)}}


# v2


@responses.activate
def test_upsert_as_in_the_document(client: ConversionClient) -> None:
    responses.post(
        SINGLE,
        json={"data": {"cnvContactId": ID, "contactCreated": True}},
        match=[V2_HEADERS, body({**JANE, "updateOnly": True})],
    )
    upserted = client.upsert_contact(JANE, updateOnly=True)
    assert (upserted.contact_id, upserted.created) == (ID, True)


@responses.activate
@pytest.mark.parametrize("base_url", [BASE, BASE + "/", "https://elsewhere.example/x"])
def test_the_base_url_may_end_in_a_slash(base_url: str) -> None:
    answer = {"data": {"cnvContactId": ID, "contactCreated": False}}
    responses.post(f"{base_url.rstrip('/')}/v2/contacts", json=answer)
    account = Account(name="c", base_url=base_url, credentials={"API_KEY": KEY}, options={})
    assert not ConversionProvider().client(account, limiter=Unlimited()).upsert_contact(JANE).created


@responses.activate
def test_a_batch_tells_each_persons_result(provider: ConversionProvider, client: ConversionClient) -> None:
    results = batch_answer(
        {"success": True, "cnvContactId": "n1", "contactCreated": True},
        {"success": True, "cnvContactId": "k1", "contactCreated": False},
        {"success": False, "error": {"code": "invalid_email", "message": "bad address jane@example.com"}},
        {"success": False, "code": "upsert_failed", "message": "try again"},
        {"success": False, "error": "Contact is archived"},
        {"success": False},
        {"success": False, "error": {"code": "contact_not_found"}},
    )
    contacts = [{"email": f"p{n}@example.com"} for n in range(7)]
    contacts[1] = {"cnvContactId": "k1", "fields": {"a": 1}}  # type: ignore[dict-item]
    responses.post(BATCH, json=results, match=[V2_HEADERS, body({"contacts": contacts, "syncToCRM": True})])
    items = [item(contact, "k1" if "cnvContactId" in contact else "") for contact in contacts]
    found = provider.execute(upsert_call(*items, syncToCRM=True), client).results
    assert found["0"].record is not None
    assert (found["0"].record.remote_id, found["0"].record.email, found["0"].created) == ("n1", "p0@example.com", True)
    assert (found["1"].outcome, found["1"].record) == (Outcome.DONE, None)
    assert (found["2"].outcome, found["2"].code) == (Outcome.REJECTED, "invalid_email")
    assert "jane@" not in found["2"].reason
    assert found["3"].outcome is Outcome.RETRY
    assert (found["4"].outcome, found["4"].reason) == (Outcome.REJECTED, "Contact is archived")
    assert found["5"].outcome is Outcome.REJECTED
    assert found["6"].outcome is Outcome.ABSENT


@responses.activate
def test_where_the_counts_differ_only_ids_are_trusted(provider: ConversionProvider, client: ConversionClient) -> None:
    results = batch_answer({"success": True, "cnvContactId": "k2", "contactCreated": False})
    responses.post(BATCH, json=results)
    items = [item({"email": "a@example.com"}), item({"cnvContactId": "k2"}, "k2"), item({"cnvContactId": "k3"}, "k3")]
    found = provider.execute(upsert_call(*items), client).results
    assert [found[key].outcome for key in "012"] == [Outcome.RETRY, Outcome.DONE, Outcome.RETRY]


@responses.activate
def test_an_id_in_anothers_place_disproves_all_places(provider: ConversionProvider, client: ConversionClient) -> None:
    results = batch_answer(
        {"success": True, "cnvContactId": "k2", "contactCreated": False},
        {"success": True, "cnvContactId": "n1", "contactCreated": True},
    )
    responses.post(BATCH, json=results)
    items = [item({"email": "a@example.com"}), item({"cnvContactId": "k2"}, "k2")]
    found = provider.execute(upsert_call(*items), client).results
    assert (found["0"].outcome, found["0"].code) == (Outcome.RETRY, "ambiguous_answer")
    assert found["1"].outcome is Outcome.DONE


@responses.activate
@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (400, {"code": "upsert_failed", "message": "failed"}, Outcome.TAKEN),
        (409, {"code": "conflict", "message": "email already in use"}, Outcome.TAKEN),
        (400, {"code": "invalid_email", "message": "already malformed"}, Outcome.REJECTED),
    ],
)
def test_a_refused_change_of_address(
    provider: ConversionProvider, client: ConversionClient, status: int, error: dict[str, str], outcome: Outcome
) -> None:
    responses.post(SINGLE, json={"error": error}, status=status)
    call = upsert_call(item({"cnvContactId": "k1", "email": "new@example.com"}, "k1"))
    assert provider.execute(call, client).results["0"].outcome is outcome


@responses.activate
@pytest.mark.parametrize("by_id", [True, False])
def test_a_contact_that_is_missing_by_id_may_be_there_by_address(
    provider: ConversionProvider, client: ConversionClient, by_id: bool
) -> None:
    error = {"code": "contact_not_found", "message": "no contact"}
    responses.post(SINGLE, json={"error": error}, status=404)
    responses.post(BATCH, json=batch_answer(*[{"success": False, "error": error}] * 2))
    one = item({"cnvContactId": "k1"}, "k1") if by_id else item({"email": "a@example.com"})
    for call in (upsert_call(one), upsert_call(one, one)):
        result = provider.execute(call, client).results["0"]
        assert result.gone == by_id
        assert (result.outcome is Outcome.ABSENT) == (not by_id)


@responses.activate
def test_an_address_that_leads_to_another_id_is_taken(provider: ConversionProvider, client: ConversionClient) -> None:
    responses.post(SINGLE, json={"data": {"cnvContactId": "k9", "contactCreated": False}})
    call = upsert_call(item({"cnvContactId": "k1", "email": "new@example.com"}, "k1"))
    assert provider.execute(call, client).results["0"].outcome is Outcome.TAKEN


@responses.activate
def test_a_batch_refused_whole_is_raised_for_bisecting(provider: ConversionProvider, client: ConversionClient) -> None:
    responses.post(BATCH, json={"error": {"code": "invalid_field", "message": "no such field"}}, status=400)
    call = upsert_call(item({"email": "a@example.com"}), item({"email": "b@example.com"}))
    with pytest.raises(ServiceError) as raised:
        provider.execute(call, client)
    assert (raised.value.action, raised.value.code) == (Action.REJECT, "invalid_field")


@responses.activate
@pytest.mark.parametrize(
    ("status", "payload", "action"),
    [
        (401, {"error": {"code": "unauthorized", "message": "missing or invalid"}}, Action.RECONNECT),
        (403, {"error": {"message": "plan"}}, Action.FORBIDDEN),
        (404, {"message": "no such route"}, Action.FAIL),
        (413, {}, Action.WAIT),
        (429, {"success": False, "error": {"code": "RATE_LIMIT_EXCEEDED"}}, Action.WAIT),
        (500, {"error": {"code": "internal_error", "message": "oops"}}, Action.RETRY),
        (502, {}, Action.RETRY),
        (302, {}, Action.FAIL),
        (200, {"success": False, "error": {"code": "VALIDATION_ERROR", "message": "no"}}, Action.REJECT),
        (200, {"success": False, "error": {"code": "RATE_LIMIT_EXCEEDED"}}, Action.WAIT),
        (200, {"success": False, "error": {"code": "UNAUTHORIZED"}}, Action.RECONNECT),
        (200, {"success": False, "message": "no reason that a code names"}, Action.REJECT),
        (200, {"error": {"code": "internal_error"}}, Action.RETRY),
    ],
)
def test_every_failure_has_an_action(
    client: ConversionClient, status: int, payload: dict[str, Any], action: Action
) -> None:
    responses.post(BATCH, json=payload, status=status)
    with pytest.raises(ServiceError) as raised:
        client.upsert_contacts([{"email": "jane@example.com"}])
    assert raised.value.action is action
    assert (raised.value.status, raised.value.endpoint) == (status, "POST /v2/contacts/batch")
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("code", CODES)
def test_documented_codes_mean_the_same_with_every_status(code: str) -> None:
    assert {TABLE.action(status, code) for status in (200, 400, 404, 429, 500)} == {CODES[code]}


@responses.activate
@pytest.mark.parametrize(
    ("payload", "key"),
    [
        ([], "the whole body"),
        ({}, "data"),
        ({"data": {"results": {}}}, "data.results"),
        (batch_answer({"cnvContactId": "private"}), r"data.results.\[\].success"),
    ],
)
def test_a_changed_answer_names_the_keys_and_no_values(client: ConversionClient, payload: Any, key: str) -> None:
    responses.post(BATCH, json=payload)
    with pytest.raises(MalformedAnswerError, match=rf"POST /v2/contacts/batch .*{key}") as raised:
        client.upsert_contacts([{"email": "jane@example.com"}])
    assert "private" not in str(raised.value)


@responses.activate
def test_an_event(client: ConversionClient, provider: ConversionProvider) -> None:
    said = {
        "event": "ordered",
        "email": "jane@example.com",
        "eventId": "o-1",
        "data": {"total": 5},
        "timestamp": "2026-11-01T10:00:00Z",
    }
    responses.post(
        f"{BASE}/v2/events",
        json={"data": {"cnvEventId": "e", "cnvContactId": ID}},
        match=[V2_HEADERS, body(said)],
    )
    planned = {
        "event": "ordered",
        "email": "jane@example.com",
        "event_id": "o-1",
        "data": {"total": 5},
        "timestamp": "2026-11-01T10:00:00Z",
    }
    call = Call(operation="event", items={"user:1": planned})
    assert provider.execute(call, client).results["user:1"].outcome is Outcome.DONE


@responses.activate
def test_an_event_of_nobody_is_absent(client: ConversionClient, provider: ConversionProvider) -> None:
    responses.post(f"{BASE}/v2/events", json={"error": {"code": "contact_not_found"}}, status=404)
    call = Call(operation="event", items={"user:1": {"event": "ordered", "email": "jane@example.com"}})
    assert provider.execute(call, client).results["user:1"].outcome is Outcome.ABSENT


@responses.activate
def test_an_export_ends_with_the_cursor_and_not_with_a_short_page(client: ConversionClient) -> None:
    url = f"{BASE}/v2/exports/contacts"
    pages: list[tuple[list[int], str | None]] = [([1, 2], "c1"), ([], "c2"), ([3], None)]
    for contacts, cursor in pages:
        responses.post(
            url,
            json={"data": {"contacts": [{"n": n} for n in contacts]}, "pagination": {"nextCursor": cursor}},
        )
    assert [one["n"] for one in client.export_contacts()] == [1, 2, 3]
    sent = [json.loads(call.request.body or "") for call in responses.calls]
    assert sent == [{"limit": 1000}, {"limit": 1000, "cursor": "c1"}, {"limit": 1000, "cursor": "c2"}]


@responses.activate
def test_an_exports_cursor_that_repeats_is_an_error(client: ConversionClient) -> None:
    responses.post(f"{BASE}/v2/exports/contacts", json={"data": {"contacts": []}, "pagination": {"nextCursor": "c1"}})
    with pytest.raises(MalformedAnswerError, match="twice"):
        list(client.export_contacts())


# v1


@responses.activate
def test_v1_answers_are_matched_by_address(provider: ConversionProvider, client: ConversionClient) -> None:
    contacts: list[dict[str, Any]] = [
        {"email": "A@example.com", "variables": {"a": 1}},
        {"email": "b@example.com"},
        {"email": "c@example.com"},
        {"email": "d@example.com"},
    ]
    answer = {
        "success": True,
        "data": [
            {"email": "b@example.com", "contactId": "2", "operation": "updated"},
            {"email": "a@example.com", "contactId": "1", "operation": "created"},
            {"email": "d@example.com", "contactId": "4", "operation": "created"},
        ],
    }
    responses.post(f"{BASE}/v1/contacts/batch", json=answer, match=[V1_HEADERS, body({"contacts": contacts})])
    items = {str(n): {"contact": contact, "is_update": n == 3} for n, contact in enumerate(contacts)}
    found = provider.execute(Call(operation="v1_upsert", items=items), client).results
    assert found["0"].record is not None
    assert (found["0"].record.remote_id, found["0"].created) == ("1", True)
    assert found["1"].record is not None
    assert (found["1"].record.remote_id, found["1"].created) == ("2", False)
    assert (found["2"].outcome, found["2"].code) == (Outcome.REJECTED, "left_out")
    assert found["3"].outcome is Outcome.ABSENT, "created by an update: it had been removed"


V1_JANE = {
    "id": "c-1",
    "businessId": "b-1",
    "email": "Jane@example.com",
    "variables": {"first_name": "Jane", "title": ""},
    "subscriptionStatus": "UNSUBSCRIBED",
    "createdAt": "2026-01-02T03:04:05.000Z",
}


@responses.activate
@pytest.mark.parametrize(
    ("status", "read"),
    [
        ("SUBSCRIBED", ContactStatus.ACTIVE),
        ("UNSUBSCRIBED", ContactStatus.UNSUBSCRIBED),
        ("BOUNCED", ContactStatus.BOUNCED),
        ("COMPLAINED", ContactStatus.COMPLAINED),
        ("PENDING", ContactStatus.INACTIVE),
        (None, ContactStatus.INACTIVE),
        ("SOMETHING_NEW", ContactStatus.UNREAD),
    ],
)
def test_v1_reads_a_contact(
    provider: ConversionProvider, client: ConversionClient, status: str | None, read: ContactStatus
) -> None:
    answer = {"success": True, "data": {**V1_JANE, "subscriptionStatus": status}}
    responses.get(BY_EMAIL, json=answer, match=[V1_HEADERS])
    planned = {"email": "jane@example.com", "remote_id": "v2-id"}
    call = Call(operation="read", items={"user:1": planned}, common={"optional": True})
    result = provider.execute(call, client).results["user:1"]
    assert result.record is not None
    assert (result.record.remote_id, result.record.status) == ("v2-id", read)
    assert result.record.values == {"first_name": "Jane", "title": None}
    assert result.barred == (read is ContactStatus.UNREAD)


@responses.activate
def test_v1_reading_somebody_else_is_an_error(provider: ConversionProvider, client: ConversionClient) -> None:
    responses.get(BY_EMAIL, json={"success": True, "data": {**V1_JANE, "email": "joan@example.com"}})
    with pytest.raises(MalformedAnswerError):
        provider.execute(Call(operation="read", items={"k": {"email": "jane@example.com", "remote_id": ""}}), client)


@responses.activate
@pytest.mark.parametrize("operation", ["read", "erase"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_without_v1_is_tried_once(
    provider: ConversionProvider, client: ConversionClient, operation: str, status: int
) -> None:
    method = responses.get if operation == "read" else responses.delete
    method(BY_EMAIL, json={"success": False, "error": {"code": "UNAUTHORIZED"}}, status=status)
    planned = {"email": "jane@example.com", "remote_id": "v2-id"}
    call = Call(operation=operation, items={"user:1": planned}, common={"optional": True})
    assert provider.execute(call, client).results["user:1"].barred
    assert provider.execute(call, client).results["user:1"].barred
    assert len(responses.calls) == 1


@responses.activate
def test_in_the_v1_dialect_a_refused_key_waits_for_a_new_one(
    provider: ConversionProvider, client: ConversionClient
) -> None:
    responses.delete(BY_EMAIL, json={"success": False, "error": {"code": "UNAUTHORIZED"}}, status=401)
    with pytest.raises(ServiceError) as raised:
        provider.execute(Call(operation="erase", items={"k": {"email": "jane@example.com"}}), client)
    assert raised.value.action is Action.RECONNECT
    assert raised.value.endpoint == "DELETE /v1/contacts/by-email/{email}"


@responses.activate
@pytest.mark.parametrize(
    ("status", "payload", "is_erased"),
    [
        (200, {"success": True, "message": "Contact deleted"}, True),
        (404, {"success": False, "error": {"code": "NOT_FOUND", "message": "x"}}, True),
        (404, {"success": False, "error": "Contact not found"}, True),
        (404, {"message": "Cannot DELETE"}, False),
    ],
)
def test_only_a_contact_that_is_said_to_be_missing_counts_as_erased(
    provider: ConversionProvider, client: ConversionClient, status: int, payload: dict[str, Any], is_erased: bool
) -> None:
    """A missing endpoint answers 404 as well, and erases nobody."""
    responses.delete(BY_EMAIL, json=payload, status=status, match=[V1_HEADERS])
    call = Call(operation="erase", items={"k": {"email": "jane@example.com"}}, common={"optional": True})
    result = provider.execute(call, client).results["k"]
    assert (result.outcome is Outcome.ABSENT) == is_erased
    assert result.barred != is_erased


@responses.activate
def test_v1_statuses(provider: ConversionProvider, client: ConversionClient) -> None:
    people = [{"email": f"p{n}@example.com", "subscriptionStatus": "UNSUBSCRIBED"} for n in range(2)]
    answer = {"success": True, "data": [{"email": "P1@example.com", "success": False, "error": {"code": "NOT_FOUND"}}]}
    url = f"{BASE}/v1/contacts/batch-subscription"
    responses.post(url, json=answer, match=[V1_HEADERS, body({"contacts": people})])
    found = provider.execute(Call(operation="v1_status", items={"0": people[0], "1": people[1]}), client).results
    assert (found["0"].outcome, found["1"].outcome) == (Outcome.DONE, Outcome.ABSENT)


@responses.activate
def test_v1_companies_and_engagements(provider: ConversionProvider, client: ConversionClient) -> None:
    acme = {"id": "7", "baseDomain": "acme.example", "variables": {"industry": "Tools"}}
    ok = {"success": True}
    responses.post(f"{BASE}/v1/companies/batch", json=ok, match=[V1_HEADERS, body({"companies": [acme]})])
    told = {"company": {"id": "7", "baseDomain": "acme.example", "industry": "Tools"}}
    answer = provider.execute(Call(operation="v1_companies", items={"user:1": told, "user:2": told}), client)
    assert set(answer.results) == {"user:1", "user:2"}
    (told_of,) = answer.companies
    assert (told_of.external_id, told_of.domain, told_of.values) == ("7", "acme.example", {"industry": "Tools"})
    said = {"contactEmail": "jane@example.com", "type": "ACTIVITY", "name": "demo", "description": "Saw a demo"}
    responses.post(f"{BASE}/v1/contacts/engagements", json=ok, match=[body({**said, "data": {"minutes": 5}})])
    client.v1_track_engagement("jane@example.com", name="demo", description="Saw a demo", data={"minutes": 5})
    company = f"{BASE}/v1/companies/by-external-id/7"
    responses.get(company, json={"success": True, "data": acme})
    responses.delete(company, json=ok)
    assert client.v1_company("7") == acme
    client.v1_delete_company("7")
    assert len(responses.calls) == 4
