"""The page of one person in a real browser: somebody is sent and tagged by its buttons, on a phone too."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from mktg_integration.models import Heartbeat, OutboxRow
from tests.push.conftest import Connect, person, send

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
]


@pytest.fixture
def page(live_server: Any, tasks: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page of a headless Chromium, signed in, with no error on its console."""
    playwright = pytest.importorskip("playwright.sync_api")
    # Playwright's loop runs in this thread; the database is asked between its steps, never within.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    get_user_model().objects.create_superuser("root", "", "pass")
    Heartbeat.objects.create(name="worker", at=timezone.now())
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page(base_url=live_server.url)
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.goto("/admin/login/")
        opened.fill("#id_username", "root")
        opened.fill("#id_password", "pass")
        opened.click("input[type=submit]")
        yield opened
        browser.close()
    assert problems == []


def test_a_person_is_sent_and_tagged(
    connect: Connect, sign_up: Callable[..., Any], page: Any, mktg_sandbox: Any
) -> None:
    kit = connect("kit")["kit"]
    user = sign_up("ada", plan="gold")
    OutboxRow.objects.all().delete()

    page.goto(f"/admin/mktg_integration/contact/person/user:{user.pk}/")
    assert "Press Sync now" in page.inner_text(".mktg-answer")
    page.click("text=Sync now")
    page.wait_for_selector(".messagelist >> text=is being sent")
    send(kit)
    page.reload()
    assert page.inner_text(".mktg-answer") == "The service has all that is wanted of this person."

    page.click("text=Add a tag")
    # By keyboard alone.
    page.focus("#id_name")
    page.keyboard.type("Gold")
    page.keyboard.press("Enter")
    page.wait_for_selector(".messagelist >> text=is being added")
    send(kit)
    page.reload()

    assert "this site" in page.inner_text(".mktg-tags")
    assert person(mktg_sandbox, "kit", "ada@example.com")["tags"] == ["Gold"]


def test_nothing_is_cut_off_on_a_phone(connect: Connect, sign_up: Callable[..., Any], page: Any) -> None:
    connect("kit")
    user = sign_up("ada", plan="gold", groups=("VIP",))
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto(f"/admin/mktg_integration/contact/person/user:{user.pk}/")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("getComputedStyle(document.querySelector('.mktg-scroll')).overflowX") == "auto"
