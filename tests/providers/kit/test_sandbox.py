"""The client and the sandbox are written apart, each from the document: over HTTP they have to agree, call for call."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.providers.kit.client import KitClient, KitOAuth, KitPage, Written
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.providers.kit.asking import ASKS, CALLBACK, Ask, broadcast
from tests.sandbox.kit.calling import ACCOUNT

DOCUMENT: list[dict[str, Any]] = json.loads((Path(__file__).parent / "document.json").read_text())
OTHERWISE = {
    # One group alone is taken.
    "Create a broadcast": Ask(KitClient.create_broadcast, broadcast("any")),
    "Update a broadcast": Ask(KitClient.update_broadcast, 1, broadcast("any")),
    "List subscribers": Ask(KitClient.list_subscribers, status="all", sort_field="id", sort_order="desc", per_page=1),
}
CALLED = [endpoint for endpoint in DOCUMENT if endpoint["path"].startswith("/v4/")]


@pytest.fixture
def account(mktg_sandbox: Sandbox) -> Sandbox:
    """One or two of everything."""
    world = mktg_sandbox.dump()
    world["kit"] = {**ACCOUNT, "settings": {"rate_limit": None}}
    mktg_sandbox.load(world)
    return mktg_sandbox


@pytest.fixture
def client(account: Sandbox) -> KitClient:
    return KitClient(access_token=credentials.KIT_ACCESS_TOKEN, base_url=account.kit_url, limiter=Unlimited())


@pytest.mark.parametrize("endpoint", CALLED, ids=[endpoint["title"] for endpoint in CALLED])
def test_each_call_is_taken_and_its_answer_understood(endpoint: dict[str, Any], account: Sandbox) -> None:
    ask = OTHERWISE.get(endpoint["title"]) or ASKS[endpoint["title"]]
    # A cursor of the sandbox's own, where it is asked for a page.
    with KitClient(access_token=credentials.KIT_ACCESS_TOKEN, base_url=account.kit_url, limiter=Unlimited()) as client:
        answer = ask.method(client, *ask.args, **ask.kwargs)
        items = list(answer) if endpoint["title"].startswith("List ") and endpoint["query"] else None

    entry = account.log.entries("kit")[0]
    assert entry.operation == f"{endpoint['method']} {endpoint['path']}"
    assert entry.status in endpoint["statuses"]
    assert entry.status is not None
    assert entry.status < 300
    assert account.undocumented() == []
    if isinstance(answer, Written):
        assert answer.status == entry.status
    if items is not None:
        assert items or endpoint["title"] in {"List forms", *MEMBERS}


MEMBERS = {title for title in ASKS if title.startswith("List subscribers for")}
"""Of these the account's are outside the days that are asked for."""


def test_pages_forward_and_back(client: KitClient) -> None:
    listing = client.list_subscribers(status="all", per_page=1, include_total_count=True)
    pages = list(listing.pages())

    assert [len(page.items) for page in pages] == [1, 1, 1]
    assert pages[0].pagination.total_count == 3
    back: KitPage[Any] = listing.page(before=pages[2].pagination.start_cursor)
    assert back.items == pages[1].items


def test_what_an_api_key_may_not_do_is_said(account: Sandbox) -> None:
    client = KitClient(api_key=credentials.KIT_API_KEY, base_url=account.kit_url, limiter=Unlimited())
    for call in (lambda: client.bulk_create_tags(["x"]), lambda: client.list_purchases().page()):
        with pytest.raises(ServiceError) as caught:
            call()
        assert caught.value.status == 401
    assert client.get_account().account.name


def test_more_than_a_hundred_are_taken_for_later(client: KitClient) -> None:
    assert client.bulk_create_tags([f"Tag {n}" for n in range(101)]) is None
    answered = client.bulk_create_tags(["Tag A", "New one"])
    assert answered is not None
    assert [tag.name for tag in answered.tags] == ["New one"]
    assert [(failure.tag.id, failure.errors) for failure in answered.failures] == [
        (1, ("Name has already been taken",))
    ]


