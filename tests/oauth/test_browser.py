"""The whole flow in a real browser: the admin's button, the service's consent page, and back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from mktg_integration.models import Connection
from mktg_integration.sandbox.server import Sandbox
from tests.oauth.conftest import INSTALL, app_of, set_kit

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page of a headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    # Playwright's loop runs in this thread; the database is asked between its steps, never within.
    monkeypatch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@pytest.fixture
def site(live_server: Any, mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> str:
    """The site, with staff ``root`` and password ``pass``, and an app at a Kit that asks for consent."""
    User.objects.create_superuser("root", password="pass")
    marketing(
        OAUTH={"kit": app_of(mktg_sandbox)},
        PUBLIC_URL=live_server.url,
        TASK_ENGINE="tests.oauth.conftest.note_nothing",
    )
    set_kit(mktg_sandbox, redirect_uris={app_of(mktg_sandbox)["CLIENT_ID"]: [callback(live_server.url)]})
    return str(live_server.url)


def callback(site: str) -> str:
    return f"{site}{INSTALL.replace('install', 'callback')}"


def sign_in(page: Any) -> None:
    page.fill("#id_username", "root")
    page.fill("#id_password", "pass")
    page.click("input[type=submit]")


def test_from_the_admin_to_the_service_and_back(site: str, page: Any, mktg_sandbox: Sandbox) -> None:
    page.goto(f"{site}/admin/mktg_integration/connection/")
    sign_in(page)
    page.click("text=Connect Kit")
    assert page.url.startswith(mktg_sandbox.kit_url)
    page.click("text=Authorize")
    page.wait_for_selector(".messagelist .success")

    assert "is connected" in page.inner_text(".messagelist")
    assert Connection.objects.get().name in page.inner_text("#content")
    assert "ACCESS_TOKEN is set" in page.inner_text("#content")

    page.click("text=Connect again")
    page.click("text=Authorize")
    page.wait_for_selector(".messagelist .success")
    assert Connection.objects.count() == 1
    assert not mktg_sandbox.undocumented()


def test_started_from_the_services_side(site: str, page: Any, mktg_sandbox: Sandbox) -> None:
    """The browser is not signed in at the site yet; in the end it is back where it came from."""
    page.route(
        "https://app.kit.com/**", lambda route: route.fulfill(body="<h1>Kit's apps</h1>", content_type="text/html")
    )
    page.goto(f"{site}{INSTALL}?redirect=https://app.kit.com/apps/1?success=true")
    sign_in(page)
    page.click("text=Authorize")
    page.wait_for_selector("text=Kit's apps")

    assert page.url == "https://app.kit.com/apps/1?success=true"
    assert Connection.objects.get().account_label


def test_denied(site: str, page: Any) -> None:
    page.goto(f"{site}{INSTALL}")
    sign_in(page)
    page.click("text=Deny")
    page.wait_for_selector("text=Access was not granted")
    page.click("text=Back to the connections")
    page.wait_for_selector("text=Connect Kit")
    assert not Connection.objects.exists()


def test_going_back_and_sending_again(site: str, page: Any) -> None:
    page.goto(f"{site}{INSTALL}")
    sign_in(page)
    codes: list[str] = []
    page.on("request", lambda request: codes.append(request.url) if "/callback/" in request.url else None)
    page.click("text=Authorize")
    page.wait_for_selector(".messagelist .success")
    page.goto(codes[0])
    page.wait_for_selector("text=not valid any more")
    assert Connection.objects.count() == 1
