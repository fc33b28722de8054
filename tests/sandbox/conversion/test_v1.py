"""Conversion v1 against the reference's field lists and the field notes' envelopes."""

from __future__ import annotations

from typing import Any

import pytest

from mktg_integration.sandbox.conversion import ConversionService
from tests.sandbox.asking import Asker

JANE = {"email": "jane@example.com", "variables": {"first_name": "Jane", "anything": 1}}


def test_a_batch_creates_and_updates(ask: Asker) -> None:
    status, first = ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    assert status == 200
    contact = first["data"][0]["contactId"]
    assert first == {
        "success": True,
        "data": [{"email": "jane@example.com", "contactId": contact, "operation": "created"}],
    }
    item = {**JANE, "externalContact": {"id": "7"}}
    _, second = ask("POST /v1/contacts/batch", {"contacts": [item]})
    assert second["data"] == [{"email": "jane@example.com", "contactId": contact, "operation": "updated"}]


def test_get_by_email_decodes_the_path(ask: Asker, service: ConversionService) -> None:
    ask("POST /v1/contacts/batch", {"contacts": [{**JANE, "email": "jane+a@example.com"}]})
    status, answer = ask("GET /v1/contacts/by-email/jane%2Ba%40example.com")
    assert status == 200
    assert answer["success"] is True
    assert set(answer["data"]) == {"id", "businessId", "email", "variables", "subscriptionStatus", "createdAt"}
    assert answer["data"]["variables"] == JANE["variables"]
    assert answer["data"]["createdAt"] == "2023-11-14T22:13:20.000Z"
    assert ask.last.operation == "GET /v1/contacts/by-email/{email}"


def test_delete_by_email(ask: Asker, service: ConversionService) -> None:
    ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    status, answer = ask("DELETE /v1/contacts/by-email/jane@example.com")
    assert status == 200
    assert set(answer) == {"success", "message"}
    assert service.people() == []
    for method in ("GET", "DELETE"):
        status, answer = ask(f"{method} /v1/contacts/by-email/jane@example.com")
        assert (status, answer["success"], answer["error"]["code"]) == (404, False, "NOT_FOUND")
        assert ask.last.undocumented is None


def test_a_bad_item_is_left_out_of_the_answer(ask: Asker, service: ConversionService) -> None:
    items = [{"email": "malformed"}, JANE, {"variables": {}}, {"email": "b@example.com", "tags": []}]
    status, answer = ask("POST /v1/contacts/batch", {"contacts": items})
    assert status == 200
    assert [row["email"] for row in answer["data"]] == ["jane@example.com"]
    assert [row["email"] for row in service.people()] == ["jane@example.com"]
    assert (ask.last.undocumented or "").startswith("tags")


def test_a_world_can_have_bad_items_refuse_the_whole_batch(ask: Asker, service: ConversionService) -> None:
    service.load({"settings": {"v1_refuse_whole_batch": True}})
    status, answer = ask("POST /v1/contacts/batch", {"contacts": [JANE, {"email": "malformed"}]})
    assert (status, answer["success"], answer["error"]["code"]) == (400, False, "VALIDATION_ERROR")
    assert "contacts[1].email" in answer["error"]["message"]
    assert service.people() == []


@pytest.mark.parametrize("key", ["subscriptionStatus", "status"])
@pytest.mark.parametrize("value", ["SUBSCRIBED", "UNSUBSCRIBED", "PENDING"])
def test_subscription_statuses(ask: Asker, service: ConversionService, key: str, value: str) -> None:
    ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    items = [{"email": "jane@example.com", key: value}, {"email": "nobody@example.com", key: value}]
    status, answer = ask("POST /v1/contacts/batch-subscription", {"contacts": items})
    assert status == 200
    assert [row["email"] for row in answer["data"]] == ["jane@example.com"]
    assert service.people()[0]["status"] == value


@pytest.mark.parametrize(
    ("item", "status", "code"),
    [
        ({"email": "jane@example.com", "status": "BOUNCED"}, 400, "VALIDATION_ERROR"),
        ({"email": "jane@example.com"}, 400, "VALIDATION_ERROR"),
        ({"email": "nobody@example.com", "status": "SUBSCRIBED"}, 404, "NOT_FOUND"),
    ],
)
def test_a_refused_subscription_batch(
    ask: Asker, service: ConversionService, item: Any, status: int, code: str
) -> None:
    service.load({"settings": {"v1_refuse_whole_batch": True}, "contacts": [{"email": "jane@example.com"}]})
    answered, answer = ask("POST /v1/contacts/batch-subscription", {"contacts": [item]})
    assert (answered, answer["error"]["code"]) == (status, code)
    assert service.people()[0]["status"] == "NO_STATUS"


def test_a_resubscription_is_counted(ask: Asker, service: ConversionService) -> None:
    service.load({"contacts": [{"email": "jane@example.com", "subscription_status": "UNSUBSCRIBED"}]})
    ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    assert service.people()[0]["status"] == "UNSUBSCRIBED"
    items = [{"email": "jane@example.com", "subscriptionStatus": "SUBSCRIBED"}]
    ask("POST /v1/contacts/batch-subscription", {"contacts": items})
    assert service.stats.as_json()["resubscribed"] == {"POST /v1/contacts/batch-subscription": 1}


