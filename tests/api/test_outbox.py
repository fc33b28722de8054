"""What is due, and what could not be sent: seen, counted first, replayed, given up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.models import AuditEntry, Connection, DeadKind, DeadRow, Kind, Lane, OutboxRow
from mktg_integration.operations import deliveries
from mktg_integration.permissions import REPLAY
from mktg_integration.push.outbox import add_occurrence, mark
from mktg_integration.sandbox.server import Sandbox
from tests.api.conftest import Api
from tests.push.conftest import Connect, emails, send

Tasks = list[tuple[str, tuple[int | str, ...]]]


def dead(connection: Connection, subject: str = "user:1", **more: Any) -> DeadRow:
    now = timezone.now()
    told: dict[str, Any] = {"state": DeadKind.REJECTED, "code": "bad_email", "reason": "refused", **more}
    return DeadRow.objects.create(
        key=f"{connection.pk}:profile:{subject}",
        connection=connection,
        kind=Kind.PROFILE,
        subject=subject,
        marked_at=now,
        died_at=now,
        **told,
    )


# What is due


def test_what_is_due_is_listed_without_what_it_tells(api: Api, crm: Connection) -> None:
    mark(["user:1", "user:2"], lane=Lane.LIVE)
    add_occurrence(Kind.EVENT, "user:1", "ordered", {"properties": {"secret": "sesame"}})
    page = api.get("outbox/")
    assert [row["subject"] for row in page.json()["results"]] == ["user:1", "user:1", "user:2"]
    assert "sesame" not in page.text
    one = page.json()["results"][0]
    assert api.get(f"outbox/{one['key']}/").json() == one


def test_one_person_of_one_connection(api: Api, crm: Connection) -> None:
    mark(["user:1", "user:11", "user:2"], lane=Lane.LIVE)
    add_occurrence(Kind.EVENT, "user:1", "ordered", {})
    found = api.get("outbox/", connection=crm.pk, subject="user:1").json()["results"]
    assert [row["kind"] for row in found] == ["event", "profile"]
    refused = api.get("outbox/", subject="user:1")
    assert refused.json()["errors"] == {"connection": ["Name the connection too."]}


def test_rows_are_sent_now(api: Api, crm: Connection, tasks: Tasks) -> None:
    mark(["user:1"], lane=Lane.LIVE)
    OutboxRow.objects.update(due_at=timezone.now() + timedelta(days=1))
    key = OutboxRow.objects.get().key
    tasks.clear()
    assert api.post("outbox/send/", {"keys": [key]}).json() == {"count": 1, "more": False, "dry_run": False}
    assert OutboxRow.objects.get().due_at <= timezone.now()
    assert tasks == [("drain", (crm.pk,))]


# What could not be sent


def test_rejected_rows_by_reason_each_with_its_remedy(api: Api, crm: Connection) -> None:
    for number in range(3):
        dead(crm, f"user:{number}")
    dead(crm, "user:9", state=DeadKind.NEEDS_PERSON, code="no_erasure", reason="by hand")

    groups = api.get("rejected/reasons/").json()

    assert [(group["state"], group["code"], group["count"]) for group in groups] == [
        ("needs_person", "no_erasure", 1),
        ("rejected", "bad_email", 3),
    ]
    assert all(group["remedy"] for group in groups)
    found = api.get("rejected/", connection=crm.pk, state="rejected", code="bad_email").json()["results"]
    assert len(found) == 3
    assert api.get("rejected/", code="bad_email").status_code == 400, "no index begins with the code"


def test_replayed_after_its_cause_is_mended(
    api_with: Callable[..., Api], connect: Connect, sign_up: Any, mktg_sandbox: Sandbox, tasks: Tasks
) -> None:
    api = api_with(REPLAY, "mktg_integration.view_deadrow")
    kit = connect("kit")["kit"]
    user = sign_up("ada", email="not-an-address")
    send(kit)
    [row] = api.get("rejected/").json()["results"]
    detail = api.get(f"rejected/{row['key']}/").json()
    assert detail["remedy"]
    assert [attempt["outcome"] for attempt in detail["tried"]] == ["rejected"]
    type(user).objects.filter(pk=user.pk).update(email="ada@example.com")

    counted = api.post("rejected/replay/", {"connection": kit.pk, "code": row["code"], "dry_run": True})
    assert counted.json() == {"count": 1, "more": False, "dry_run": True}
    assert DeadRow.objects.count() == 1
    done = api.post("rejected/replay/", {"connection": kit.pk, "code": row["code"], "expected": 1})
    assert done.json() == {"count": 1, "more": False, "dry_run": False}

    send(kit)
    assert emails(mktg_sandbox, "kit") == ["ada@example.com"]
    entry = AuditEntry.objects.get(action="replayed")
    assert (entry.via, entry.subject, entry.detail["count"]) == ("api", f"user:{user.pk}", 1)


def test_nothing_is_done_where_the_count_is_another_by_now(api: Api, crm: Connection) -> None:
    dead(crm)
    dead(crm, "user:2")
    answer = api.post("rejected/discard/", {"connection": crm.pk, "reason": "old", "expected": 1})
    assert answer.status_code == 409
    assert "2 such rows now, not 1" in answer.json()["detail"]
    assert DeadRow.objects.count() == 2


def test_one_request_takes_a_bounded_number(api: Api, crm: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "AT_ONCE", 2)
    for number in range(3):
        dead(crm, f"user:{number}")
    body = {"connection": crm.pk}
    assert api.post("rejected/replay/", {**body, "dry_run": True}).json() == {"count": 2, "more": True, "dry_run": True}
    assert api.post("rejected/replay/", body).json() == {"count": 2, "more": True, "dry_run": False}
    assert api.post("rejected/replay/", body).json() == {"count": 1, "more": False, "dry_run": False}


def test_given_up_with_a_reason(api: Api, crm: Connection) -> None:
    row = dead(crm)
    assert api.post("rejected/discard/", {"keys": [row.key]}).json()["errors"] == {
        "reason": ["This field is required."]
    }
    assert api.post("rejected/discard/", {"keys": [row.key], "reason": "left the company"}).json()["count"] == 1
    assert not DeadRow.objects.exists()
    assert AuditEntry.objects.get().detail == {"count": 1, "reason": "left the company"}


def test_each_act_takes_the_rows_that_it_is_for(api: Api, crm: Connection) -> None:
    dead(crm, "user:1")
    dead(crm, "user:2", state=DeadKind.HELD, code="mass")
    dead(crm, "user:3", state=DeadKind.NEEDS_PERSON, code="no_erasure")
    body = {"connection": crm.pk}

    assert api.post("rejected/confirm/", body).json()["count"] == 1
    assert api.post("rejected/done-by-hand/", {**body, "reason": "deleted there today"}).json()["count"] == 1
    assert DeadRow.objects.get().subject == "user:1"
    assert api.post("rejected/replay/", body).json()["count"] == 1
    assert sorted(OutboxRow.objects.values_list("subject", flat=True)) == ["user:1", "user:2"]


@pytest.mark.parametrize("body", [{}, {"keys": ["x"], "connection": 1}, {"code": "bad_email"}, {"keys": ["\ud800"]}])
def test_a_selection_says_which_rows(api: Api, crm: Connection, body: dict[str, Any]) -> None:
    body = {name: crm.pk if name == "connection" else value for name, value in body.items()}
    dead(crm)
    answer = api.post("rejected/replay/", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert DeadRow.objects.exists()
