"""A visitor's history joins the person who signs up, with the visitor's consent and not without."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model, login
from django.contrib.sessions.backends.db import SessionStore
from django.core.checks import run_checks
from django.template import Context, Template
from django.test import AsyncClient, Client, RequestFactory

from mktg_integration import shortcuts
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.middleware import VisitorMiddleware
from mktg_integration.models import Connection, ConnectionSource, ExplicitActs, Lead, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, connect, send

__all__ = ["connect"]

SCRIPT = "https://cdn.example.com/loop.min.js"
MIDDLEWARE = "mktg_integration.middleware.VisitorMiddleware"
pytestmark = [pytest.mark.urls("tests.tracking.site"), pytest.mark.django_db]


@pytest.fixture
def loop(connect: Connect, settings: Any) -> Connection:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, MIDDLEWARE]
    connections = connect(
        "convertloop", options={"TRACKING_SCRIPT": SCRIPT}, VISITOR_CONSENT="tests.tracking.site.agreed"
    )
    return connections["convertloop"]


@pytest.fixture
def browser() -> Client:
    """Of a visitor who agreed, and whom the script has given a cookie."""
    client = Client()
    client.cookies["dp_pid"] = "visitor-1"
    client.cookies["consent"] = "all"
    return client


def people(sandbox: Sandbox) -> dict[str, str | None]:
    return {row["email"]: row["pid"] for row in sandbox.dump()["convertloop"]["people"]}


# The signup


def test_the_visitor_joins_the_person_who_signs_up(loop: Connection, browser: Client, mktg_sandbox: Sandbox) -> None:
    browser.post("/signup/", {"name": "ada"})
    send(loop)
    assert people(mktg_sandbox) == {"ada@example.com": "visitor-1"}


def test_the_anonymous_person_and_the_user_are_one(loop: Connection, browser: Client, mktg_sandbox: Sandbox) -> None:
    world = mktg_sandbox.dump()
    world["convertloop"]["people"] = [{"id": 1, "pid": "visitor-1", "attributes": {"seen": "pricing"}}]
    mktg_sandbox.load(world)
    browser.post("/signup/", {"name": "ada"})
    send(loop)
    (person,) = mktg_sandbox.dump()["convertloop"]["people"]
    assert (person["id"], person["email"], person["attributes"]["seen"]) == (1, "ada@example.com", "pricing")


def test_who_has_not_agreed_is_not_remembered(loop: Connection, browser: Client, mktg_sandbox: Sandbox) -> None:
    del browser.cookies["consent"]
    browser.post("/signup/", {"name": "ada"})
    send(loop)
    assert people(mktg_sandbox) == {"ada@example.com": None}
    assert not ExplicitActs.objects.exists()


def test_a_site_that_asks_nobody_remembers_nobody(
    loop: Connection, browser: Client, marketing: Callable[..., None], mktg_sandbox: Sandbox
) -> None:
    marketing(VISITOR_CONSENT="")
    browser.post("/signup/", {"name": "ada"})
    assert not ExplicitActs.objects.exists()
    assert "script" not in browser.get("/").content.decode()


def test_who_logs_in_again_on_a_shared_computer_is_not_joined_to_its_visitor(
    loop: Connection, browser: Client, mktg_sandbox: Sandbox
) -> None:
    browser.post("/signup/", {"name": "ada"})
    send(loop)
    user = get_user_model().objects.get()
    shortcuts.remember_visitor(user, "visitor-2")
    assert ExplicitActs.objects.get().pid == "visitor-1"
    assert not OutboxRow.objects.exists(), "nothing was marked, for nothing changed"


def test_what_the_mapping_says_goes_first(
    loop: Connection, browser: Client, marketing: Callable[..., None], mktg_sandbox: Sandbox
) -> None:
    marketing(PROFILE="tests.tracking.test_visitors.with_pid")
    browser.post("/signup/", {"name": "ada"})
    send(loop)
    assert people(mktg_sandbox) == {"ada@example.com": "of the mapping"}


def with_pid(user: Any, connection: Any) -> Any:
    from mktg_integration.profile import Profile

    return Profile(email=user.email, pid="of the mapping")


def test_a_lead_is_joined_as_well(loop: Connection, browser: Client, mktg_sandbox: Sandbox) -> None:
    browser.post("/newsletter/", {"email": "lea@example.com"})
    assert Lead.objects.get().pid == "visitor-1"
    send(loop)
    assert people(mktg_sandbox) == {"lea@example.com": "visitor-1"}


def test_a_form_of_another_host_carries_the_visitor_itself(loop: Connection, browser: Client) -> None:
    shown = browser.get("/").content.decode()
    field = re.search(r'<input type="hidden" name="(\w+)" value="([\w-]+)">', shown)
    assert field
    del browser.cookies["dp_pid"]
    browser.post("/newsletter/", {"email": "lea@example.com", field[1]: field[2]})
    assert Lead.objects.get().pid == "visitor-1"


@pytest.mark.parametrize("cookie", ["", "x" * 256, "two words", "é"])
def test_a_cookie_that_is_no_visitor(cookie: str, loop: Connection) -> None:
    request = RequestFactory().get("/")
    request.COOKIES = {"dp_pid": cookie, "consent": "all"}
    VisitorMiddleware(lambda request: None)(request)  # type: ignore[arg-type, return-value]
    assert request.mktg_visitor.pid == ""  # type: ignore[attr-defined]


def test_who_is_forgotten_is_no_visitor_any_more(loop: Connection, browser: Client, mktg_sandbox: Sandbox) -> None:
    browser.post("/signup/", {"name": "ada"})
    shortcuts.forget(get_user_model().objects.get())
    assert not ExplicitActs.objects.exclude(pid="").exists()


def test_logging_in_without_a_request_of_this_site(loop: Connection) -> None:
    """As the admin of another app, or a test, does it."""
    request = RequestFactory().get("/")
    request.session = SessionStore()
    users: Any = get_user_model()._default_manager
    login(request, users.create_user("ada", "ada@example.com"))
    assert not ExplicitActs.objects.exists()


@pytest.mark.parametrize("pid", ["", " ", "x" * 256])
def test_a_visitor_without_a_name_is_an_error(pid: str, loop: Connection) -> None:
    with pytest.raises(ValueError, match="pid"):
        shortcuts.remember_visitor("ada@example.com", pid)


def test_an_asynchronous_site(loop: Connection) -> None:
    client = AsyncClient()
    client.cookies["dp_pid"] = "visitor-1"
    client.cookies["consent"] = "all"
    assert async_to_sync(client.get)("/whoami/").content == b"visitor-1"


# The script


def test_the_script_knows_the_app_and_no_secret(loop: Connection, browser: Client) -> None:
    shown = browser.get("/").content.decode()
    assert f'src="{SCRIPT}"' in shown
    assert "&quot;appId&quot;: &quot;sandbox_app&quot;, &quot;autoTrack&quot;: true" in shown
    assert "sandbox_key" not in shown
    assert "nonce" not in shown


def test_nobody_is_tracked_who_has_not_agreed(loop: Connection) -> None:
    shown = Client().get("/").content.decode()
    assert shown == "<head></head><form></form>"


def rendered(source: str, **context: Any) -> str:
    request = RequestFactory().get("/")
    request.COOKIES = {"consent": "all"}
    for name, value in context.pop("on_request", {}).items():
        setattr(request, name, value)
    return Template("{% load convertloop %}" + source).render(Context({"request": request, **context}))


@pytest.mark.parametrize(
    ("source", "context"),
    [
        ("{% convertloop_tracking nonce=mine %}", {"mine": "n0nce"}),
        ("{% convertloop_tracking %}", {"csp_nonce": "n0nce"}),
        ("{% convertloop_tracking %}", {"on_request": {"csp_nonce": "n0nce"}}),
    ],
)
def test_both_scripts_carry_the_pages_nonce(source: str, context: dict[str, Any], loop: Connection) -> None:
    shown = rendered(source, **context)
    assert len(re.findall(r'<script[^>]* nonce="n0nce">', shown)) == len(re.findall("<script", shown)) == 2


def test_what_is_shown_stays_data(loop: Connection, settings: Any) -> None:
    declared = settings.MKTG_INTEGRATION["CONNECTIONS"]["convertloop"]
    changed = {**declared, "APP_ID": '"><script>alert(1)</script>', "TRACKING_SCRIPT": SCRIPT + '?"><b>'}
    settings.MKTG_INTEGRATION = {**settings.MKTG_INTEGRATION, "CONNECTIONS": {"convertloop": changed}}
    shown = rendered("{% convertloop_tracking %}")
    assert "<b>" not in shown
    assert "<script>alert" not in shown


def test_a_connection_of_the_admin_is_named(loop: Connection) -> None:
    stored = Connection(name="second", provider="convertloop", source=ConnectionSource.STORED)
    stored.credentials = {"APP_ID": "second-app", "API_KEY": "k"}
    stored.stored_options = {"TRACKING_SCRIPT": SCRIPT}
    stored.save()
    assert "second-app" in rendered("{% convertloop_tracking 'second' %}")


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("{% convertloop_tracking 'third' %}", {}, "no connection 'third'"),
        ("{% convertloop_tracking %}", {"TRACKING_SCRIPT": ""}, "TRACKING_SCRIPT"),
        ("{% convertloop_tracking %}", {"TRACKING_SCRIPT": "javascript:alert(1)"}, "TRACKING_SCRIPT"),
        ("{% convertloop_tracking %}", {"APP_ID": ""}, "APP_ID"),
        ("{% convertloop_tracking %}", {"PROVIDER": "kit"}, "settings declare 0"),
    ],
)
def test_what_is_missing_is_named(
    source: str, options: dict[str, str], said: str, loop: Connection, settings: Any
) -> None:
    declared = settings.MKTG_INTEGRATION["CONNECTIONS"]["convertloop"]
    changed = {"CONNECTIONS": {"convertloop": {**declared, **options}}}
    settings.MKTG_INTEGRATION = {**settings.MKTG_INTEGRATION, **changed}
    with pytest.raises(ConfigurationError, match=said):
        rendered(source)


def test_a_consent_function_that_is_not_there_is_found_by_check(marketing: Callable[..., None]) -> None:
    marketing(VISITOR_CONSENT="tests.tracking.site.nowhere")
    assert any("VISITOR_CONSENT" in message.msg for message in run_checks())
