"""The whole flow in a real browser: the admin's button, the service's consent page, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from mktg_integration.models import Connection
from mktg_integration.sandbox.server import Sandbox
from tests.oauth.conftest import INSTALL, app_of, set_kit

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


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


def sign_in(window: Any) -> None:
    window.fill("#id_username", "root")
    window.fill("#id_password", "pass")
    window.click("input[type=submit]")


def test_from_the_admin_to_the_service_and_back(site: str, window: Any, mktg_sandbox: Sandbox) -> None:
    window.goto(f"{site}/admin/mktg_integration/connection/")
    sign_in(window)
    window.click("text=Connect Kit")
    assert window.url.startswith(mktg_sandbox.kit_url)
    window.click("text=Authorize")
    window.wait_for_selector(".messagelist .success")

    assert "is connected" in window.inner_text(".messagelist")
    assert Connection.objects.get().name in window.inner_text("#content")
    assert "ACCESS_TOKEN is set" in window.inner_text("#content")

    window.click("text=Connect again")
    window.click("text=Authorize")
    window.wait_for_selector(".messagelist .success")
    assert Connection.objects.count() == 1
    assert not mktg_sandbox.undocumented()


def test_started_from_the_services_side(site: str, window: Any, mktg_sandbox: Sandbox) -> None:
    """The browser is not signed in at the site yet; in the end it is back where it came from."""
    window.route(
        "https://app.kit.com/**", lambda route: route.fulfill(body="<h1>Kit's apps</h1>", content_type="text/html")
    )
    window.goto(f"{site}{INSTALL}?redirect=https://app.kit.com/apps/1?success=true")
    sign_in(window)
    window.click("text=Authorize")
    window.wait_for_selector("text=Kit's apps")

    assert window.url == "https://app.kit.com/apps/1?success=true"
    assert Connection.objects.get().account_label


def test_denied(site: str, window: Any) -> None:
    window.goto(f"{site}{INSTALL}")
    sign_in(window)
    window.click("text=Deny")
    window.wait_for_selector("text=Access was not granted")
    window.click("text=Back to the connections")
    window.wait_for_selector("text=Connect Kit")
    assert not Connection.objects.exists()


def test_going_back_and_sending_again(site: str, window: Any) -> None:
    window.goto(f"{site}{INSTALL}")
    sign_in(window)
    codes: list[str] = []
    window.on("request", lambda request: codes.append(request.url) if "/callback/" in request.url else None)
    window.click("text=Authorize")
    window.wait_for_selector(".messagelist .success")
    window.goto(codes[0])
    window.wait_for_selector("text=not valid any more")
    assert Connection.objects.count() == 1
