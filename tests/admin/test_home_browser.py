"""The home and a connection's pages in a real browser, under a strict Content Security Policy and on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from mktg_integration.models import AuditEntry, Connection
from tests.admin.test_connection_pages import kit  # noqa: F401 (a fixture)
from tests.browser.window import fits

HOME = "/admin/mktg_integration/"

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tasks")]


@pytest.fixture(autouse=True, params=[1200, 375], ids=["desk", "phone"])
def width(request: Any, page: Any) -> None:
    page.set_viewport_size({"width": request.param, "height": 800})


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
