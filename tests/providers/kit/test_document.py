"""Every endpoint, parameter, status and example of Kit's v4 document against the client.

``document.json`` is the document's own list of endpoints, with its examples.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.providers.kit.client import (
    BroadcastBody,
    KitClient,
    KitOAuth,
    Listing,
    ProductBody,
    PurchaseBody,
    Written,
)
from mktg_integration.providers.kit.client.newer import Newer

DOCUMENT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "document.json").read_text())
BASE = "https://api.kit.com"
DAYS: dict[str, Any] = {"created_after": "2023-01-01", "created_before": "2023-12-31"}
ADDED: dict[str, Any] = {**DAYS, "added_after": "2023-01-01", "added_before": "2023-12-31"}
PAGE: dict[str, Any] = {"per_page": 10, "include_total_count": True}
NOON = datetime(2023, 2, 17, 12, tzinfo=UTC)
FIELDS = dict.fromkeys(
    (
        "Last name",
        "Birthday",
        "Source",
        "Role",
        "Company",
        "Postal code",
        "Website",
        "Social media",
        "How did you hear about us?",
        "Interests",
        "Coupon",
    ),
    "x",
)
FILTER = [{group: [{"type": "tag", "ids": [1]}] for group in ("all", "any", "none")}]
BROADCAST = BroadcastBody(subject="Hello!", public=True, send_at=NOON, subscriber_filter=FILTER)
PRODUCT = ProductBody(name="Tip", pid="p", lid="l", quantity=1, sku="s", unit_price=Decimal("0.05"))
PURCHASE = PurchaseBody(
    email_address="pru@example.com",
    first_name="Pru",
    transaction_id="512-41-4101",
    currency="USD",
    products=[PRODUCT],
    subtotal=Decimal("5.00"),
    tax=Decimal("1.05"),
    shipping=0,
    discount=Decimal(0),
    total=Decimal("6.05"),
    transaction_time=NOON,
)
EMAIL = "alice@example.com"


def oauth(secret: str = "") -> KitOAuth:
    return KitOAuth("the-client", secret, limiter=Unlimited())


CALLS: dict[str, Callable[[KitClient], Any]] = {
    "Get a new token using an authorization code": lambda c: oauth("s3cret").exchange_code("code", "https://x.org/cb"),
    "Get a new token using a refresh token": lambda c: oauth().refresh("used-once"),
    "[PKCE] Get a new token using an authorization code and verifier": lambda c: oauth().exchange_code(
        "code", "https://x.org/cb", code_verifier="verifier"
    ),
    "Get current account": lambda c: c.get_account(),
    "List colors": lambda c: c.list_colors(),
    "Update colors": lambda c: c.update_colors(["#000000"]),
    "Get Creator Profile": lambda c: c.get_creator_profile(),
    "Get email stats": lambda c: c.get_email_stats(),
    "Get growth stats": lambda c: c.get_growth_stats(starting="2023-02-10", ending=NOON),
    "List broadcasts": lambda c: c.list_broadcasts(**PAGE),
    "Create a broadcast": lambda c: c.create_broadcast(BROADCAST),
    "Delete a broadcast": lambda c: c.delete_broadcast(1),
    "Get a broadcast": lambda c: c.get_broadcast(1),
    "Update a broadcast": lambda c: c.update_broadcast(1, BROADCAST),
    "Get stats": lambda c: c.get_broadcast_stats(1),
    "Bulk create custom fields": lambda c: c.bulk_create_custom_fields(["Interests"]),
    "List custom fields": lambda c: c.list_custom_fields(**PAGE),
    "Create a custom field": lambda c: c.create_custom_field("Interests"),
    "Delete custom field": lambda c: c.delete_custom_field(1),
    "Update a custom field": lambda c: c.update_custom_field(1, "Interests"),
    "Bulk create subscribers": lambda c: c.bulk_create_subscribers([{"first_name": "A", "email_address": EMAIL}]),
    "List subscribers": lambda c: c.list_subscribers(
        status="cancelled",
        email_address=EMAIL,
        updated_after="2023-01-01",
        updated_before="2023-12-31",
        sort_field="cancelled_at",
        sort_order="asc",
        **DAYS,
        **PAGE,
    ),
    "Create a subscriber": lambda c: c.create_subscriber(EMAIL, first_name="Alice", state="inactive", fields=FIELDS),
    "Get a subscriber": lambda c: c.get_subscriber(1),
    "Update a subscriber": lambda c: c.update_subscriber(1, EMAIL, first_name="Alice", fields=FIELDS),
    "Unsubscribe subscriber": lambda c: c.unsubscribe(1),
    "List tags for a subscriber": lambda c: c.list_tags_of_subscriber(1, **PAGE),
    "Bulk create tags": lambda c: c.bulk_create_tags(["Newsletter"]),
    "Bulk tag subscribers": lambda c: c.bulk_tag_subscribers([(1, 2)]),
    "List tags": lambda c: c.list_tags(**PAGE),
    "Create a tag": lambda c: c.create_tag("Completed"),
    "Update tag name": lambda c: c.update_tag_name(1, "signed up"),
    "Remove tag from subscriber by email address": lambda c: c.untag_subscriber_by_email(1, EMAIL),
    "List subscribers for a tag": lambda c: c.list_subscribers_of_tag(
        1, status="all", tagged_after="2023-01-01", tagged_before="2023-12-31", **DAYS, **PAGE
    ),
    "Tag a subscriber by email address": lambda c: c.tag_subscriber_by_email(1, EMAIL),
    "Remove tag from subscriber": lambda c: c.untag_subscriber(1, 2),
    "Tag a subscriber": lambda c: c.tag_subscriber(1, 2),
    "List email templates": lambda c: c.list_email_templates(**PAGE),
    "List forms": lambda c: c.list_forms(status="all", type="embed", **PAGE),
    "List subscribers for a form": lambda c: c.list_subscribers_of_form(1, status="all", **ADDED, **PAGE),
    "Add subscriber to form by email address": lambda c: c.add_to_form_by_email(1, EMAIL),
    "Add subscriber to form": lambda c: c.add_to_form(1, 2),
    "List purchases": lambda c: c.list_purchases(**PAGE),
    "Create a purchase": lambda c: c.create_purchase(PURCHASE),
    "Get a purchase": lambda c: c.get_purchase(1),
    "List segments": lambda c: c.list_segments(**PAGE),
    "List sequences": lambda c: c.list_sequences(**PAGE),
    "List subscribers for a sequence": lambda c: c.list_subscribers_of_sequence(1, status="all", **ADDED, **PAGE),
    "Add subscriber to sequence by email address": lambda c: c.add_to_sequence_by_email(1, EMAIL),
    "Add subscriber to sequence": lambda c: c.add_to_sequence(1, 2),
    "List webhooks": lambda c: c.list_webhooks(**PAGE),
    "Create a webhook": lambda c: c.create_webhook("https://x.org/hook", "subscriber.tag_add", tag_id=30),
    "Delete a webhook": lambda c: c.delete_webhook(1),
}


def cases(wanted: Callable[[int], bool]) -> list[Any]:
    return [
        pytest.param(endpoint, status, id=f"{endpoint['title']}-{status}")
        for endpoint in DOCUMENT
        for status in endpoint["statuses"]
        if wanted(status)
    ]


def call(endpoint: dict[str, Any], status: int) -> tuple[Any, PreparedRequest]:
    """Let the client make the endpoint's call, answered with the document's example."""
    path = endpoint["path"]
    for name, value in {"subscriber_id": 1, "form_id": 1, "sequence_id": 1, "tag_id": 1}.items():
        path = path.replace("{" + name + "}", str(value))
    with responses.RequestsMock() as mock:
        url = BASE + path.replace("{id}", "2" if path != endpoint["path"] else "1")
        example = endpoint["examples"].get(str(status))
        mock.add(endpoint["method"], url, body="" if example is None else json.dumps(example), status=status)
        with KitClient(access_token="t0ken", limiter=Unlimited()) as client:
            answer = CALLS[endpoint["title"]](client)
            if isinstance(answer, Listing):
                # A page between two others, as after= and before= ask for it.
                answer = answer.page(after="WzE0XQ==", before="WzEzXQ==")
        return answer, mock.calls[0].request


def test_the_client_has_every_endpoint_of_the_document() -> None:
    assert {endpoint["title"] for endpoint in DOCUMENT} == set(CALLS)
    assert len(DOCUMENT) == 53


@pytest.mark.parametrize(("endpoint", "status"), cases(lambda status: status < 300))
def test_each_documented_success_is_understood(endpoint: dict[str, Any], status: int) -> None:
    answer, request = call(endpoint, status)
    asked = parse_qs(urlsplit(str(request.url)).query)
    assert set(asked) == set(endpoint["query"])
    if isinstance(answer, Written):
        assert answer.status == status
        assert answer.created is {200: False, 201: True, 202: None}[status]
    if endpoint["title"].startswith("Bulk"):
        assert (answer is None) == (status == 202)
    elif status != 204:
        assert answer
    if endpoint["body"] and "token" not in endpoint["title"]:
        assert set(endpoint["body"]) <= set(keys(json.loads(request.body or "{}")))
    elif endpoint["body"]:
        assert set(parse_qs(request.body if isinstance(request.body, str) else (request.body or b"").decode())) == set(
            endpoint["body"]
        )


def keys(body: Any, before: str = "") -> Iterator[str]:
    """The dotted names of all that a body holds, lists looked into."""
    if isinstance(body, list):
        for item in body:
            yield from keys(item, before)
    elif isinstance(body, dict):
        for name, value in body.items():
            yield before + name
            yield from keys(value, f"{before}{name}.")


@pytest.mark.parametrize(("endpoint", "status"), cases(lambda status: status >= 400))
def test_each_documented_error_keeps_all_messages(endpoint: dict[str, Any], status: int) -> None:
    if (endpoint["title"], status) == ("Get Creator Profile", 404):
        assert call(endpoint, status)[0] is None
        return
    with pytest.raises(ServiceError) as caught:
        call(endpoint, status)
    error = caught.value
    assert error.messages == tuple(endpoint["examples"][str(status)]["errors"])
    assert error.endpoint == f"{endpoint['method']} {endpoint['path']}"
    assert (
        error.action
        is {
            401: Action.RECONNECT,
            403: Action.FORBIDDEN,
            404: Action.REJECT,
            413: Action.WAIT,
            422: Action.REJECT,
        }[status]
    )


@pytest.mark.parametrize("name", [name for name in vars(Newer) if not name.startswith("_")])
def test_what_is_beyond_the_document_says_so(name: str) -> None:
    assert "Beyond the document" in (inspect.getdoc(getattr(KitClient, name)) or "")
