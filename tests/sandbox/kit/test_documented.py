"""Every endpoint and status of the document, with the keys, types and errors that its examples show.

``documented.json`` holds them: by endpoint and status the shape of the example, or, for an error, the example itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from mktg_integration.sandbox.credentials import KIT_CLIENT_ID, KIT_CLIENT_SECRET

from .calling import API_KEY, Kit

DOCUMENTED: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "documented.json").read_text())
MANY = 101
NO_BROADCASTS: dict[str, Any] = {"broadcasts_allowed": False}
NO_QUEUE: dict[str, Any] = {"bulk_queue_limit": 0}
REDIRECT = "https://example.com/callback"
FILTER = [{"all": [{"type": "segment", "ids": [1]}]}]
BROADCAST = {
    "email_template_id": 1,
    "email_address": "greetings@example.com",
    "content": "<p>Hi</p>",
    "description": "Intro email",
    "public": True,
    "published_at": "2023-03-01T00:00:00",
    "send_at": "2023-03-01T00:00:00Z",
    "thumbnail_alt": None,
    "thumbnail_url": None,
    "preview_text": "Pleased to meet you",
    "subject": "Hello",
    "subscriber_filter": FILTER,
}
BAD_BROADCAST = {
    "email_template_id": 99,
    "subscriber_filter": [
        {"all": [{"type": "tag", "ids": [1]}], "any": [{"type": "tag", "ids": ["2"]}]},
    ],
}
PURCHASE = {
    "email_address": "person1@example.com",
    "transaction_id": "796-92-4892",
    "status": "paid",
    "subtotal": 78.66,
    "tax": 7.87,
    "shipping": 0,
    "discount": 5,
    "total": 81.53,
    "currency": "USD",
    "transaction_time": "2023-02-17T11:43:55Z",
    "products": [
        {"name": "Hourglass", "pid": "804", "lid": "811", "quantity": 1, "sku": "SM21", "unit_price": 23.22},
    ],
}


def many(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [item] * MANY


def by_email(number: int) -> dict[str, str]:
    return {"email_address": f"person{number}@example.com"}


def code(kit: Kit) -> str:
    """An authorization code, as consent gives it."""
    kit.settings.auto_consent = True
    query = urlencode({"client_id": KIT_CLIENT_ID, "response_type": "code", "redirect_uri": REDIRECT})
    location = kit.call(f"GET /oauth/authorize?{query}", headers={}).response.headers["Location"]
    return location.partition("code=")[2]


@dataclass(frozen=True)
class Case:
    """A request and the documented answer that it must get."""

    operation: str
    status: int
    body: Any = None
    at: str = ""
    """The path with its ids and query, where the template has ids."""
    settings: dict[str, Any] | None = None
    prepare: Callable[[Kit], dict[str, Any]] | None = None
    """Gives the body when it is only known then."""

    @property
    def target(self) -> str:
        return f"{self.operation.split(' ')[0]} {self.at}" if self.at else self.operation


CASES = [
    Case(
        "GET /oauth/authorize",
        302,
        at="/oauth/authorize?"
        + urlencode({"client_id": KIT_CLIENT_ID, "response_type": "code", "redirect_uri": REDIRECT}),
        settings={"auto_consent": True},
    ),
    Case(
        "POST /oauth/token",
        200,
        prepare=lambda kit: {
            "client_id": KIT_CLIENT_ID,
            "client_secret": KIT_CLIENT_SECRET,
            "grant_type": "authorization_code",
            "code": code(kit),
            "redirect_uri": REDIRECT,
        },
    ),
    Case("GET /v4/account", 200),
    Case("GET /v4/account/colors", 200),
    Case("PUT /v4/account/colors", 200, {"colors": ["#000000", "#ffffff"]}),
    Case("PUT /v4/account/colors", 422, {"colors": ["#123_not_a_code"]}),
    Case("GET /v4/account/creator_profile", 200),
    Case("GET /v4/account/creator_profile", 404, prepare=lambda kit: kit.load() or {}),  # type: ignore[func-returns-value]
    Case("GET /v4/account/email_stats", 200),
    Case("GET /v4/account/growth_stats", 200),
    Case("GET /v4/account/growth_stats", 422, at="/v4/account/growth_stats?starting=10/02/2023&ending=soon"),
    Case("GET /v4/broadcasts", 200),
    Case("POST /v4/broadcasts", 201, BROADCAST),
    Case("POST /v4/broadcasts", 403, BROADCAST, settings=NO_BROADCASTS),
    Case("POST /v4/broadcasts", 422, BAD_BROADCAST),
    Case("DELETE /v4/broadcasts/{id}", 204, {}, "/v4/broadcasts/1"),
    Case("DELETE /v4/broadcasts/{id}", 403, {}, "/v4/broadcasts/1", settings=NO_BROADCASTS),
    Case("DELETE /v4/broadcasts/{id}", 404, {}, "/v4/broadcasts/99"),
    Case("DELETE /v4/broadcasts/{id}", 422, {}, "/v4/broadcasts/2"),
    Case("GET /v4/broadcasts/{id}", 200, at="/v4/broadcasts/1"),
    Case("GET /v4/broadcasts/{id}", 404, at="/v4/broadcasts/99"),
    Case("PUT /v4/broadcasts/{id}", 200, BROADCAST, "/v4/broadcasts/1"),
    Case("PUT /v4/broadcasts/{id}", 403, BROADCAST, "/v4/broadcasts/1", settings=NO_BROADCASTS),
    Case("PUT /v4/broadcasts/{id}", 404, BROADCAST, "/v4/broadcasts/99"),
    Case("PUT /v4/broadcasts/{id}", 422, BAD_BROADCAST, "/v4/broadcasts/1"),
    Case("GET /v4/broadcasts/{id}/stats", 200, at="/v4/broadcasts/1/stats"),
    Case("GET /v4/broadcasts/{id}/stats", 404, at="/v4/broadcasts/99/stats"),
    Case("POST /v4/bulk/custom_fields", 200, {"custom_fields": [{"label": "Interests"}, {"label": "Last name"}]}),
    Case("POST /v4/bulk/custom_fields", 202, {"custom_fields": many({"label": "Interests"})}),
    Case("POST /v4/bulk/custom_fields", 413, {"custom_fields": many({"label": "Interests"})}, settings=NO_QUEUE),
    Case("POST /v4/bulk/custom_fields", 422, {"custom_fields": []}),
    Case("GET /v4/custom_fields", 200),
    Case("POST /v4/custom_fields", 201, {"label": "Interests"}),
    Case("POST /v4/custom_fields", 422, {"label": " "}),
    Case("DELETE /v4/custom_fields/{id}", 204, {}, "/v4/custom_fields/1"),
    Case("DELETE /v4/custom_fields/{id}", 404, {}, "/v4/custom_fields/99"),
    Case("DELETE /v4/custom_fields/{id}", 422, {}, "/v4/custom_fields/2"),
    Case("PUT /v4/custom_fields/{id}", 200, {"label": "Surname"}, "/v4/custom_fields/1"),
    Case("PUT /v4/custom_fields/{id}", 404, {"label": "Surname"}, "/v4/custom_fields/99"),
    Case("PUT /v4/custom_fields/{id}", 422, {}, "/v4/custom_fields/1"),
    Case(
        "POST /v4/bulk/subscribers",
        200,
        {
            "subscribers": [
                {"first_name": None, "email_address": "benito@example.com"},
                {"first_name": "Benito", "email_address": "not an address"},
            ]
        },
    ),
    Case("POST /v4/bulk/subscribers", 202, {"subscribers": many({"first_name": "A", **by_email(1)})}),
    Case(
        "POST /v4/bulk/subscribers",
        403,
        {"subscribers": [{"first_name": "A", "email_address": "new@example.com"}]},
        settings={"subscriber_limit": 2},
    ),
    Case(
        "POST /v4/bulk/subscribers",
        413,
        {"subscribers": many({"first_name": "A", **by_email(1)})},
        settings=NO_QUEUE,
    ),
    Case("POST /v4/bulk/subscribers", 422, {"subscribers": "none"}),
    Case("GET /v4/subscribers", 200),
    Case("GET /v4/subscribers", 422, at="/v4/subscribers?sort_field=cancelled_at"),
    Case("POST /v4/subscribers", 200, {"first_name": "Alice", **by_email(1)}),
    Case("POST /v4/subscribers", 201, {"first_name": "Alice", "email_address": "alice@example.com"}),
    Case(
        "POST /v4/subscribers",
        202,
        {"first_name": "Al", "email_address": "al@example.com", "fields": {f"Field {i}": "x" for i in range(11)}},
    ),
    Case("POST /v4/subscribers", 422, {"email_address": "alice"}),
    Case("GET /v4/subscribers/{id}", 200, at="/v4/subscribers/1"),
    Case("GET /v4/subscribers/{id}", 404, at="/v4/subscribers/99"),
    Case("PUT /v4/subscribers/{id}", 200, {"first_name": "Al", "email_address": "al@example.com"}, "/v4/subscribers/1"),
    Case(
        "PUT /v4/subscribers/{id}",
        202,
        {**by_email(1), "fields": {f"Field {i}": "x" for i in range(11)}},
        "/v4/subscribers/1",
    ),
    Case("PUT /v4/subscribers/{id}", 404, by_email(1), "/v4/subscribers/99"),
    Case("PUT /v4/subscribers/{id}", 422, by_email(2), "/v4/subscribers/1"),
    Case("POST /v4/subscribers/{id}/unsubscribe", 204, {}, "/v4/subscribers/1/unsubscribe"),
    Case("POST /v4/subscribers/{id}/unsubscribe", 404, {}, "/v4/subscribers/99/unsubscribe"),
    Case("GET /v4/subscribers/{subscriber_id}/tags", 200, at="/v4/subscribers/1/tags"),
    Case("GET /v4/subscribers/{subscriber_id}/tags", 404, at="/v4/subscribers/99/tags"),
    Case("POST /v4/bulk/tags", 200, {"tags": [{"name": "Newsletter"}, {"name": "Tag A"}]}),
    Case("POST /v4/bulk/tags", 202, {"tags": many({"name": "Newsletter"})}),
    Case("POST /v4/bulk/tags", 413, {"tags": many({"name": "Newsletter"})}, settings=NO_QUEUE),
    Case("POST /v4/bulk/tags", 422, {"tags": []}),
    Case("POST /v4/bulk/tags/subscribers", 200, {"taggings": [{"tag_id": 1, "subscriber_id": 2}]}),
    Case("POST /v4/bulk/tags/subscribers", 202, {"taggings": many({"tag_id": 1, "subscriber_id": 2})}),
    Case(
        "POST /v4/bulk/tags/subscribers",
        413,
        {"taggings": many({"tag_id": 1, "subscriber_id": 2})},
        settings=NO_QUEUE,
    ),
    Case("POST /v4/bulk/tags/subscribers", 422, {}),
    Case("GET /v4/tags", 200),
    Case("POST /v4/tags", 201, {"name": "Completed"}),
    Case("POST /v4/tags", 422, {"name": "tag a"}),
    Case("PUT /v4/tags/{id}", 200, {"name": "signed up"}, "/v4/tags/1"),
    Case("PUT /v4/tags/{id}", 404, {"name": "signed up"}, "/v4/tags/99"),
    Case("PUT /v4/tags/{id}", 422, {"name": ""}, "/v4/tags/1"),
    Case("DELETE /v4/tags/{tag_id}/subscribers", 204, by_email(1), "/v4/tags/1/subscribers"),
    Case("DELETE /v4/tags/{tag_id}/subscribers", 404, by_email(9), "/v4/tags/1/subscribers"),
    Case("DELETE /v4/tags/{tag_id}/subscribers", 422, {}, "/v4/tags/1/subscribers"),
    Case("GET /v4/tags/{tag_id}/subscribers", 200, at="/v4/tags/1/subscribers"),
    Case("GET /v4/tags/{tag_id}/subscribers", 404, at="/v4/tags/99/subscribers"),
    Case("POST /v4/tags/{tag_id}/subscribers", 200, by_email(1), "/v4/tags/1/subscribers"),
    Case("POST /v4/tags/{tag_id}/subscribers", 201, by_email(2), "/v4/tags/1/subscribers"),
    Case("POST /v4/tags/{tag_id}/subscribers", 404, by_email(9), "/v4/tags/1/subscribers"),
    Case("POST /v4/tags/{tag_id}/subscribers", 422, {}, "/v4/tags/1/subscribers"),
    Case("DELETE /v4/tags/{tag_id}/subscribers/{id}", 204, {}, "/v4/tags/1/subscribers/1"),
    Case("DELETE /v4/tags/{tag_id}/subscribers/{id}", 404, {}, "/v4/tags/99/subscribers/1"),
    Case("POST /v4/tags/{tag_id}/subscribers/{id}", 200, {}, "/v4/tags/1/subscribers/1"),
    Case("POST /v4/tags/{tag_id}/subscribers/{id}", 201, {}, "/v4/tags/1/subscribers/2"),
    Case("POST /v4/tags/{tag_id}/subscribers/{id}", 404, {}, "/v4/tags/1/subscribers/99"),
    Case("GET /v4/email_templates", 200),
    Case("GET /v4/forms", 200),
    Case("GET /v4/forms/{form_id}/subscribers", 200, at="/v4/forms/1/subscribers"),
    Case("GET /v4/forms/{form_id}/subscribers", 404, at="/v4/forms/99/subscribers"),
    Case("POST /v4/forms/{form_id}/subscribers", 200, by_email(1), "/v4/forms/1/subscribers"),
    Case("POST /v4/forms/{form_id}/subscribers", 201, by_email(2), "/v4/forms/1/subscribers"),
    Case("POST /v4/forms/{form_id}/subscribers", 404, by_email(1), "/v4/forms/99/subscribers"),
    Case("POST /v4/forms/{form_id}/subscribers", 422, {}, "/v4/forms/1/subscribers"),
    Case("POST /v4/forms/{form_id}/subscribers/{id}", 200, {}, "/v4/forms/1/subscribers/1"),
    Case("POST /v4/forms/{form_id}/subscribers/{id}", 201, {}, "/v4/forms/1/subscribers/2"),
    Case("POST /v4/forms/{form_id}/subscribers/{id}", 404, {}, "/v4/forms/1/subscribers/99"),
    Case("GET /v4/purchases", 200),
    Case("POST /v4/purchases", 201, {"purchase": PURCHASE}),
    Case("POST /v4/purchases", 422, {"purchase": {**PURCHASE, "transaction_id": ""}}),
    Case("GET /v4/purchases/{id}", 200, at="/v4/purchases/1"),
    Case("GET /v4/purchases/{id}", 404, at="/v4/purchases/99"),
    Case("GET /v4/segments", 200),
    Case("GET /v4/sequences", 200),
    Case("GET /v4/sequences/{sequence_id}/subscribers", 200, at="/v4/sequences/1/subscribers"),
    Case("GET /v4/sequences/{sequence_id}/subscribers", 404, at="/v4/sequences/99/subscribers"),
    Case("POST /v4/sequences/{sequence_id}/subscribers", 200, by_email(1), "/v4/sequences/1/subscribers"),
    Case("POST /v4/sequences/{sequence_id}/subscribers", 201, by_email(2), "/v4/sequences/1/subscribers"),
    Case("POST /v4/sequences/{sequence_id}/subscribers", 404, by_email(9), "/v4/sequences/1/subscribers"),
    Case("POST /v4/sequences/{sequence_id}/subscribers", 422, {}, "/v4/sequences/1/subscribers"),
    Case("POST /v4/sequences/{sequence_id}/subscribers/{id}", 200, {}, "/v4/sequences/1/subscribers/1"),
    Case("POST /v4/sequences/{sequence_id}/subscribers/{id}", 201, {}, "/v4/sequences/1/subscribers/2"),
    Case("POST /v4/sequences/{sequence_id}/subscribers/{id}", 404, {}, "/v4/sequences/1/subscribers/99"),
    Case("GET /v4/webhooks", 200),
    Case(
        "POST /v4/webhooks",
        201,
        {"target_url": "https://example.com/", "event": {"name": "subscriber.subscriber_activate"}},
    ),
    Case("DELETE /v4/webhooks/{id}", 204, {}, "/v4/webhooks/1"),
    Case("DELETE /v4/webhooks/{id}", 404, {}, "/v4/webhooks/99"),
]


def test_every_documented_answer_has_a_case() -> None:
    documented = {(operation, int(status)) for operation in DOCUMENTED for status in DOCUMENTED[operation]}
    unauthorized = {(operation, 401) for operation in DOCUMENTED}
    assert documented - unauthorized == {(case.operation, case.status) for case in CASES}


def test_every_documented_endpoint_is_served_and_no_other(kit: Kit) -> None:
    served = set(kit.service.operations)
    assert set(DOCUMENTED) <= served
    assert served - set(DOCUMENTED) == {
        "POST /oauth/authorize",
        "POST /oauth/revoke",
        "POST /v4/bulk/custom_fields/subscribers",
        "DELETE /v4/bulk/tags/subscribers",
        "POST /v4/bulk/forms/subscribers",
        "GET /v4/subscribers/{subscriber_id}/stats",
        "GET /v4/webhook_endpoints",
        "POST /v4/webhook_endpoints",
        "GET /v4/webhook_endpoints/{id}",
        "DELETE /v4/webhook_endpoints/{id}",
        "POST /v4/webhook_endpoints/{id}/rotate_secret",
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.operation} {case.status}")
def test_answers_as_documented(account: Kit, case: Case) -> None:
    for name, value in (case.settings or {}).items():
        setattr(account.settings, name, value)
    body = case.prepare(account) if case.prepare else case.body
    answer = account.call(case.target, body)
    assert answer.status == case.status, answer.json
    assert answer.response.operation == case.operation
    assert answer.response.undocumented is None
    documented = DOCUMENTED[case.operation][str(case.status)]
    if case.status == 204:
        assert answer.response.body == b""
    elif case.status >= 400:
        assert answer.json == documented
    elif documented is not None:
        assert_shape(answer.json, documented)


@pytest.mark.parametrize("operation", [name for name in DOCUMENTED if "401" in DOCUMENTED[name]])
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic x"}, {"x-kit-api-key": "wrong"}],
    ids=["none", "token", "basic", "key"],
)
def test_credentials_are_needed(account: Kit, operation: str, headers: dict[str, str]) -> None:
    method, template = operation.split(" ")
    path = template.replace("{", "").replace("}", "")
    for name in ("subscriber_id", "sequence_id", "form_id", "tag_id", "id"):
        path = path.replace(f"/{name}", "/1")
    before = account.service.dump()
    answer = account.call(f"{method} {path}", {}, headers=headers)
    assert (answer.status, answer.response.operation) == (401, operation)
    assert answer.json == DOCUMENTED[operation]["401"]
    assert account.service.dump() == before


@pytest.mark.parametrize("case", [case for case in CASES if case.status < 300], ids=lambda case: case.operation)
def test_api_keys_open_all_but_bulk_and_purchases(account: Kit, case: Case) -> None:
    body = case.prepare(account) if case.prepare else case.body
    answer = account.call(case.target, body, headers=API_KEY)
    oauth_only = "/v4/bulk/" in case.operation or "/v4/purchases" in case.operation
    assert answer.status == (401 if oauth_only else case.status)


def assert_shape(actual: Any, documented: Any, at: str = "") -> None:
    """The same keys, and values of the types that the document's example has."""
    if isinstance(documented, dict):
        assert isinstance(actual, dict), at
        if at.endswith(".fields"):
            assert all(value is None or isinstance(value, str) for value in actual.values())
            return
        assert set(actual) - {"warnings"} == set(documented), at
        for key, shape in documented.items():
            assert_shape(actual[key], shape, f"{at}.{key}")
    elif isinstance(documented, list):
        assert isinstance(actual, list), at
        assert actual or not documented, f"{at}: the example has something here"
        for row in actual if documented else []:
            assert_shape(row, documented[0], f"{at}[]")
    elif documented in {"integer", "number"}:
        assert isinstance(actual, int | float), at
        assert not isinstance(actual, bool), at
        assert isinstance(actual, int) or not at.endswith("id"), at
    elif documented in {"string", "boolean"}:
        assert isinstance(actual, str if documented == "string" else bool), at
    else:
        assert actual is None or isinstance(actual, str | int | bool), at
