"""The page behind the link in a mail, by somebody who has no mouse and no account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration import shortcuts
from mktg_integration.sandbox.server import Sandbox
from tests.browser.conftest import Working
from tests.browser.window import tab_to, wait_until
from tests.push.conftest import person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_topic_is_chosen_and_all_is_given_up_by_keyboard_alone(
    working: Working, sign_up: Callable[..., Any], window: Any, mktg_sandbox: Sandbox
) -> None:
    working("kit")
    user = sign_up("ada")
    window.goto(shortcuts.preference_url(user))
    assert "You are subscribed." in window.inner_text("main")

    tab_to(window, id="topic-news")
    window.keyboard.press("Space")
    tab_to(window, text="Save")
    window.keyboard.press("Enter")
    window.wait_for_selector(".said")
    assert window.is_checked("#topic-news")
    assert not window.is_checked("#topic-offers")
    wait_until(window, lambda: ada(mktg_sandbox)["tags"] == ["News"])

    tab_to(window, text="Unsubscribe from all mails")
    window.keyboard.press("Enter")
    window.wait_for_selector("text=You are not subscribed.")
    wait_until(window, lambda: ada(mktg_sandbox)["state"] == "cancelled")


def ada(sandbox: Sandbox) -> dict[str, Any]:
    return person(sandbox, "kit", "ada@example.com") if sandbox.people("kit") else {"tags": [], "state": ""}
