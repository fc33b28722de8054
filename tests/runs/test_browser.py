"""A run's page in a real browser: it tells how far the run is without being reloaded."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.models import Connection, Run, RunKind, RunStatus
from mktg_integration.operations import runs
from tests.push.conftest import emails, send
from tests.runs.conftest import COMMAND, Queue
from tests.runs.test_push import make_people

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_page_follows_the_run_and_shows_its_end(kit: Connection, queue: Queue, page: Any) -> None:
    now = timezone.now()
    run = Run.objects.create(
        connection=kit, kind=RunKind.PULL, started_at=now, moved_at=now, total=200,
        counts={"asked": {}, "added": 20, "streams": {"contacts": {"state": "reading", "added": 20}}},
    )  # fmt: skip
    page.goto(f"/admin/mktg_integration/run/{run.pk}/change/")
    assert page.inner_text("[data-state]") == "running"
    assert page.get_attribute("progress", "value") == "10"

    streams = {"contacts": {"state": "reading", "added": 150}}
    Run.objects.update(moved_at=timezone.now(), counts={"asked": {}, "added": 150, "streams": streams})
    page.wait_for_selector("progress[value='75']")
    assert "150 of 200" in page.inner_text("[data-words]")
    assert "150" in page.inner_text("[data-stream=contacts]")

    Run.objects.update(status=RunStatus.FAILED, finished_at=timezone.now(), detail="tags: no answer")
    page.wait_for_selector(".mktg-run-failed")
    page.wait_for_selector("text=Resume")
    assert page.inner_text("[data-detail]") == "tags: no answer"


def test_a_preview_is_confirmed_a_few_people_first(kit: Connection, queue: Queue, page: Any, mktg_sandbox: Any) -> None:
    make_people(12)
    preview = runs.start_reconcile(COMMAND, kit)
    queue.all()
    page.goto(f"/admin/mktg_integration/run/{preview.pk}/change/")
    assert "Nothing was sent so far" in page.inner_text("#content")

    page.click("text=Send 10 people first")
    page.wait_for_url("**/change/")
    queue.all()
    send(kit)
    page.reload()
    assert page.inner_text("#content").count("user:") >= 10
    assert len(emails(mktg_sandbox, "kit")) == 10

    page.click("text=Back to the preview")
    page.click("text=Confirm: send all")
    page.wait_for_url("**/change/")
    queue.all()
    send(kit)
    assert len(emails(mktg_sandbox, "kit")) >= 12
