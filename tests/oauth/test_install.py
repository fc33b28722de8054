"""Connecting an account: there and back, and every way in which it does not come to that."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from mktg_integration.models import AuditEntry, Connection, ConnectionState, OAuthToken, WaitReason
from mktg_integration.oauth import install, pending
from mktg_integration.oauth.views import BrowserView
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.oauth.conftest import CALLBACK, INSTALL, PUBLIC_URL, START, Browser, asked, declare, set_account, set_kit

CHANGELIST = reverse("admin:mktg_integration_connection_changelist")


def change_page(connection: Connection) -> str:
    return reverse("admin:mktg_integration_connection_change", args=[connection.pk])


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


# The way that works


def test_from_the_admin_and_back(browser: Browser, kit: Sandbox) -> None:
    assert INSTALL in browser.client.get(CHANGELIST).text

    page = browser.connect()

    connection = Connection.objects.get()
    assert page.headers["Location"] == change_page(connection)
    assert (connection.name, connection.provider) == ("kit", "kit")
    assert connection.account_key == f"kit:{kit.dump()['kit']['account']['id']}"
    assert connection.bound_url == PUBLIC_URL
    assert "is connected" in str(next(iter(get_messages(browser.client.get(CHANGELIST).wsgi_request))))
    assert connection.account().credentials.keys() == {"ACCESS_TOKEN", "REFRESH_TOKEN"}
    assert connection.credentials == {}, "tokens have a table of their own"
    assert not kit.undocumented()


def test_the_request_for_consent_is_as_documented(browser: Browser) -> None:
    address = urlsplit(browser.start())
    query = {name: values[0] for name, values in parse_qs(address.query).items()}

    assert address.path == "/kit/oauth/authorize"
    assert query.pop("state")
    assert len(query.pop("code_challenge")) == 43
    assert query == {
        "response_type": "code",
        "client_id": credentials.KIT_CLIENT_ID,
        "redirect_uri": f"{PUBLIC_URL}{CALLBACK}",
        "code_challenge_method": "S256",
    }


def test_from_kits_side_the_browser_goes_back_to_kit(browser: Browser) -> None:
    kits = "https://app.kit.com/apps/1?success=true"
    assert browser.connect(redirect=kits).headers["Location"] == kits
    assert Connection.objects.count() == 1


def test_a_front_end_is_told_the_address(browser: Browser) -> None:
    answer = browser.client.post(START, {"redirect": "/settings/"}, content_type="application/json")
    assert answer.status_code == 200
    page = browser.come_back(browser.consent(answer.json()["authorize_url"]))
    assert page.headers["Location"] == "/settings/"


def test_a_front_end_needs_the_csrf_token(kit: Sandbox, db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(START, {}, content_type="application/json").status_code == 403
    assert client.get(START).status_code == 405


def test_the_same_account_twice_is_one_connection(browser: Browser, connected: Connection) -> None:
    before = connected.account().credentials

    assert browser.connect().headers["Location"] == change_page(connected)

    again = Connection.objects.get()
    assert again.pk == connected.pk
    assert again.account().credentials != before


def test_another_account_is_another_connection(browser: Browser, connected: Connection, kit: Sandbox) -> None:
    set_account(kit, 77)
    browser.connect()
    assert sorted(Connection.objects.values_list("name", flat=True)) == ["kit", "kit-2"]


def test_an_account_that_was_declared_with_a_key_becomes_one_of_oauth(
    browser: Browser, kit: Sandbox, marketing: Any
) -> None:
    declared = declare(marketing, kit, API_KEY=credentials.KIT_API_KEY)

    browser.connect()

    connection = Connection.objects.get()
    assert connection.pk == declared.pk
    assert connection.driver.options(connection.account()).is_oauth


def test_connecting_again_ends_the_wait_and_keeps_the_outbox(browser: Browser, connected: Connection) -> None:
    OAuthToken.objects.update(refused_at="2026-01-01T00:00:00Z")
    ConnectionState.objects.update(wait_reason=WaitReason.RECONNECT, wait_until="2036-01-01T00:00:00Z")

    browser.connect(connection="kit")

    assert ConnectionState.objects.get().wait_reason == WaitReason.NONE
    assert OAuthToken.objects.get().refused_at is None


# Ways that do not: each ends on a page that says how to go on, and leaves nothing half made


def assert_refused(page: Any, status: int, text: str) -> None:
    assert page.status_code == status
    assert text in page.text
    assert CHANGELIST in page.text
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert not Connection.objects.exists()
    assert not OAuthToken.objects.exists()


def test_consent_is_denied(browser: Browser, kit: Sandbox) -> None:
    state = parse_qs(urlsplit(browser.start()).query)["state"][0]
    assert_refused(browser.come_back({"error": "access_denied", "state": state}), 200, "not granted")


def test_the_state_is_good_once(browser: Browser, connected: Connection, kit: Sandbox) -> None:
    address = browser.start()
    brought = browser.consent(address)
    browser.come_back(brought)
    tokens = asked(kit, "POST /oauth/token")

    page = browser.come_back(brought)

    assert page.status_code == 400
    assert "not valid any more" in page.text
    assert asked(kit, "POST /oauth/token") == tokens, "the service was not even asked"


def test_the_state_of_another_session(browser: Browser, kit: Sandbox) -> None:
    brought = browser.consent(browser.start())
    other = Client()
    other.force_login(User.objects.create_superuser("mallory"))
    assert_refused(other.get(CALLBACK, brought), 400, "another browser")


def test_a_state_that_was_made_up(browser: Browser) -> None:
    brought = browser.consent(browser.start())
    assert_refused(browser.come_back({**brought, "state": "x" * 43}), 400, "not valid any more")
    assert_refused(browser.come_back({"code": brought["code"]}), 400, "not valid any more")


def test_a_state_that_took_too_long(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = browser.consent(browser.start())
    later = time.time() + pending.LIFETIME_SECONDS + 1
    monkeypatch.setattr(pending.time, "time", lambda: later)
    assert_refused(browser.come_back(brought), 400, "ten minutes")


def test_one_session_remembers_a_few_flows_only(browser: Browser) -> None:
    first = browser.start()
    others = [browser.start() for _ in range(pending.MOST)]
    assert len(browser.client.session[pending.SESSION_KEY]) == pending.MOST
    assert_refused(browser.come_back(browser.consent(first)), 400, "not valid any more")
    assert browser.come_back(browser.consent(others[-1])).status_code == 302


def test_the_session_holds_neither_state_nor_code(browser: Browser) -> None:
    state = parse_qs(urlsplit(browser.start()).query)["state"][0]
    assert state not in str(dict(browser.client.session))


def test_the_code_of_somebody_elses_flow_is_not_taken(browser: Browser, kit: Sandbox) -> None:
    mallory = Browser(Client())
    mallory.client.force_login(User.objects.create_superuser("mallory"))
    set_account(kit, 666)
    injected = mallory.consent(mallory.start())["code"]
    set_account(kit, 1)
    brought = browser.consent(browser.start())

    assert_refused(browser.come_back({**brought, "code": injected}), 400, "meant for somebody else")


def test_another_account_is_not_put_into_a_connection(browser: Browser, connected: Connection, kit: Sandbox) -> None:
    before = connected.account().credentials
    set_account(kit, 666)

    page = browser.connect(connection="kit")

    assert page.status_code == 409
    assert "another account" in page.text
    connection = Connection.objects.get()
    assert connection.account().credentials == before
    assert connection.account_key != "kit:666"
    assert asked(kit, "POST /oauth/revoke") == 2, "what was issued is not left lying about"


@pytest.mark.parametrize("operation", ["POST /oauth/token", "GET /v4/account"])
def test_the_service_is_down(browser: Browser, kit: Sandbox, operation: str) -> None:
    kit.fail("kit", operation=operation, status=503)
    assert_refused(browser.connect(), 502, "does not answer")


@pytest.mark.parametrize(
    "effect", [{"effect": "malformed_json"}, {"effect": "truncate"}, {"effect": "html", "status": 404}]
)
@pytest.mark.parametrize("operation", ["POST /oauth/token", "GET /v4/account"])
def test_an_answer_that_nobody_understands(
    browser: Browser, kit: Sandbox, operation: str, effect: dict[str, Any]
) -> None:
    kit.fail("kit", operation=operation, **effect)
    page = browser.connect()
    assert_refused(page, 502, "Nothing was changed")


@responses.activate
def test_a_token_answer_without_a_token(browser: Browser, kit: Sandbox) -> None:
    responses.add_passthru(f"{kit.kit_url}/oauth/authorize")
    responses.post(f"{kit.kit_url}/oauth/token", json={"token_type": "Bearer"})
    assert_refused(browser.connect(), 502, "Nothing was changed")


def test_a_database_that_fails_leaves_no_token_at_the_service(
    browser: Browser, kit: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(install, "store", fail)

    assert_refused(browser.connect(), 500, "Nothing was changed")

    assert asked(kit, "POST /oauth/revoke") == 2
    assert "OperationalError" in caplog.text


def test_two_who_connect_the_same_account_at_the_same_moment(
    browser: Browser, connected: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither finds the other's connection when it looks; the database decides."""
    monkeypatch.setattr(install, "_found", lambda *_: None)

    page = browser.connect()

    assert page.headers["Location"] == change_page(connected)
    assert Connection.objects.count() == OAuthToken.objects.count() == 1


