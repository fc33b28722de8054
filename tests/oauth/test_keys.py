"""Connections by key: made in the admin or by the API, and tried before they are saved."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mktg_integration.models import Connection
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.oauth.conftest import Browser, asked, set_account
from tests.oauth.test_install import staff

API = reverse("mktg_integration:api-connections")
ADD = reverse("admin:mktg_integration_connection_add")


def body(sandbox: Sandbox, key: str = credentials.KIT_API_KEY, **more: Any) -> dict[str, Any]:
    given = {"API_KEY": key}
    return {"name": "news", "provider": "kit", "credentials": given, "options": {"BASE_URL": sandbox.kit_url}, **more}


def form(sandbox: Sandbox, key: str = credentials.KIT_API_KEY, name: str = "news") -> dict[str, str]:
    options = f'{{"BASE_URL": "{sandbox.kit_url}"}}'
    return {
        "name": name,
        "provider": "kit",
        "push_enabled": "on",
        "stored_options": options,
        "credential-kit-API_KEY": key,
    }


def post(client: Client, given: dict[str, Any]) -> Any:
    return client.post(API, given, content_type="application/json")


def test_by_the_api(browser: Browser, kit: Sandbox) -> None:
    answer = post(browser.client, body(kit))

    assert answer.status_code == 201
    assert credentials.KIT_API_KEY not in answer.text
    connection = Connection.objects.get()
    assert connection.account().credentials == {"API_KEY": credentials.KIT_API_KEY}
    assert connection.account_key
    assert answer.json()["account_label"] == connection.account_label != ""
    assert asked(kit, "GET /v4/account") == 1


def test_in_the_admin(browser: Browser, kit: Sandbox) -> None:
    browser.client.post(ADD, form(kit))
    connection = Connection.objects.get()
    assert connection.account_label
    page = browser.client.get(reverse("admin:mktg_integration_connection_change", args=[connection.pk]))
    assert connection.account_label in page.text
    assert "Connect again" in page.text
    assert asked(kit, "GET /v4/account") == 1, "pages call no service"


def of(provider: str, sandbox: Sandbox, **keys: str) -> dict[str, Any]:
    """A connection to Conversion or ConvertLoop, as the API is given it."""
    address = {"conversion": sandbox.conversion_url, "convertloop": sandbox.convertloop_url}[provider]
    return body(sandbox, name=provider, provider=provider, credentials=keys, options={"BASE_URL": address})


GOOD = {
    "conversion": {"API_KEY": credentials.CONVERSION_API_KEY},
    "convertloop": {"APP_ID": credentials.CONVERTLOOP_APP_ID, "API_KEY": credentials.CONVERTLOOP_API_KEY},
}


@pytest.mark.parametrize("provider", GOOD)
def test_where_no_account_is_told_the_key_is_tried_all_the_same(browser: Browser, kit: Sandbox, provider: str) -> None:
    before = kit.dump()[provider]
    wrong = {**GOOD[provider], "API_KEY": "wrong"}

    refused = post(browser.client, of(provider, kit, **wrong))
    assert refused.status_code == 400
    assert "refuses these credentials" in refused.text
    assert not Connection.objects.exists()

    assert post(browser.client, of(provider, kit, **GOOD[provider])).status_code == 201
    assert Connection.objects.get().account_key is None
    assert kit.dump()[provider] == before, "nobody was made by it"


@pytest.mark.parametrize("provider", GOOD)
def test_the_admin_tries_them_too(browser: Browser, kit: Sandbox, provider: str) -> None:
    given = of(provider, kit)
    fields = {f"credential-{provider}-{name}": "wrong" for name in GOOD[provider]}
    form = {"name": provider, "provider": provider, "stored_options": json.dumps(given["options"]), **fields}
    assert "refuses these credentials" in browser.client.post(ADD, form).text
    assert not Connection.objects.exists()


def test_conversions_key_without_the_right_to_v1_is_taken(browser: Browser, kit: Sandbox) -> None:
    """v2 is what is sent by; the doctor says what cannot be done."""
    kit.fail("conversion", path="^/v1/", effect="status", status=403)
    assert post(browser.client, of("conversion", kit, **GOOD["conversion"])).status_code == 201


def test_a_wrong_key_is_not_saved(browser: Browser, kit: Sandbox) -> None:
    answer = post(browser.client, body(kit, "wrong"))
    assert answer.status_code == 400
    assert "refuses these credentials" in answer.text
    assert "refuses these credentials" in browser.client.post(ADD, form(kit, "wrong")).text
    assert not Connection.objects.exists()


def test_a_key_is_not_saved_while_the_service_is_down(browser: Browser, kit: Sandbox) -> None:
    kit.down("kit")
    assert "could not be asked" in post(browser.client, body(kit)).text
    assert not Connection.objects.exists()


def test_an_account_is_connected_once(browser: Browser, kit: Sandbox, connected: Connection) -> None:
    assert "connected already, as kit" in post(browser.client, body(kit)).text
    assert "connected already, as kit" in browser.client.post(ADD, form(kit)).text.replace("&#x27;", "'")
    assert Connection.objects.count() == 1


def test_the_key_of_another_account_is_not_put_into_a_connection(browser: Browser, kit: Sandbox) -> None:
    browser.client.post(ADD, form(kit))
    connection = Connection.objects.get()
    set_account(kit, 666)
    page = browser.client.post(reverse("admin:mktg_integration_connection_change", args=[connection.pk]), form(kit))
    assert "another account" in page.text


def test_a_connection_of_oauth_can_be_changed_in_the_admin(browser: Browser, connected: Connection) -> None:
    page = reverse("admin:mktg_integration_connection_change", args=[connected.pk])
    browser.client.post(page, {"name": "renamed", "push_enabled": "on", "stored_options": "{}"})
    assert Connection.objects.get().name == "renamed"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"provider": "nobody"}, "provider"),
        ({"credentials": {"KEY": "x"}}, "API_KEY"),
        ({"credentials": {}}, "API_KEY"),
        ({"options": {"COLOUR": 1}}, "COLOUR"),
        ({"name": "a name"}, "name"),
    ],
)
def test_what_is_wrong_is_named(browser: Browser, kit: Sandbox, change: dict[str, Any], named: str) -> None:
    answer = post(browser.client, body(kit, **change))
    assert answer.status_code == 400
    assert named in answer.text
    assert not Connection.objects.exists()


def test_only_for_those_who_may_add_connections(kit: Sandbox, db: None) -> None:
    assert post(staff("connect_accounts"), body(kit)).status_code == 403
    assert post(Client(), body(kit)).status_code == 403
    User.objects.create_user("visitor")
    visitor = Client()
    visitor.force_login(User.objects.get(username="visitor"))
    assert post(visitor, body(kit)).status_code == 403
