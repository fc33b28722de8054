"""The deliveries page: why rows are dead and what to do, row by row, and what staff may do about them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.core.management import call_command
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration.insight import deliveries as insight
from mktg_integration.models import (
    Attempt,
    AuditAction,
    AuditEntry,
    Connection,
    DeadKind,
    DeadRow,
    Kind,
    OutboxRow,
    Outcome,
)
from mktg_integration.operations import deliveries as operations

LIST = reverse("admin:mktg_integration_deadrow_changelist")
AddDead = Callable[..., DeadRow]
StaffWith = Callable[..., Client]


def act_url(name: str) -> str:
    return reverse("admin:mktg_integration_deadrow_act", args=[name])


def page_of(row: DeadRow) -> str:
    return reverse("admin:mktg_integration_deadrow_change", args=[quote(row.pk)])


def group_of(row: DeadRow) -> dict[str, Any]:
    return {"connection": row.connection_id, "state": row.state, "code": row.code}


# By reason


def test_rows_are_grouped_by_reason_with_the_remedy(staff: Client, connection: Connection, add_dead: AddDead) -> None:
    for number in range(3):
        add_dead(connection, number)
    add_dead(connection, 9, DeadKind.NEEDS_PERSON, code="erase_by_hand", kind=Kind.ERASURE)
    page = staff.get(LIST)
    groups = [reason["group"] for reason in page.context["reasons"]]
    assert [(group.code, group.count) for group in groups] == [("erase_by_hand", 1), ("invalid_email", 3)]
    assert "Correct the person&#x27;s email address on the site, then replay." in page.text
    link = page.context["reasons"][1]["rows"]
    assert staff.get(LIST + link).context["cl"].result_count == 3


def test_a_group_is_counted_no_further_than_its_bound(
    connection: Connection, add_dead: AddDead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(insight, "COUNTED", 2)
    for number in range(4):
        add_dead(connection, number)
    with CaptureQueriesContext(database) as captured:
        (group,) = insight.reasons()
    assert (group.count, group.bounded) == (2, True)
    assert [query["sql"] for query in captured if "GROUP BY" in query["sql"]] == []
    assert len(captured) == 4


def test_the_page_of_a_row_tells_each_attempt(staff: Client, connection: Connection, add_dead: AddDead) -> None:
    row = add_dead(connection, 1)
    for minutes, status in ((2, 503), (1, 422)):
        Attempt.objects.create(
            key=row.pk, connection=connection, kind=row.kind, subject=row.subject, outcome=Outcome.LATER,
            at=timezone.now() - timedelta(minutes=minutes), call="POST /contacts", status=status,
            request_id=f"r-{status}",
        )  # fmt: skip
    page = staff.get(page_of(row))
    assert page.text.index("r-422") < page.text.index("r-503")
    assert "POST /contacts" in page.text


def test_an_empty_list_says_that_all_is_well(staff: Client, connection: Connection) -> None:
    assert "Nothing was rejected" in staff.get(LIST).text


# Acts


def test_replaying_a_reason_asks_first_and_tells_how_many(
    staff: Client, connection: Connection, add_dead: AddDead, tasks: list[Any]
) -> None:
    rows = [add_dead(connection, number) for number in range(3)]
    other = add_dead(connection, 9, code="no_such_form")
    question = staff.get(act_url("replay"), group_of(rows[0]))
    assert "3 rows." in question.text
    assert not OutboxRow.objects.exists()
    staff.post(act_url("replay"), group_of(rows[0]))
    assert OutboxRow.objects.count() == 3
    assert [row.pk for row in DeadRow.objects.all()] == [other.pk]
    assert tasks == [("mktg_integration.tasks.drain", (connection.pk,))]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.connection, entry.detail, entry.via) == (
        AuditAction.REPLAYED, connection, {"count": 3}, "admin",
    )  # fmt: skip


def test_of_a_reason_no_more_are_taken_than_were_shown(
    staff: Client, connection: Connection, add_dead: AddDead, tasks: list[Any]
) -> None:
    rows = [add_dead(connection, number) for number in range(3)]
    shown = dict(staff.get(act_url("discard"), group_of(rows[0])).context["hidden"])
    add_dead(connection, 4)

    again = staff.post(act_url("discard"), {**shown, "text": "an import gone wrong"})

    assert "There are 4 such rows now, not 3: look again." in again.text
    assert DeadRow.objects.count() == 4
    staff.post(act_url("discard"), {**dict(again.context["hidden"]), "text": "an import gone wrong"})
    assert not DeadRow.objects.exists()


def test_selected_rows_are_asked_for_first_too(staff: Client, connection: Connection, add_dead: AddDead) -> None:
    rejected, held = add_dead(connection, 1), add_dead(connection, 2, DeadKind.HELD)
    question = staff.post(LIST, {"action": "replay", "_selected_action": [rejected.pk, held.pk]})
    # What waits for a confirmation is not replayed by the way.
    assert question.context["count"] == 1
    assert not OutboxRow.objects.exists()
    staff.post(
        act_url("replay"), {name: [value] for name, value in question.context["hidden"]} | {"key": [rejected.pk]}
    )
    assert [row.pk for row in OutboxRow.objects.all()] == [rejected.pk]
    assert [row.pk for row in DeadRow.objects.all()] == [held.pk]


def test_confirming_lets_those_go_that_were_held(staff: Client, connection: Connection, add_dead: AddDead) -> None:
    rejected, held = add_dead(connection, 1), add_dead(connection, 2, DeadKind.HELD)
    staff.post(act_url("confirm"), {"key": [rejected.pk, held.pk]})
    assert [row.pk for row in OutboxRow.objects.all()] == [held.pk]
    connection.refresh_from_db()
    until = connection.state.leavers_confirmed_until
    assert until is not None
    assert until > timezone.now()


@pytest.mark.parametrize(("name", "action"), [("discard", AuditAction.DISCARDED), ("done", AuditAction.DONE_BY_HAND)])
def test_who_gives_up_or_did_it_by_hand_says_why(
    staff: Client, connection: Connection, add_dead: AddDead, name: str, action: AuditAction
) -> None:
    row = add_dead(connection, 1, DeadKind.NEEDS_PERSON, code="erase_by_hand", kind=Kind.ERASURE)
    assert "Please say it" in staff.post(act_url(name), {"key": [row.pk], "text": "  "}).text
    assert DeadRow.objects.exists()
    staff.post(act_url(name), {"key": [row.pk], "text": "deleted ada@example.com in Kit"})
    assert not DeadRow.objects.exists()
    assert not OutboxRow.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == (action, row.subject)
    assert "in Kit" in entry.detail["reason"]
    assert "ada@" not in entry.detail["reason"]


def test_only_what_needs_a_person_is_done_by_hand(staff: Client, connection: Connection, add_dead: AddDead) -> None:
    row = add_dead(connection, 1)
    staff.post(act_url("done"), {"key": [row.pk], "text": "done"})
    assert DeadRow.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("name", ["replay", "confirm", "done", "discard"])
def test_acts_need_their_permission(
    staff_with: StaffWith, connection: Connection, add_dead: AddDead, tasks: list[Any], name: str
) -> None:
    row = add_dead(connection, 1, DeadKind.HELD if name == "confirm" else DeadKind.NEEDS_PERSON)
    viewer = staff_with("view_deadrow", "sync_people")
    assert viewer.get(LIST).status_code == 200
    assert act_url(name) not in viewer.get(LIST).text
    assert viewer.get(act_url(name), group_of(row)).status_code == 403
    assert viewer.post(act_url(name), {"key": [row.pk], "text": "x"}).status_code == 403
    viewer.post(LIST, {"action": name, "_selected_action": [row.pk]})
    assert DeadRow.objects.filter(pk=row.pk).exists()
    assert not tasks
    allowed = staff_with("view_deadrow", "replay_rows")
    assert act_url(name) in allowed.get(LIST).text
    assert allowed.get(act_url(name), group_of(row)).status_code == 200


# The address of an erasure that has to be done by hand


@pytest.fixture
def erasure(connection: Connection, add_dead: AddDead) -> DeadRow:
    return add_dead(
        connection, 1, DeadKind.NEEDS_PERSON, code="erase_by_hand", kind=Kind.ERASURE,
        payload={"email": "ada@example.com"},
    )  # fmt: skip


def address_url(row: DeadRow) -> str:
    return reverse("admin:mktg_integration_deadrow_address", args=[row.pk])


def test_staff_who_erase_by_hand_see_the_address_and_are_written_down(staff_with: StaffWith, erasure: DeadRow) -> None:
    browser = staff_with("view_deadrow", "view_personal_data", "erase_people")
    page = browser.get(page_of(erasure))
    assert "ada@example.com" not in page.text
    assert address_url(erasure) in page.text
    shown = browser.post(address_url(erasure))
    assert "ada@example.com" in shown.text
    assert "no-store" in shown["Cache-Control"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == (AuditAction.VIEWED, erasure.subject)
    assert "ada" not in str(entry.detail)


@pytest.mark.parametrize("permissions", [("view_personal_data",), ("erase_people",), ("replay_rows",)])
def test_the_address_needs_both_permissions(
    staff_with: StaffWith, erasure: DeadRow, permissions: tuple[str, ...]
) -> None:
    browser = staff_with("view_deadrow", *permissions)
    assert address_url(erasure) not in browser.get(page_of(erasure)).text
    assert browser.post(address_url(erasure)).status_code == 403
    assert not AuditEntry.objects.exists()


def test_a_link_shows_no_address(staff: Client, erasure: DeadRow) -> None:
    assert staff.get(address_url(erasure)).status_code == 405


# The command


def test_the_command_is_written_down_too(connection: Connection, add_dead: AddDead) -> None:
    add_dead(connection, 1)
    held = add_dead(connection, 2, DeadKind.HELD)
    call_command("mktg_replay", "--json", stdout=StringIO())
    assert list(DeadRow.objects.values_list("pk", flat=True)) == [held.pk]
    call_command("mktg_replay", "--held", "--json", stdout=StringIO())
    told = [(entry.action, entry.via, entry.actor) for entry in AuditEntry.objects.order_by("pk")]
    assert told == [(AuditAction.REPLAYED, "command", None), (AuditAction.CONFIRMED, "command", None)]


def test_at_most_so_many_are_taken_at_once(
    staff: Client, connection: Connection, add_dead: AddDead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "AT_ONCE", 2)
    rows = [add_dead(connection, number) for number in range(3)]
    page = staff.post(act_url("replay"), group_of(rows[0]), follow=True)
    assert DeadRow.objects.count() == 1
    assert "There are more of them: do it once more." in page.text
