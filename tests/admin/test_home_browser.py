"""The home and a connection's pages in a real browser, under a strict Content Security Policy and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from mktg_integration.models import AuditEntry, Connection
from tests.admin.test_connection_pages import kit  # noqa: F401 (a fixture)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
HOME = "/admin/mktg_integration/"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
]


def strict(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware of a site that allows nothing in the text of its pages."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = "default-src 'self'"
        return response

    return answer


@pytest.fixture(params=[1200, 375], ids=["desk", "phone"])
def page(request: Any, live_server: Any, settings: Any, tasks: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page of a headless Chromium, signed in, with nothing refused on its console."""
    playwright = pytest.importorskip("playwright.sync_api")
    settings.MIDDLEWARE = [f"{__name__}.strict", *settings.MIDDLEWARE]
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    User.objects.create_superuser("root", "", "pass")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(base_url=live_server.url, viewport={"width": request.param, "height": 800})
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("console", lambda told: problems.append(told.text) if "Content Security Policy" in told.text else 0)
        opened.goto("/admin/login/")
        opened.fill("#id_username", "root")
        opened.fill("#id_password", "pass")
        opened.click("input[type=submit]")
        yield opened
        browser.close()
    assert problems == []


def fits(page: Any) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_connection_is_paused_and_resumed_from_its_card(page: Any, kit: Connection) -> None:  # noqa: F811
    page.goto(HOME)
    assert fits(page)
    assert "No worker has run a scheduled task yet" in page.inner_text("[role=alert]")
    # By keyboard alone.
    page.focus("button[value=pause]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".messagelist >> text=It is paused")
    assert page.inner_text(".mktg-card .mktg-state") == "paused"
    page.click("button[value=resume]")
    page.wait_for_selector(".messagelist >> text=It sends again")
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == ["paused", "resumed"]


def test_a_connection_is_tested_and_given_up(page: Any, kit: Connection, tasks: list[Any]) -> None:  # noqa: F811
    page.goto(HOME)
    page.click(".mktg-card >> text=kit")
    assert fits(page)
    page.click("a:text-is('Test')")
    page.click("text=Test now")
    page.wait_for_selector("text=All is well")
    assert fits(page)
    page.click("text=Back to the connection")
    page.click("text=Mapping and fields")
    page.fill("#user-id", str(User.objects.get(username="root").pk))
    page.click("button:text-is('Show')")
    page.wait_for_selector("text=does not go there")
    assert fits(page)
    page.click("text=Back to the connection")
    page.click("text=Disconnect…")
    assert "What stops" in page.inner_text("#content")
    assert fits(page)
    page.click("button:text-is('Disconnect')")
    page.wait_for_selector(".messagelist >> text=is being disconnected")
    assert tasks[-1] == ("mktg_integration.tasks.disconnect", (kit.pk, 0))
