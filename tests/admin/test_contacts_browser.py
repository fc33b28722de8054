"""The page of one person in a real browser: somebody is sent and tagged by its buttons, on a phone too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.models import OutboxRow
from tests.push.conftest import Connect, person, send

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tasks")]


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