def test_more_than_ten_fields_are_applied_later(client: KitClient) -> None:
    labels = [f"Field {n}" for n in range(11)]
    for label in labels:
        client.create_custom_field(label)

    few = client.create_subscriber("few@example.com", fields=dict.fromkeys(labels[:10], "x"))
    many = client.create_subscriber("many@example.com", fields=dict.fromkeys(labels, "x"))

    assert (few.created, few.is_pending) == (True, False)
    assert (many.created, many.is_pending) == (None, True)


def test_fields_that_the_account_lacks_are_told_and_not_stored(client: KitClient) -> None:
    written = client.create_subscriber("new@example.com", fields={"Shoe size": "42"})
    assert written.warnings
    assert "shoe_size" not in client.get_subscriber(written.value.id).fields


def test_a_state_is_not_changed_by_creating_again(client: KitClient) -> None:
    written = client.create_subscriber("person3@example.com", state="active")
    assert (written.created, written.value.state) == (False, "cancelled")


def test_no_creator_profile_is_none(account: Sandbox, client: KitClient) -> None:
    world = account.dump()
    world["kit"]["creator_profile"] = None
    account.load(world)
    assert client.get_creator_profile() is None


def test_the_days_of_growth_are_the_accounts_own(account: Sandbox, client: KitClient) -> None:
    world = account.dump()
    world["kit"]["account"]["utc_offset_hours"] = -5
    account.load(world)
    growth = client.get_growth_stats(starting="2023-02-10", ending="2023-02-17")
    assert growth.starting.utcoffset() is not None
    assert (growth.starting.isoformat(), growth.ending.isoformat()) == (
        "2023-02-10T00:00:00-05:00",
        "2023-02-17T23:59:59-05:00",
    )


def test_all_messages_of_a_refusal_are_kept(client: KitClient) -> None:
    with pytest.raises(ServiceError) as caught:
        client.update_colors(["#nonsense", "#more"])
    assert caught.value.action is Action.REJECT
    assert len(caught.value.messages) == 2


def code_for(app: KitOAuth, sandbox: Sandbox, **challenge: str) -> str:
    """What a browser brings back from Kit, whose consent page asks nothing here."""
    with sandbox.locked("kit") as service:
        service.settings.auto_consent = True  # type: ignore[attr-defined]
    address = app.authorize_url(CALLBACK, "state", url=f"{sandbox.kit_url}/oauth/authorize", **challenge)
    sent_to = urlsplit(requests.get(address, allow_redirects=False, timeout=10).headers["Location"])
    assert parse_qs(sent_to.query)["state"] == ["state"]
    return parse_qs(sent_to.query)["code"][0]


def test_a_code_becomes_tokens_and_a_refresh_token_is_good_once(account: Sandbox) -> None:
    app = KitOAuth(credentials.KIT_CLIENT_ID, credentials.KIT_CLIENT_SECRET, base_url=account.kit_url)

    first = app.exchange_code(code_for(app, account), CALLBACK)
    second = app.refresh(first.refresh_token)

    assert KitClient(access_token=second.access_token, base_url=account.kit_url).get_account().account.name
    with pytest.raises(ServiceError) as caught:
        app.refresh(first.refresh_token)
    assert (caught.value.action, caught.value.code) == (Action.RECONNECT, "invalid_grant")
    assert account.undocumented() == []


def test_without_a_secret_the_code_is_proven_by_its_verifier(account: Sandbox) -> None:
    app = KitOAuth(credentials.KIT_CLIENT_ID, base_url=account.kit_url)
    verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"
    challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    code = code_for(app, account, code_challenge=challenge)
    with pytest.raises(ServiceError):
        app.exchange_code(code, CALLBACK, code_verifier=verifier[::-1])
    code = code_for(app, account, code_challenge=challenge)
    assert app.exchange_code(code, CALLBACK, code_verifier=verifier).access_token
