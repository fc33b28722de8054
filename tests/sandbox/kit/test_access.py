"""Credentials, rate limits, and requests that the document does not have."""

from __future__ import annotations

import pytest

from mktg_integration.sandbox.credentials import KitCredentials
from mktg_integration.sandbox.kit import KitService
from mktg_integration.sandbox.kit.objects import RateLimit
from mktg_integration.sandbox.wire import Request

from .calling import API_KEY, OAUTH, Kit


def test_credentials_may_be_added_while_it_runs() -> None:
    credentials = KitCredentials(api_keys={"first"}, access_tokens=set(), clients={})
    service = KitService(credentials)

    def status(key: str) -> int:
        return service.handle(Request("GET", "/v4/account", {}, {"x-kit-api-key": key}, b"")).status

    assert (status("first"), status("second"), status("")) == (200, 401, 401)
    credentials.api_keys.add("second")
    assert status("second") == 200


def test_an_api_key_does_not_open_bulk_and_purchases(account: Kit) -> None:
    before = account.service.dump()
    answer = account.call("POST /v4/bulk/tags", {"tags": [{"name": "New"}]}, headers=API_KEY)
    assert (answer.status, answer.errors) == (401, ["The access token is invalid"])
    assert account.service.dump() == before
    assert account.service.stats.unauthorized == {"POST /v4/bulk/tags": 1}


@pytest.mark.parametrize(("headers", "kind", "limit"), [(API_KEY, "api_key", 120), (OAUTH, "oauth", 600)])
def test_the_limit_rolls(kit: Kit, headers: dict[str, str], kind: str, limit: int) -> None:
    kit.settings.rate_limit = RateLimit()
    for _ in range(limit // 2):
        assert kit.call("GET /v4/account", headers=headers).status == 200
    kit.clock.move(30)
    for _ in range(limit // 2):
        assert kit.call("GET /v4/account", headers=headers).status == 200
    refused = kit.call("GET /v4/account", headers=headers)
    assert refused.status == 429
    assert refused.response.body == b"Retry later"
    assert refused.response.content_type == "text/plain"
    assert "retry-after" not in {name.lower() for name in refused.response.headers}
    assert refused.response.operation == "GET /v4/account"
    assert kit.service.rejected == 1
    kit.clock.move(29.9)
    assert kit.call("GET /v4/account", headers=headers).status == 429
    kit.clock.move(0.2)
    for _ in range(limit // 2):
        assert kit.call("GET /v4/account", headers=headers).status == 200
    assert kit.call("GET /v4/account", headers=headers).status == 429
    assert kit.service.stats.rejected == {kind: 3}
    refused_within_the_window = 3
    assert kit.service.rate_peak == limit + refused_within_the_window


def test_each_credential_has_its_own_limit(kit: Kit) -> None:
    kit.settings.rate_limit = RateLimit(api_key=1, oauth=1)
    kit.service.credentials.api_keys.add("another")
    for headers in (API_KEY, OAUTH, {"x-kit-api-key": "another"}):
        assert kit.call("GET /v4/account", headers=headers).status == 200
        assert kit.call("GET /v4/account", headers=headers).status == 429


def test_without_a_limit_the_peak_is_still_measured(kit: Kit) -> None:
    kit.load(settings={"rate_limit": None})
    for _ in range(150):
        assert kit.call("GET /v4/account", headers=API_KEY).status == 200
    kit.clock.move(61)
    kit.call("GET /v4/account", headers=API_KEY)
    assert kit.service.rate_peak == 150
    assert kit.service.stats.as_json()["rate_peak"] == {"api_key": 150}


def test_a_request_without_a_good_credential_uses_nothing_up(kit: Kit) -> None:
    kit.settings.rate_limit = RateLimit(api_key=1)
    for _ in range(5):
        assert kit.call("GET /v4/account", headers={"x-kit-api-key": "wrong"}).status == 401
    assert kit.call("GET /v4/account", headers=API_KEY).status == 200


@pytest.mark.parametrize(
    "operation",
    [
        "GET /v4/people",
        "PATCH /v4/subscribers/1",
        "GET /v3/subscribers",
        "POST /v4/subscribers/filter",
        "GET /v4/tags/",
        "DELETE /v4/tags/1",
        "POST /v4/bulk/custom_fields/subscribers",
    ],
)
def test_a_path_that_the_document_does_not_have(kit: Kit, operation: str) -> None:
    answer = kit.call(operation, {})
    assert (answer.status, answer.json) == (404, {"errors": ["Not Found"]})
    assert answer.response.operation is None
    assert answer.response.undocumented == f"path {operation}"


def test_an_id_that_is_no_number(kit: Kit) -> None:
    answer = kit.call("GET /v4/subscribers/jane@example.com")
    assert (answer.status, answer.json) == (404, {"errors": ["Not Found"]})
    assert answer.response.undocumented == "path type of id"


@pytest.mark.parametrize(
    ("operation", "body", "undocumented"),
    [
        ("POST /v4/subscribers", {"email_address": "a@example.com", "tags": []}, "body key tags"),
        ("POST /v4/subscribers", {"email_address": 1}, "body type of email_address"),
        ("POST /v4/subscribers", {"email_address": "a@example.com", "fields": []}, "body type of fields"),
        ("POST /v4/subscribers", {"email_address": "a@example.com", "fields": {"Age": 9}}, "body type of fields.Age"),
        ("POST /v4/subscribers", ["a"], "body type of the whole"),
        ("POST /v4/subscribers/1/unsubscribe", {"reason": "x"}, "body key reason"),
        ("GET /v4/subscribers?email=a@example.com", None, "query key email"),
        ("GET /v4/tags?per_page=ten", None, "query type of per_page"),
        ("GET /v4/account?verbose=1", None, "query key verbose"),
        ("POST /v4/tags", {"name": "A", "color": "red"}, "body key color"),
        ("PUT /v4/account/colors", {"colors": "#fff"}, "body type of colors"),
    ],
)
def test_keys_and_types_that_the_document_does_not_have(
    account: Kit, operation: str, body: object, undocumented: str
) -> None:
    before = account.service.dump()
    answer = account.call(operation, body)
    assert answer.status == 422
    assert answer.response.undocumented == undocumented
    assert answer.errors
    assert account.service.dump() == before


def test_all_that_is_wrong_is_told(account: Kit) -> None:
    answer = account.call("POST /v4/subscribers", {"email_address": 1, "shoe": "42", "state": "gone"})
    assert answer.errors == ["Email address is invalid", "State is invalid", "Shoe is not a documented parameter"]


def test_a_body_that_is_not_json(account: Kit) -> None:
    answer = account.call("POST /v4/tags", raw=b"{name")
    assert (answer.status, answer.errors) == (400, ["Bad Request"])
    assert answer.response.undocumented == "body is not JSON"


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b" [] "])
def test_ways_to_send_nothing(account: Kit, raw: bytes) -> None:
    assert account.call("POST /v4/subscribers/1/unsubscribe", raw=raw).status == 204
    assert account.call("POST /v4/tags", raw=raw).errors == ["Name can't be blank"]


def test_a_form_where_the_document_shows_json(account: Kit) -> None:
    answer = account.call("POST /v4/tags", {"name": "A"}, form=True)
    assert answer.status == 422
    assert answer.response.undocumented == "body type: form-encoded"
