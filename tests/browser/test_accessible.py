"""Every page is read by axe, in light and in dark, on a desk and on a phone: nothing serious may be in its way.

The pages are under a strict Content Security Policy, and their consoles tell of no error; see ``window``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from mktg_integration.sandbox.server import Sandbox
from tests.browser.furnished import furnish
from tests.browser.window import fits
from tests.push.conftest import Connect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SERIOUS = ("serious", "critical")
WIDTHS = (1280, 375)
ALL = {"resultTypes": ["violations"]}
# All other rules say the same in either scheme.
COLOURS = {**ALL, "runOnly": ["color-contrast"]}
# After the page is opened: what makes it show the rest of itself.
PRESSED = {"test": ["text=Test now"], "mapping": ["button:text-is('Show')"], "figures": ["summary >> nth=0"]}
AREAS = {
    "connections": ["home", "connections", "connection", "test", "mapping", "disconnect"],
    "runs": ["runs", "pull", "failed run", "run at work", "preview", "compare and confirm"],
    "deliveries": ["deliveries", "row", "confirmation", "outbox", "figures", "audit", "audit entry"],
    "people": ["contacts", "contact", "person", "consent", "forget", "preferences", "no such preferences"],
}


# Else a colour is read while it fades into the other scheme's. The policy has nothing against such a sheet.
STILL = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("*, *::before, *::after { transition: none !important; animation: none !important }");
    document.adoptedStyleSheets = [sheet];
}"""


@pytest.mark.parametrize("area", AREAS)
def test_nothing_serious_is_in_the_way(
    area: str,
    connect: Connect,
    sign_up: Callable[..., Any],
    page: Any,
    problems: list[str],
    live_server: Any,
    mktg_sandbox: Sandbox,
) -> None:
    pages = furnish(connect, sign_up, mktg_sandbox, live_server.url)
    found: dict[str, list[str]] = {}
    for name in AREAS[area]:
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        page.goto(pages[name])
        if name == "mapping":
            page.fill("#user-id", str(get_user_model().objects.get(username="ada").pk))
        for selector in PRESSED.get(name, []):
            page.click(selector)
            page.wait_for_load_state()
        page.evaluate(STILL)
        assert problems == [], (name, problems)
        for scheme, rules in (("light", ALL), ("dark", COLOURS)):
            page.emulate_media(color_scheme=scheme)
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                wrong = serious(page, rules)
                wrong += [] if fits(page) else ["sticks out at the side"]
                for told in wrong:
                    found.setdefault(f"{name}: {told}", []).append(f"{scheme} {width}")
        # axe writes styles into the page, which the policy refuses.
        problems.clear()
    assert found == {}, "\n".join(f"{told} ({', '.join(where)})" for told, where in found.items())


def serious(page: Any, rules: dict[str, Any]) -> list[str]:
    """Where axe finds something serious or critical. Nothing is left out, for Django's own markup has nothing such."""
    # Imported when used: these tests are collected, and left out, where the extra ``dev`` is not installed.
    from axe_playwright_python.sync_playwright import Axe

    answer = Axe().run(page, options=rules).response
    return [
        f"{rule['id']}: {node['html'][:150]} {node['target']}"
        for rule in answer["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]
