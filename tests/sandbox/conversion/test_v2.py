"""Conversion v2 against the reference's pages "POST /v2/contacts" and overview, and the field notes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from mktg_integration.sandbox.conversion import ConversionService
from tests.sandbox.asking import Asker

EXAMPLE = {
    "email": "jane@example.com",
    "subscriptionStatus": "SUBSCRIBED",
    "fields": {"first_name": "Jane", "last_name": "Smith", "job_title": "VP of Marketing"},
    "companyFields": {"company_name": "Acme Corp"},
}


def test_the_documents_example_creates_a_contact(ask: Asker, service: ConversionService) -> None:
    status, answer = ask("POST /v2/contacts", EXAMPLE)
    assert status == 200
    assert set(answer) == {"data"}
    assert set(answer["data"]) == {"cnvContactId", "contactCreated"}
    assert answer["data"]["contactCreated"] is True
    assert uuid.UUID(answer["data"]["cnvContactId"])
    assert service.people() == [
        {
            "email": "jane@example.com",
            "status": "SUBSCRIBED",
            "fields": EXAMPLE["fields"],
            "company": {"company_name": "Acme Corp"},
        }
    ]
    assert ask.last.operation == "POST /v2/contacts"
    assert ask.last.undocumented is None


def test_a_second_upsert_updates_the_same_contact_whatever_the_case(ask: Asker, service: ConversionService) -> None:
    _, first = ask("POST /v2/contacts", EXAMPLE)
    _, second = ask("POST /v2/contacts", {"email": "JANE@example.com", "fields": {"first_name": "Janet"}})
    assert second == {"data": {"cnvContactId": first["data"]["cnvContactId"], "contactCreated": False}}
    [row] = service.people()
    assert row["fields"]["first_name"] == "Janet"
    assert row["fields"]["last_name"] == "Smith"
    assert row["status"] == "SUBSCRIBED"


def test_without_a_status_a_new_contact_has_none(ask: Asker, service: ConversionService) -> None:
    ask("POST /v2/contacts", {"email": "jane@example.com"})
    assert service.people()[0]["status"] == "NO_STATUS"


def test_an_id_with_an_email_renames_the_contact(ask: Asker, service: ConversionService) -> None:
    _, created = ask("POST /v2/contacts", EXAMPLE)
    contact = created["data"]["cnvContactId"]
    _, renamed = ask("POST /v2/contacts", {"cnvContactId": contact, "email": "jane@new.example"})
    assert renamed == {"data": {"cnvContactId": contact, "contactCreated": False}}
    assert [row["email"] for row in service.people()] == ["jane@new.example"]
    status, _ = ask("POST /v2/contacts", {"email": "jane@example.com", "updateOnly": True})
    assert status == 404, "the old address is free"


def test_an_address_of_another_contact_is_refused(ask: Asker, service: ConversionService) -> None:
    _, created = ask("POST /v2/contacts", EXAMPLE)
    ask("POST /v2/contacts", {"email": "john@example.com"})
    body = {"cnvContactId": created["data"]["cnvContactId"], "email": "john@example.com"}
    status, answer = ask("POST /v2/contacts", body)
    assert (status, answer["error"]["code"]) == (400, "upsert_failed")
    assert [row["email"] for row in service.people()] == ["jane@example.com", "john@example.com"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "missing_identifier"),
        ({"fields": {"first_name": "Jane"}}, 400, "missing_identifier"),
        ({"email": "jane"}, 400, "invalid_email"),
        ({"email": ""}, 400, "invalid_email"),
        ({"email": None}, 400, "invalid_email"),
        ({"email": "jane@example.com", "subscriptionStatus": "BOUNCED"}, 400, "invalid_subscription_status"),
        ({"email": "jane@example.com", "subscriptionStatus": "PENDING"}, 400, "invalid_subscription_status"),
        ({"email": "jane@example.com", "subscriptionStatus": ""}, 400, "invalid_subscription_status"),
        ({"email": "jane@example.com", "fields": {"no_such_field": 1}}, 400, "invalid_field"),
        ({"email": "jane@example.com", "fields": {"created_at": "2026"}}, 400, "invalid_field"),
        ({"email": "jane@example.com", "companyFields": {"no_such_field": 1}}, 400, "invalid_field"),
        ({"email": "jane@example.com", "fields": ["first_name"]}, 400, "invalid_field"),
        ({"email": "jane@example.com", "updateOnly": True}, 404, "contact_not_found"),
        ({"cnvContactId": "a1b2c3d4-e5f6-7890-abcd-ef1234567890"}, 404, "contact_not_found"),
        ({"email": "jane@example.com", "updateOnly": "yes"}, 400, "invalid_request"),
        ({"cnvContactId": "17"}, 400, "invalid_request"),
    ],
)
def test_every_documented_error(ask: Asker, service: ConversionService, body: Any, status: int, code: str) -> None:
    answered, answer = ask("POST /v2/contacts", body)
    assert (answered, answer["error"]["code"]) == (status, code)
    assert set(answer) == {"error"}
    assert set(answer["error"]) == {"code", "message"}
    assert service.people() == [], "a refused request changes nothing"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"email": "jane@example.com", "tags": ["a"]}, "tags"),
        ({"email": "jane@example.com", "updateOnly": 1}, "updateOnly"),
        ({"email": 7}, "email"),
    ],
)
def test_undocumented_keys_and_types_are_noted(ask: Asker, body: Any, named: str) -> None:
    status, _ = ask("POST /v2/contacts", body)
    assert status == 400
    assert ask.last.undocumented is not None
    assert ask.last.undocumented.startswith(named)


@pytest.mark.parametrize("body", [{"email": "jane"}, {}, {"email": "jane@example.com", "updateOnly": True}])
def test_documented_errors_are_not_noted_as_undocumented(ask: Asker, body: Any) -> None:
    ask("POST /v2/contacts", body)
    assert ask.last.undocumented is None


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"jane@example.com"', b"\xff"])
def test_a_body_that_is_no_json_object(ask: Asker, raw: bytes) -> None:
    status, answer = ask("POST /v2/contacts", raw=raw)
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert ask.last.undocumented


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_the_content_type_is_required(ask: Asker, content_type: str) -> None:
    status, _ = ask("POST /v2/contacts", EXAMPLE, headers={"content-type": content_type})
    assert status == 400
    assert "Content-Type" in (ask.last.undocumented or "")
    status, _ = ask("POST /v2/contacts", EXAMPLE, headers={"content-type": "application/json; charset=utf-8"})
    assert status == 200


@pytest.mark.parametrize(
    "headers",
    [{"x-api-key": "wrong"}, {"x-api-key": ""}, {"x-api-key": "", "authorization": "Bearer sk_live_sandbox_secret"}],
)
def test_a_wrong_key(ask: Asker, service: ConversionService, headers: dict[str, str]) -> None:
    status, answer = ask("POST /v2/contacts", EXAMPLE, headers=headers)
    assert status == 401
    assert set(answer["error"]) == {"code", "message"}
    assert service.people() == []


@pytest.mark.parametrize(
    "operation", ["GET /v2/contacts", "POST /v2/contact", "POST /v2/contacts/", "POST /v2/exports/contacts"]
)
def test_paths_that_no_document_has(ask: Asker, operation: str) -> None:
    status, answer = ask(operation, {})
    assert status == 404
    assert set(answer["error"]) == {"code", "message"}
    assert ask.last.operation is None
    assert ask.last.undocumented


def test_preserving_existing_fields_fills_only_empty_ones(ask: Asker, service: ConversionService) -> None:
    ask("POST /v2/contacts", {**EXAMPLE, "fields": {"first_name": "Jane", "last_name": "", "phone": None}})
    new = {"first_name": "X", "last_name": "Smith", "phone": "1", "job_title": "CEO"}
    ask(
        "POST /v2/contacts",
        {
            "email": "jane@example.com",
            "fields": new,
            "companyFields": {"company_name": "Other", "industry": "Technology"},
            "preserveExistingFields": True,
        },
    )
    [row] = service.people()
    assert row["fields"] == {**new, "first_name": "Jane"}
    assert row["company"] == {"company_name": "Acme Corp", "industry": "Technology"}


def test_syncing_to_the_crm_is_recorded(ask: Asker, service: ConversionService) -> None:
    ask("POST /v2/contacts", EXAMPLE)
    assert service.dump()["contacts"][0]["synced_to_crm"] is False
    ask("POST /v2/contacts", {"email": "jane@example.com", "syncToCRM": True})
    assert service.dump()["contacts"][0]["synced_to_crm"] is True


@pytest.mark.parametrize("status", ["UNSUBSCRIBED", "BOUNCED", "COMPLAINED"])
def test_a_careless_resubscription_happens_and_is_counted(ask: Asker, service: ConversionService, status: str) -> None:
    service.load({"contacts": [{"email": "jane@example.com", "subscription_status": status}]})
    ask("POST /v2/contacts", {"email": "jane@example.com", "fields": {"first_name": "Jane"}})
    assert service.people()[0]["status"] == status
    assert service.stats.as_json()["resubscribed"] == {}
    ask("POST /v2/contacts", EXAMPLE)
    assert service.people()[0]["status"] == "SUBSCRIBED"
    assert service.stats.as_json()["resubscribed"] == {"POST /v2/contacts": 1}


def test_a_batch_answers_each_item_in_order(ask: Asker, service: ConversionService) -> None:
    _, known = ask("POST /v2/contacts", EXAMPLE)
    items = [
        {"email": "a@example.com", "subscriptionStatus": "SUBSCRIBED"},
        {"email": "malformed"},
        {"email": "jane@example.com", "fields": {"first_name": "Janet"}},
        {"email": "b@example.com", "fields": {"no_such_field": 1}},
        {"fields": {}},
        {"email": "a@example.com", "fields": {"first_name": "Ann"}},
        "c@example.com",
    ]
    status, answer = ask("POST /v2/contacts/batch", {"contacts": items})
    assert status == 200
    results = answer["data"]["results"]
    assert [result["success"] for result in results] == [True, False, True, False, False, True, False]
    assert [result["error"]["code"] for result in results if not result["success"]] == [
        "invalid_email",
        "invalid_field",
        "missing_identifier",
        "invalid_request",
    ]
    assert results[2] == {"success": True, "cnvContactId": known["data"]["cnvContactId"], "contactCreated": False}
    assert results[0]["contactCreated"] is True
    assert results[5] == {"success": True, "cnvContactId": results[0]["cnvContactId"], "contactCreated": False}
    assert sorted(row["email"] for row in service.people()) == ["a@example.com", "jane@example.com"]
    assert ask.last.undocumented, "the item that is no object"


def test_the_options_of_a_batch_hold_for_each_item(ask: Asker, service: ConversionService) -> None:
    ask("POST /v2/contacts", EXAMPLE)
    body = {
        "contacts": [
            {"email": "jane@example.com", "fields": {"first_name": "X", "phone": "1"}},
            {"email": "new@example.com"},
        ],
        "updateOnly": True,
        "preserveExistingFields": True,
        "syncToCRM": True,
    }
    _, answer = ask("POST /v2/contacts/batch", body)
    first, second = answer["data"]["results"]
    assert first["success"] is True
    assert second["error"]["code"] == "contact_not_found"
    [row] = service.people()
    assert (row["fields"]["first_name"], row["fields"]["phone"]) == ("Jane", "1")
    assert service.dump()["contacts"][0]["synced_to_crm"] is True


def test_an_item_that_fails_for_what_others_hold_is_upsert_failed(ask: Asker) -> None:
    _, created = ask("POST /v2/contacts", EXAMPLE)
    ask("POST /v2/contacts", {"email": "john@example.com"})
    item = {"cnvContactId": created["data"]["cnvContactId"], "email": "john@example.com"}
    _, answer = ask("POST /v2/contacts/batch", {"contacts": [item]})
    assert answer["data"]["results"][0]["error"]["code"] == "upsert_failed"


@pytest.mark.parametrize("size", [0, 1001])
def test_a_batch_of_another_size_is_refused(ask: Asker, service: ConversionService, size: int) -> None:
    contacts = [{"email": f"p{i}@example.com"} for i in range(size)]
    status, answer = ask("POST /v2/contacts/batch", {"contacts": contacts})
    assert (status, answer["error"]["code"]) == (400, "invalid_request")
    assert service.people() == []


def test_a_full_batch(ask: Asker, service: ConversionService) -> None:
    contacts = [{"email": f"p{i}@example.com"} for i in range(1000)]
    status, answer = ask("POST /v2/contacts/batch", {"contacts": contacts})
    assert status == 200
    assert len(answer["data"]["results"]) == len(service.people()) == 1000


def test_a_world_can_have_bad_items_refuse_the_whole_batch(ask: Asker, service: ConversionService) -> None:
    service.load({"settings": {"v2_refuse_whole_batch": True}})
    body = {"contacts": [{"email": "a@example.com"}, {"email": "malformed"}]}
    status, answer = ask("POST /v2/contacts/batch", body)
    assert (status, answer["error"]["code"]) == (400, "invalid_email")
    assert "contacts[1]" in answer["error"]["message"]
    assert service.people() == []


def test_a_world_can_take_any_field_but_not_read_only_ones(ask: Asker, service: ConversionService) -> None:
    service.load({"settings": {"any_field": True}})
    status, _ = ask("POST /v2/contacts", {"email": "jane@example.com", "fields": {"plan": "pro"}})
    assert status == 200
    status, answer = ask("POST /v2/contacts", {"email": "jane@example.com", "fields": {"created_at": "x"}})
    assert (status, answer["error"]["code"]) == (400, "invalid_field")
    service.settings.any_field = False
    status, answer = ask("POST /v2/contacts", {"email": "jane@example.com", "fields": {"plan": "pro"}})
    assert (status, answer["error"]["code"]) == (400, "invalid_field")
    assert "any_field" in answer["error"]["message"]


def test_events(ask: Asker, service: ConversionService) -> None:
    service.load({"contacts": [{"email": "jane@example.com", "user_id": "7"}]})
    contact = service.dump()["contacts"][0]["id"]
    event = {"event": "Purchased", "email": "jane@example.com", "eventId": "e1", "data": {"amount": 5}}
    status, first = ask("POST /v2/events", event)
    assert status == 200
    assert first["data"]["cnvContactId"] == contact
    _, again = ask("POST /v2/events", {**event, "data": {"amount": 6}, "timestamp": "2026-11-01T00:00:00Z"})
    assert again == first, "the same eventId updates in place"
    _, other = ask("POST /v2/events", {"event": "Seen", "userId": "7"})
    assert other["data"]["cnvEventId"] != first["data"]["cnvEventId"]
    rows = service.dump()["events"]
    assert [(row["event"], row["data"]) for row in rows] == [("Purchased", {"amount": 6}), ("Seen", None)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"event": "Seen"}, 400, "missing_identifier"),
        ({"event": "Seen", "email": "nobody@example.com"}, 404, "contact_not_found"),
        ({"event": "Seen", "email": "malformed"}, 400, "invalid_email"),
        ({"email": "jane@example.com"}, 400, "invalid_request"),
        ({"event": "Seen", "email": "jane@example.com", "timestamp": "yesterday"}, 400, "invalid_request"),
    ],
)
def test_events_that_are_refused(ask: Asker, body: Any, status: int, code: str) -> None:
    ask("POST /v2/contacts", EXAMPLE)
    answered, answer = ask("POST /v2/events", body)
    assert (answered, answer["error"]["code"]) == (status, code)


def test_exports_page_to_a_null_cursor_with_a_short_page_between(ask: Asker, service: ConversionService) -> None:
    contacts = [{"email": f"p{i}@example.com"} for i in range(7)]
    service.load({"settings": {"exports": True}, "contacts": contacts})
    emails: list[str] = []
    sizes: list[int] = []
    cursor = None
    while True:
        status, answer = ask("POST /v2/exports/contacts", {"limit": 3, **({"cursor": cursor} if cursor else {})})
        assert status == 200
        page = answer["data"]["contacts"]
        emails += [contact["email"] for contact in page]
        sizes.append(len(page))
        cursor = answer["pagination"]["nextCursor"]
        if cursor is None:
            break
    assert emails == [contact["email"] for contact in contacts]
    assert sizes == [2, 3, 2]


def test_a_rate_limit_where_the_world_has_one(ask: Asker, service: ConversionService, now: list[float]) -> None:
    service.load({"settings": {"rate_limit": {"requests": 2, "seconds": 60}}})
    statuses = [ask("POST /v2/contacts", EXAMPLE)[0] for _ in range(3)]
    assert statuses == [200, 200, 429]
    now[0] += 60
    assert ask("POST /v2/contacts", EXAMPLE)[0] == 200
