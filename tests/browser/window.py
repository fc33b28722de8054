"""A headless Chromium for the tests marked ``browser``, in whatever folder they are."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.test import Client

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Long enough for a machine that does much else; what a test waits for is there in a fraction of it.
MOST_MS = 15_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser. Fails where there is none: whoever asks for these tests wants them run."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail(f"there is no Chromium: none of {', '.join(NAMES)} is installed")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's loop runs in this thread; the database is asked between its steps, never within.
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def problems() -> list[str]:
    """What went wrong in the window: errors of scripts and of the policy, files that were not there."""
    return []


@pytest.fixture
def window(chromium: Any, live_server: Any, problems: list[str]) -> Iterator[Any]:
    """A page of the live site, nobody signed in. Fails in the end if there were problems."""
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900})
    context.set_default_timeout(MOST_MS)
    # Browsers ask for it by themselves, and the test site has none.
    context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("console", lambda told: problems.append(told.text) if is_problem(told) else None)
    context.on("response", lambda answer: problems.append(f"{answer.status} {answer.url}") if lacks(answer) else None)
    opened = context.new_page()
    yield opened
    context.close()
    assert problems == [], problems


def is_problem(told: Any) -> bool:
    """Whether the console told of an error; a page that is refused on purpose is told of, too, and is none."""
    return told.type == "error" and not told.text.startswith("Failed to load resource")


def lacks(answer: Any) -> bool:
    """Whether something was not there that a page needs: a style, a script, what it fetches."""
    return answer.status >= 400 and answer.request.resource_type != "document"


@pytest.fixture
def page(window: Any, live_server: Any) -> Any:
    """A page of the live site, the superuser ``root`` signed in."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", "", "pass"))
    name = django_settings.SESSION_COOKIE_NAME
    window.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    return window


def fits(page: Any) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def wait_until(page: Any, true: Callable[[], bool]) -> None:
    """Give a worker the time to do it."""
    ends_at = time.monotonic() + MOST_MS / 1000
    while not true():
        assert time.monotonic() < ends_at, "no worker did it"
        page.wait_for_timeout(100)


FOCUS = """() => {
    const focused = document.activeElement, style = getComputedStyle(focused);
    return [focused.innerText.trim(), focused.id, style.outlineStyle !== "none" || style.boxShadow !== "none"];
}"""


def tab_to(page: Any, *, text: str = "", id: str = "") -> None:
    """Go by the tabulator key, as somebody without a mouse, to what has this text or id; it must show the focus."""
    for _ in range(100):
        page.keyboard.press("Tab")
        label, name, is_seen = page.evaluate(FOCUS)
        if (id and name == id) or (text and label == text):
            assert is_seen, f"nobody sees that the focus is on {label or name}"
            return
    pytest.fail(f"the tabulator key never came to {text or id}")
