"""Pages, forms of values, and answers that are not as documented."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import responses
from responses import matchers

from mktg_integration.exceptions import Action, ConfigurationError, MalformedAnswerError, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.providers.kit.client import KitClient, KitOAuth, PurchaseBody
from mktg_integration.providers.kit.client.base import day, moment

BASE = "https://api.kit.com"


def pagination(end: str | None = None) -> dict[str, Any]:
    return {"has_previous_page": False, "has_next_page": end is not None, "start_cursor": "s", "end_cursor": end}


def subscriber(**values: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "first_name": "Alice",
        "email_address": "alice@example.com",
        "state": "active",
        "created_at": "2023-02-17T11:43:55Z",
        "fields": {},
        **values,
    }


@pytest.fixture
def client() -> KitClient:
    return KitClient(api_key="kit_key", limiter=Unlimited())


@pytest.fixture
def mocked() -> Any:
    with responses.RequestsMock() as mock:
        yield mock


def add_page(mock: responses.RequestsMock, after: str | None, end: str | None, *names: str) -> None:
    query = {"after": after} if after else {}
    mock.get(
        f"{BASE}/v4/tags",
        json={"tags": [{"id": 1, "name": name} for name in names], "pagination": pagination(end)},
        match=[matchers.query_param_matcher(query)],
    )


def test_has_next_page_decides_and_not_a_short_page(client: KitClient, mocked: responses.RequestsMock) -> None:
    add_page(mocked, None, "a", "one", "two")
    add_page(mocked, "a", "b")
    add_page(mocked, "b", None, "three")
    assert [tag.name for tag in client.list_tags()] == ["one", "two", "three"]


def test_pages_go_on_where_one_left_off(client: KitClient, mocked: responses.RequestsMock) -> None:
    add_page(mocked, "a", "b", "two")
    add_page(mocked, "b", None, "three")
    pages = client.list_tags().pages(after="a")
    assert [[tag.name for tag in page.items] for page in pages] == [["two"], ["three"]]


@pytest.mark.parametrize("second", ["a", "b"])
def test_a_cursor_that_comes_twice_is_an_error(client: KitClient, mocked: responses.RequestsMock, second: str) -> None:
    add_page(mocked, None, "a")
    add_page(mocked, "a", second)
    if second == "b":
        add_page(mocked, "b", "a")
    with pytest.raises(MalformedAnswerError, match="GET /v4/tags repeats a cursor"):
        list(client.list_tags())


def test_a_next_page_without_cursor_is_an_error(client: KitClient, mocked: responses.RequestsMock) -> None:
    page = {"tags": [], "pagination": {"has_previous_page": False, "has_next_page": True, "end_cursor": None}}
    mocked.get(f"{BASE}/v4/tags", json=page)
    with pytest.raises(MalformedAnswerError, match="end_cursor"):
        list(client.list_tags())


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ({}, "subscriber (missing)"),
        ({"subscriber": {"id": 1}}, "subscriber.email_address (missing)"),
        ({"subscriber": subscriber(state="paused@example.com")}, "subscriber.state (literal_error)"),
        ({"subscriber": subscriber(id="alice@example.com")}, "subscriber.id (int_parsing)"),
        ([], "body (model_type)"),
        (None, "body (model_type)"),
    ],
)
def test_a_changed_answer_names_its_keys_and_no_values(
    client: KitClient, mocked: responses.RequestsMock, answer: Any, named: str
) -> None:
    mocked.get(f"{BASE}/v4/subscribers/1", json=answer)
    with pytest.raises(MalformedAnswerError) as caught:
        client.get_subscriber(1)
    assert str(caught.value).startswith("kit: GET /v4/subscribers/{id} is not as documented: ")
    assert named in str(caught.value)
    assert "example.com" not in str(caught.value)


def test_keys_that_the_document_does_not_name_are_kept(client: KitClient, mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/subscribers/1", json={"subscriber": subscriber(referrer="a friend")})
    assert (client.get_subscriber(1).model_extra or {})["referrer"] == "a friend"


def test_money_is_exact(client: KitClient, mocked: responses.RequestsMock) -> None:
    purchase = {
        "id": 1,
        "transaction_id": "t",
        "status": "paid",
        "email_address": "a@example.com",
        "currency": "USD",
        "transaction_time": "2023-02-17T11:43:55Z",
        "subtotal": 78.66,
        "discount": 5,
        "tax": 7.87,
        "total": 81.53,
        "products": [],
    }
    mocked.get(f"{BASE}/v4/purchases/1", json={"purchase": purchase})
    assert client.get_purchase(1).total == Decimal("81.53")


def test_ignored_fields_are_told(client: KitClient, mocked: responses.RequestsMock) -> None:
    mocked.post(
        f"{BASE}/v4/subscribers",
        json={"subscriber": subscriber(), "warnings": ["Unknown custom field: shoe of alice@example.com"]},
        status=201,
    )
    written = client.create_subscriber("alice@example.com", fields={"shoe": "42"})
    assert written.warnings == ("Unknown custom field: shoe of […]",)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("2023-02-17", "2023-02-17"),
        (date(2023, 2, 17), "2023-02-17"),
        (datetime(2023, 2, 17, 1, tzinfo=timezone(timedelta(hours=5))), "2023-02-16"),
        (None, None),
    ],
)
def test_days(given: Any, sent: str | None) -> None:
    assert day(given) == sent


@pytest.mark.parametrize("given", ["yesterday", "17.02.2023", datetime(2023, 2, 17)])
def test_what_is_no_day(given: Any) -> None:
    with pytest.raises(ValueError):
        day(given)


def test_times_need_a_zone() -> None:
    assert moment(datetime(2023, 2, 17, 12, tzinfo=UTC)) == "2023-02-17T12:00:00Z"
    assert moment("2023-02-17T13:00:00+01:00") == "2023-02-17T12:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        PurchaseBody(
            email_address="a@x.org",
            transaction_id="t",
            currency="EUR",
            products=[],
            transaction_time="2023-02-17T12:00",
        ).as_json()


def test_wrong_parameters_are_refused_before_they_are_sent(client: KitClient) -> None:
    with pytest.raises(ValueError, match="status must be one of"):
        client.list_subscribers(status="paused")
    with pytest.raises(ValueError, match="per_page"):
        client.list_tags(per_page=1001)
    with pytest.raises(ValueError, match="140"):
        client.create_subscriber("a@x.org", fields={f"f{number}": "x" for number in range(141)})
    with pytest.raises(ValueError, match="at most 5"):
        client.update_colors(["#000000"] * 6)
    with pytest.raises(ValueError, match="needs tag_id"):
        client.create_webhook("https://x.org", "subscriber.tag_add")
    with pytest.raises(ValueError, match="event must be one of"):
        client.create_webhook("https://x.org", "subscriber.exploded")


def test_one_way_to_authenticate() -> None:
    with pytest.raises(ConfigurationError):
        KitClient()
    with pytest.raises(ConfigurationError):
        KitClient(api_key="k", access_token="t")
    assert "kit_key" not in repr(KitClient(api_key="kit_key"))


@pytest.mark.parametrize("base_url", [BASE, f"{BASE}/", "https://api.convertkit.com"])
def test_the_key_and_the_base_url(mocked: responses.RequestsMock, base_url: str) -> None:
    mocked.get(
        f"{base_url.rstrip('/')}/v4/account/colors",
        json={"colors": ["#008000"]},
        match=[matchers.header_matcher({"X-Kit-Api-Key": "kit_key"})],
    )
    assert KitClient(api_key="kit_key", base_url=base_url).list_colors() == ("#008000",)


def test_too_many_requests_is_plain_text(client: KitClient, mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/account", body="Retry later\n", status=429, content_type="text/plain")
    with pytest.raises(ServiceError) as caught:
        client.get_account()
    assert (caught.value.action, caught.value.messages) == (Action.WAIT, ("Retry later",))


def test_a_used_refresh_token_needs_a_reconnect(mocked: responses.RequestsMock) -> None:
    body = {"error": "invalid_grant", "error_description": "The provided authorization grant is invalid"}
    mocked.post(f"{BASE}/oauth/token", json=body, status=400)
    with pytest.raises(ServiceError) as caught:
        KitOAuth("client", "s3cret").refresh("used")
    assert (caught.value.action, caught.value.code) == (Action.RECONNECT, "invalid_grant")


def test_tokens_are_not_shown(mocked: responses.RequestsMock) -> None:
    token = {"access_token": "sesame", "token_type": "Bearer", "expires_in": 7200, "refresh_token": "sesame"}
    mocked.post(f"{BASE}/oauth/token", json=token)
    assert "sesame" not in repr(KitOAuth("client").refresh("sesame"))


def test_the_address_for_the_browser() -> None:
    url = KitOAuth("client", "s3cret").authorize_url("https://x.org/cb", "state", code_challenge="abc")
    assert url == (
        "https://app.kit.com/oauth/authorize?response_type=code&client_id=client&redirect_uri=https%3A%2F%2Fx.org%2Fcb"
        "&state=state&code_challenge=abc&code_challenge_method=S256"
    )
