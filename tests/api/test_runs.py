"""Runs by the API: from the asking to the end, through the tasks that do the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import tasks as entry_points
from mktg_integration.models import AuditEntry, Connection, OutboxRow, Run
from mktg_integration.permissions import SYNC
from mktg_integration.sandbox.server import Sandbox
from tests.api.conftest import ROOT, Api
from tests.push.conftest import Connect, emails, send

Tasks = list[tuple[str, tuple[int | str, ...]]]


def work(tasks: Tasks) -> None:
    """What a worker does: all that is queued, and what that queues."""
    while tasks:
        name, ids = tasks.pop(0)
        getattr(entry_points, name)(*ids)


def began(connection: Connection, **more: Any) -> Run:
    return Run.objects.create(connection=connection, kind="pull", started_at=timezone.now(), **more)


def test_a_pull_is_followed_to_its_end(api: Api, connect: Connect, sign_up: Any, tasks: Tasks) -> None:
    kit = connect("kit")["kit"]
    sign_up("ada")
    send(kit)

    url = api.post(f"connections/{kit.pk}/pull/").json()["url"]
    work(tasks)

    run = api.client.get(url).json()
    assert (run["status"], run["state"], run["progress"]["share"]) == ("done", "done", 100)
    assert run["errors"] == []
    found = api.get("runs/", connection=kit.pk, kind="pull").json()["results"]
    assert [row["id"] for row in found] == [run["id"]]


def test_a_reconcile_is_previewed_then_confirmed(
    api: Api, connect: Connect, sign_up: Any, tasks: Tasks, mktg_sandbox: Sandbox
) -> None:
    kit = connect("kit")["kit"]
    sign_up("ada")
    sign_up("bob")
    # As if their marks had been lost.
    OutboxRow.objects.all().delete()
    tasks.clear()
    preview = api.post(f"connections/{kit.pk}/reconcile/").json()
    work(tasks)
    told = api.client.get(preview["url"]).json()
    assert (told["status"], told["is_preview"], told["counts"]["missing"]) == ("done", True, 2)
    assert emails(mktg_sandbox, "kit") == [], "a preview sends nothing"

    canary = api.post(f"runs/{preview['run']}/confirm/", {"limit": 1})
    assert canary.status_code == 202, canary.text
    assert canary.headers["Location"] == canary.json()["url"]
    work(tasks)
    send(kit)
    assert len(emails(mktg_sandbox, "kit")) == 1

    assert api.post(f"runs/{preview['run']}/confirm/").status_code == 202
    work(tasks)
    send(kit)
    assert emails(mktg_sandbox, "kit") == ["ada@example.com", "bob@example.com"]
    again = api.post(f"runs/{preview['run']}/confirm/")
    assert (again.status_code, again.json()["code"]) == (409, "not_now")


def test_cancel_and_resume(api_with: Callable[..., Api], connect: Connect, tasks: Tasks) -> None:
    kit = connect("kit")["kit"]
    api = api_with(SYNC)
    run = api.post(f"connections/{kit.pk}/pull/").json()["run"]

    assert api.post(f"runs/{run}/cancel/").json()["status"] == "cancelled"
    again = api.post(f"runs/{run}/cancel/")
    assert (again.status_code, again.json()["code"]) == (409, "not_now")

    resumed = api.post(f"runs/{run}/resume/")
    assert resumed.status_code == 202
    assert resumed.headers["Location"].endswith(f"{ROOT}runs/{run}/")
    work(tasks)
    assert Run.objects.get(pk=run).status == "done"
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "run_started",
        "run_cancelled",
        "run_resumed",
    ]


def test_discard(api: Api, connect: Connect, tasks: Tasks) -> None:
    kit = connect("kit")["kit"]
    run = api.post(f"connections/{kit.pk}/reconcile/").json()["run"]
    work(tasks)
    assert api.post(f"runs/{run}/discard/").json()["counts"]["closed"] == "discarded"
    assert api.post(f"runs/{run}/confirm/").status_code == 409


@pytest.mark.parametrize("limit", [0, -1, "some", 10**12])
def test_a_canary_has_at_least_one_person(api: Api, crm: Connection, limit: Any) -> None:
    run = began(crm)
    answer = api.post(f"runs/{run.pk}/confirm/", {"limit": limit})
    assert answer.status_code == 400
    assert answer.json()["errors"]["limit"]


def test_the_newest_comes_first_and_pages_go_by_cursor(api: Api, crm: Connection) -> None:
    made = [began(crm).pk for _ in range(5)]
    page = api.get("runs/", page_size=2).json()
    seen = [row["id"] for row in page["results"]]
    while page["next"]:
        page = api.client.get(page["next"]).json()
        seen += [row["id"] for row in page["results"]]
    assert seen == made[::-1]


def test_errors_come_with_what_mends_them(api: Api, crm: Connection) -> None:
    error = {"about": "contacts", "code": "outage", "reason": "no answer", "status": None, "request_id": ""}
    run = began(crm, status="failed", finished_at=timezone.now(), errors=[error])
    told = api.get(f"runs/{run.pk}/").json()
    assert told["errors"][0]["reason"] == "no answer"
    assert told["errors"][0]["remedy"]