def test_engagements(ask: Asker, service: ConversionService) -> None:
    ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    body = {
        "contactEmail": "jane@example.com",
        "type": "ACTIVITY",
        "name": "Demo",
        "description": "Saw the demo",
        "data": {"duration_minutes": 30, "tags": ["a"]},
    }
    status, answer = ask("POST /v1/contacts/engagements", body)
    assert (status, answer["success"]) == (200, True)
    assert service.dump()["engagements"][0]["data"] == body["data"]
    status, answer = ask("POST /v1/contacts/engagements", {**body, "contactEmail": "nobody@example.com"})
    assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")
    for key in ("contactEmail", "type", "name", "description"):
        status, answer = ask("POST /v1/contacts/engagements", {k: v for k, v in body.items() if k != key})
        assert (status, answer["error"]["code"]) == (400, "VALIDATION_ERROR")
        assert key in answer["error"]["message"]
    status, _ = ask("POST /v1/contacts/engagements", {**body, "type": "CALL"})
    assert status == 400


def test_companies(ask: Asker) -> None:
    company = {"id": "c1/ä", "baseDomain": "acme.example", "variables": {"size": "11-50"}}
    status, answer = ask("POST /v1/companies/batch", {"companies": [company, {"baseDomain": "no.id"}]})
    assert status == 200
    assert [(row["id"], row["operation"]) for row in answer["data"]] == [("c1/ä", "created")]
    _, answer = ask("POST /v1/companies/batch", {"companies": [{"id": "c1/ä", "variables": {"industry": "x"}}]})
    assert answer["data"][0]["operation"] == "updated"
    status, answer = ask("GET /v1/companies/by-external-id/c1%2F%C3%A4")
    assert status == 200
    assert answer["data"]["externalId"] == "c1/ä"
    assert answer["data"]["baseDomain"] == "acme.example"
    assert answer["data"]["variables"] == {"size": "11-50", "industry": "x"}
    status, answer = ask("DELETE /v1/companies/by-external-id/c1%2F%C3%A4")
    assert (status, set(answer)) == (200, {"success", "message"})
    for method in ("GET", "DELETE"):
        status, answer = ask(f"{method} /v1/companies/by-external-id/c1%2F%C3%A4")
        assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")


def test_a_world_can_have_domains_of_one_company_only(ask: Asker, service: ConversionService) -> None:
    service.load({"settings": {"unique_base_domain": True}})
    one, two = ({"id": name, "baseDomain": "acme.example"} for name in ("c1", "c2"))
    assert ask("POST /v1/companies/batch", {"companies": [one]})[0] == 200
    assert ask("POST /v1/companies/batch", {"companies": [one]})[0] == 200
    status, answer = ask("POST /v1/companies/batch", {"companies": [two]})
    assert (status, answer["error"]["code"]) == (409, "DUPLICATE_ERROR")


@pytest.mark.parametrize("size", [0, 1001])
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/contacts/batch", "contacts"),
        ("/v1/contacts/batch-subscription", "contacts"),
        ("/v1/companies/batch", "companies"),
    ],
)
def test_a_batch_of_another_size_is_refused(ask: Asker, path: str, key: str, size: int) -> None:
    status, answer = ask(f"POST {path}", {key: [JANE] * size})
    assert (status, answer["error"]["code"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "sk_live_sandbox_secret"},
        {"authorization": "", "x-api-key": "sk_live_sandbox_secret"},
    ],
)
def test_a_wrong_key(ask: Asker, headers: dict[str, str]) -> None:
    status, answer = ask("POST /v1/contacts/batch", {"contacts": [JANE]}, headers=headers)
    assert (status, answer["success"], answer["error"]["code"]) == (401, False, "UNAUTHORIZED")


def test_a_rate_limit_where_the_world_has_one(ask: Asker, service: ConversionService) -> None:
    service.load({"settings": {"rate_limit": {"requests": 1, "seconds": 60}}})
    ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    status, answer = ask("POST /v1/contacts/batch", {"contacts": [JANE]})
    assert (status, answer["error"]["code"]) == (429, "RATE_LIMIT_EXCEEDED")


def test_paths_and_query_keys_that_no_document_has(ask: Asker) -> None:
    status, answer = ask("GET /v1/contacts")
    assert (status, answer["success"], answer["error"]["code"]) == (404, False, "NOT_FOUND")
    assert ask.last.undocumented
    status, answer = ask("GET /v1/contacts/by-email/jane@example.com?full=1")
    assert (status, answer["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert ask.last.undocumented


def test_both_dialects_see_one_account(ask: Asker) -> None:
    ask("POST /v2/contacts", {"email": "jane@example.com", "subscriptionStatus": "UNSUBSCRIBED"})
    _, answer = ask("GET /v1/contacts/by-email/jane@example.com")
    assert answer["data"]["subscriptionStatus"] == "UNSUBSCRIBED"
