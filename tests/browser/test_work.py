"""What staff do on the admin's pages and a worker then does, to the end, in a real browser and a real process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from mktg_integration.models import Contact, DeadRow, Run, RunStatus, SyncState
from mktg_integration.sandbox.server import Sandbox
from tests.browser.conftest import Working, changes
from tests.browser.window import tab_to, wait_until
from tests.pull.conftest import people
from tests.push.conftest import emails, person

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SignUp = Callable[..., Any]
MOST_MS = 30_000


def until(page: Any, selector: str) -> None:
    """Reload the page until it shows this: pages other than a run's do not follow what a worker does."""
    for _ in range(100):
        if page.locator(selector).count():
            return
        page.wait_for_timeout(200)
        page.reload()
    pytest.fail(f"{page.url} never showed {selector}: {page.inner_text('#content')}")


def test_a_pull_is_followed_to_its_end(working: Working, page: Any, mktg_sandbox: Sandbox) -> None:
    kit = working("kit")["kit"]
    world = mktg_sandbox.dump()
    world["kit"]["subscribers"] = people(2500)
    mktg_sandbox.load(world)
    # Longer than the page waits between two looks, so that it sees the run at work.
    mktg_sandbox.fail("kit", "slow", path="^/v4/subscribers$", seconds=2.5)

    page.goto(f"/admin/mktg_integration/connection/{kit.pk}/change/")
    page.click("text=Pull everything")
    page.wait_for_selector(".mktg-run-page")
    # Without a reload: the number of contacts grows while the run is at work.
    page.wait_for_selector("[data-stream=contacts] >> text=/^[12]000/", timeout=MOST_MS)
    assert page.inner_text("[data-state]") == "running"
    page.wait_for_selector(".mktg-run-done", timeout=MOST_MS)

    assert "2500" in page.inner_text("[data-stream=contacts]")
    assert page.get_attribute("progress", "value") == "100"
    assert Contact.objects.count() == 2500
    assert Run.objects.get().requested_by == get_user_model().objects.get(username="root")


def test_a_rejected_row_is_replayed_once_its_cause_is_mended(
    working: Working, sign_up: SignUp, page: Any, mktg_sandbox: Sandbox
) -> None:
    working("convertloop")
    mktg_sandbox.fail("convertloop", "status", status=422, method="POST")
    sign_up("ada")
    page.goto("/admin/mktg_integration/deadrow/")
    until(page, ".mktg-reasons")
    assert emails(mktg_sandbox, "convertloop") == []

    mktg_sandbox.faults.clear()
    page.click(".mktg-reasons >> text=Replay…")
    page.click("#content-main button >> text=Replay")
    page.wait_for_selector(".messagelist >> text=Replay: 1 row.")
    page.goto("/admin/mktg_integration/syncstate/")
    until(page, "#result_list tbody tr")
    assert emails(mktg_sandbox, "convertloop") == ["ada@example.com"]
    assert not DeadRow.objects.exists()


def test_a_contact_is_synced_and_tagged_by_keyboard_alone(
    working: Working, sign_up: SignUp, page: Any, mktg_sandbox: Sandbox
) -> None:
    working("kit")
    # Of whom no signal told.
    user = get_user_model().objects.bulk_create([get_user_model()(username="bea", email="bea@example.com")])[0]
    page.goto(f"/admin/mktg_integration/contact/person/user:{user.pk}/")
    assert changes(mktg_sandbox) == []
    tab_to(page, text="Sync now")
    page.keyboard.press("Enter")
    page.wait_for_selector(".messagelist >> text=is being sent")
    until(page, ".mktg-answer >> text=The service has all that is wanted")
    assert emails(mktg_sandbox, "kit") == ["bea@example.com"]

    tab_to(page, text="Add a tag…")
    page.keyboard.press("Enter")
    page.wait_for_selector("#id_name")
    tab_to(page, id="id_name")
    page.keyboard.type("Gold")
    page.keyboard.press("Enter")
    page.wait_for_selector(".messagelist >> text=is being added")
    until(page, ".mktg-tags >> text=Gold")
    assert "this site" in page.inner_text(".mktg-tags")
    assert person(mktg_sandbox, "kit", "bea@example.com")["tags"] == ["Gold"]


def test_a_reconcile_is_previewed_tried_on_ten_and_confirmed(
    working: Working, page: Any, mktg_sandbox: Sandbox
) -> None:
    kit = working("kit")["kit"]
    model = get_user_model()
    model.objects.bulk_create(model(username=f"p{n}", email=f"p{n}@example.com") for n in range(25))

    page.goto(f"/admin/mktg_integration/connection/{kit.pk}/change/")
    page.click("text=Preview a reconcile")
    page.wait_for_selector("text=Something would be sent of 25 people. Nothing was sent so far.", timeout=MOST_MS)
    assert changes(mktg_sandbox) == []

    page.click("text=Send 10 people first")
    page.wait_for_selector("text=The first few people")
    page.wait_for_selector(".mktg-run-done", timeout=MOST_MS)
    wait_until(page, lambda: SyncState.objects.count() == 10)
    assert len(emails(mktg_sandbox, "kit")) == 10

    page.click("text=Back to the preview")
    page.click("text=Confirm: send all")
    page.wait_for_url(f"**/run/{Run.objects.latest('pk').pk}/change/")
    page.wait_for_selector(".mktg-run-done", timeout=MOST_MS)
    wait_until(page, lambda: SyncState.objects.count() == 25)
    assert len(emails(mktg_sandbox, "kit")) == 25
    assert not Run.objects.exclude(status=RunStatus.DONE).exists()
