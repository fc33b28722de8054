"""Lists as CSV: bounded in memory, harmless in a spreadsheet, and without what the visitor may not see."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from mktg_integration.models import AuditAction, AuditEntry, Connection, Contact, Run, RunKind
from mktg_integration.operations import exporting
from mktg_integration.operations.exporting import cell


def export(browser: Client, model: str, *keys: Any, across: bool = False) -> list[dict[str, str]]:
    data = {"action": "export_csv", "_selected_action": list(keys), "select_across": "1" if across else "0"}
    answer = browser.post(reverse(f"admin:mktg_integration_{model}_changelist"), data)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def contacts(connection: Connection) -> list[Contact]:
    return [
        Contact.objects.create(
            key=f"{connection.pk}:{n}", connection=connection, remote_id=str(n), email=f"p{n}@example.com",
            email_key=f"p{n}@example.com", first_name="=1+1", status="active", seen_at=timezone.now(), raw={},
        )
        for n in range(5)
    ]  # fmt: skip


def test_selected_rows_are_exported_and_it_is_written_down(staff: Client, contacts: list[Contact]) -> None:
    rows = export(staff, "contact", contacts[1].pk)
    assert [(row["email"], row["connection"], row["first_name"]) for row in rows] == [
        ("p1@example.com", "crm", "'=1+1")
    ]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.detail) == (AuditAction.EXPORTED, {"table": "contact", "personal": True})


def test_all_rows_of_the_list_are_exported_page_by_page(
    staff: Client, contacts: list[Contact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    with CaptureQueriesContext(database) as captured:
        rows = export(staff, "contact", contacts[0].pk, across=True)
    assert len(rows) == 5
    reading = [query["sql"] for query in captured if '"remote_created_at"' in query["sql"] or "LIMIT 2" in query["sql"]]
    assert reading
    assert all("LIMIT" in sql for sql in reading)


def test_personal_columns_need_their_permission(staff_with: Callable[..., Client], contacts: list[Contact]) -> None:
    rows = export(staff_with("view_contact"), "contact", contacts[0].pk)
    assert "email" not in rows[0]
    assert "first_name" not in rows[0]
    assert "p0@" not in str(rows)
    assert AuditEntry.objects.get().detail["personal"] is False
    assert "email" in export(staff_with("view_contact", "view_personal_data"), "contact", contacts[0].pk)[0]


def test_the_other_tables(staff: Client, connection: Connection, add_dead: Callable[..., Any]) -> None:
    dead = add_dead(connection, 1, payload={"email": "ada@example.com"})
    run = Run.objects.create(
        connection=connection, kind=RunKind.PUSH, started_at=timezone.now(), counts={"done": 3}, detail="-2 of 3"
    )
    (row,) = export(staff, "deadrow", dead.pk)
    assert row["code"] == "invalid_email"
    assert "ada@" not in str(row)
    (told,) = export(staff, "run", run.pk)
    assert (told["counts"], told["detail"]) == ('{"done": 3}', "'-2 of 3")
    entry = AuditEntry.objects.order_by("pk")[0]
    (audited,) = export(staff, "auditentry", entry.pk)
    assert (audited["action"], audited["actor_name"]) == ("exported", "root")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "  =1",
        "\ufeff=1",
        "a;=1",
        "a\n=1",
    ],
)
def test_no_cell_begins_a_formula(text: str) -> None:
    assert starts_formula(text)
    assert not starts_formula(cell(text))


@pytest.mark.parametrize("text", ["", "plain", "ada@example.com", "1 + 1", "2026-11-21", "a - b", "it's"])
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


@given(st.text(alphabet="=+-@＝＋－＠\t\r\n ;,'\"a\ufeff\u200b", max_size=8))
def test_whatever_is_in_it_no_cell_begins_a_formula(text: str) -> None:
    assert not starts_formula(cell(text))


def starts_formula(text: str) -> bool:
    """As a spreadsheet sees it: any cell, where it may take a semicolon, a tab or a line's end for the next one."""
    if text[:1] in ("\t", "\r", "\n"):
        return True
    pieces = [text]
    for separator in ";\t\r\n":
        pieces = [part for piece in pieces for part in piece.split(separator)]
    return any(
        piece.strip(" \ufeff\u200b")[:1] in tuple("=+-@＝＋－＠") for piece in pieces if piece.strip(" \ufeff\u200b")
    )


def test_numbers_and_times_stay_numbers_and_times() -> None:
    assert (cell(-5), cell(True), cell(None)) == ("-5", "True", "")
