"""The deliveries page in a real browser: a rejected row is replayed once its cause is mended; the charts on a phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.models import Connection, DailyFigures, DeadKind, DeadRow, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, send

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tasks")]


def test_a_rejected_row_is_replayed_once_its_cause_is_mended(
    connect: Connect, sign_up: Callable[..., Any], page: Any, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop")["convertloop"]
    sign_up("ada")
    mktg_sandbox.fail("convertloop", "status", status=422, times=1)
    send(loop)
    assert DeadRow.objects.get().state == DeadKind.REJECTED

    page.goto("/admin/mktg_integration/deadrow/")
    assert "The service does not take a value as the site gives it." in page.inner_text(".mktg-reasons")
    page.click("#result_list tbody th a")
    assert "422" in page.inner_text("section:has(#mktg-attempts)")
    page.go_back()
    page.click(".mktg-reasons >> text=Replay…")
    assert "1 row." in page.inner_text("#content-main")
    page.click("#content-main button >> text=Replay")
    page.wait_for_selector(".messagelist >> text=Replay: 1 row.")
    assert OutboxRow.objects.count() == 1
    send(loop)
    assert emails(mktg_sandbox, "convertloop") == ["ada@example.com"]
    page.reload()
    assert "Nothing was rejected" in page.inner_text("#content")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_charts_fit_a_phone(db: None, page: Any, scheme: str) -> None:
    connection = Connection.objects.create(name="crm", provider="conversion")
    today = timezone.localdate()
    for n in range(30):
        day = today - timedelta(days=n)
        DailyFigures.objects.create(
            key=f"{connection.pk}:{day}", connection=connection, day=day, active=1000 - 7 * n, joined=n % 5 + 3,
            unsubscribed=n % 3, sent=40 + n % 7, rejected=n % 4, postponed=n % 2, outbox=n * 3,
        )  # fmt: skip
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 375, "height": 800})
    page.goto("/admin/mktg_integration/dailyfigures/")
    assert page.locator(".mktg-svg").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # Lines are seen on the ground of the page, in both schemes.
    line = page.evaluate("getComputedStyle(document.querySelector('polyline.mktg-line-2')).stroke")
    ground = page.evaluate("getComputedStyle(document.querySelector('.mktg-panel')).backgroundColor")
    assert line != ground
    page.click("summary >> nth=0")
    assert page.locator("details[open] tbody tr").count() == 30