@pytest.mark.parametrize("accept", ["text/html", "image/png"])
def test_a_site_whose_api_speaks_json_alone_still_shows_pages(
    browser: Browser, settings: Any, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    monkeypatch.setattr(APIView, "renderer_classes", [JSONRenderer])
    monkeypatch.setattr(BrowserView, "renderer_classes", [JSONRenderer], raising=False)
    page = browser.client.get(CALLBACK, {"state": "x", "format": "xml"}, headers={"Accept": accept})
    assert_refused(page, 400, "not valid any more")


def test_the_app_is_refused(browser: Browser, kit: Sandbox, marketing: Any, settings: Any) -> None:
    app = settings.MKTG_INTEGRATION["OAUTH"]["kit"]
    marketing(OAUTH={"kit": {**app, "CLIENT_SECRET": "wrong"}})
    assert_refused(browser.connect(), 502, "CLIENT_SECRET")


def test_no_app_is_set(browser: Browser, marketing: Any) -> None:
    marketing(OAUTH={})
    assert INSTALL not in browser.client.get(CHANGELIST).text
    assert_refused(browser.client.get(INSTALL), 500, "OAUTH")
    assert browser.client.post(START, {}, content_type="application/json").json()["code"] == "configuration"


@pytest.mark.parametrize("provider", ["conversion", "nobody"])
def test_a_service_without_oauth(browser: Browser, provider: str) -> None:
    url = reverse("mktg_integration:oauth-install", kwargs={"provider": provider})
    assert_refused(browser.client.get(url), 404, "cannot be connected by OAuth")


# Who may


def test_whoever_is_not_signed_in_signs_in_first_and_goes_on(kit: Sandbox, db: None) -> None:
    page = Client().get(INSTALL, {"redirect": "https://app.kit.com/apps"})
    assert page.status_code == 302
    where = urlsplit(page.headers["Location"])
    assert where.path == reverse("admin:login")
    assert parse_qs(where.query)["next"] == [f"{INSTALL}?redirect=https%3A%2F%2Fapp.kit.com%2Fapps"]


@pytest.mark.parametrize("permissions", [[], ["view_connection"], ["add_connection"]])
def test_staff_without_the_permission(kit: Sandbox, db: None, permissions: list[str]) -> None:
    client = staff(*permissions)
    assert_refused(client.get(INSTALL), 403, "may not connect")
    assert client.post(START, {}, content_type="application/json").status_code == 403


def test_who_connected_what_is_written_down(browser: Browser) -> None:
    browser.connect()
    browser.connect()
    entries = AuditEntry.objects.order_by("pk")
    told = [(one.action, one.via, str(one.actor), one.connection_name, one.detail) for one in entries]
    assert told == [
        ("connected", "oauth", "root", "kit", {"created": True}),
        ("connected", "oauth", "root", "kit", {"created": False}),
    ]


def test_who_may_only_change_connections_makes_no_new_one(kit: Sandbox, db: None) -> None:
    assert_refused(Browser(staff("connect_accounts")).connect(), 403, "may not connect")


def test_who_may_only_change_connections_renews_one(connected: Connection) -> None:
    assert Browser(staff("connect_accounts")).connect(connection="kit").status_code == 302


# Where the browser goes in the end

FOREIGN = [
    "https://evil.example/",
    "//evil.example/",
    "https://kit.com.evil.example/",
    "https://evilkit.com/",
    "https://kit.com@evil.example/",
    "https://user@kit.com/",
    "http://app.kit.com/apps",
    "https:\\\\evil.example",
    "javascript:alert(1)",
    "https://[",
    "/\\evil.example",
    "\x01https://evil.example",
]


@pytest.mark.parametrize("address", FOREIGN)
def test_no_open_redirect(browser: Browser, address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="mktg_integration.oauth"):
        page = browser.connect(redirect=address)

    assert page.headers["Location"] == change_page(Connection.objects.get())
    assert "its host is not allowed" in caplog.text
    assert "evil" not in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        "https://kit.com/",
        "https://APP.kit.com/apps?a=b",
        "https://app.convertkit.com/apps",
        "/profile/",
        f"{PUBLIC_URL}/x",
    ],
)
def test_own_hosts_are_followed(browser: Browser, address: str) -> None:
    assert browser.connect(redirect=address).headers["Location"] == address


# Secrets


def test_no_secret_is_logged_or_shown(browser: Browser, kit: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        brought = browser.consent(browser.start())
        browser.come_back(brought)
        browser.come_back(brought)
        set_kit(kit, token_lifetime=0)
        kit.fail("kit", operation="POST /oauth/token", status=500)
        browser.connect()

    connection = Connection.objects.get()
    pair = OAuthToken.objects.get().pair
    secrets = [*pair.values(), brought["code"], brought["state"], credentials.KIT_CLIENT_SECRET]
    pages = browser.client.get(change_page(connection)).text + browser.client.get(CHANGELIST).text
    # The service's own server and the test's browser log their requests' addresses; the app must not.
    logged = "\n".join(
        record.getMessage() for record in caplog.records if not record.name.startswith(("urllib3", "requests"))
    )
    for secret in secrets:
        assert secret not in logged
        assert secret not in pages
    assert "ACCESS_TOKEN is set" in pages
