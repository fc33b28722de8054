"""The figures of each day, their charts, and the signs of life of the workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration import tasks as entry_points
from mktg_integration.admin.charts import Series, days_until, draw
from mktg_integration.background import PERIODIC
from mktg_integration.encryption import address_hash
from mktg_integration.heartbeat import beat, last_beat
from mktg_integration.insight.figures import series
from mktg_integration.measuring import begins, measure
from mktg_integration.models import (
    AccountSnapshot,
    Connection,
    Contact,
    DailyFigures,
    OptOut,
    Run,
    RunKind,
    ServiceAccount,
)

PAGE = reverse("admin:mktg_integration_dailyfigures_changelist")


def add_contact(connection: Connection, number: int, *, status: str = "active", at: datetime | None = None) -> None:
    Contact.objects.create(
        key=f"{connection.pk}:{number}", connection=connection, remote_id=str(number), status=status,
        email=f"p{number}@example.com", email_key=f"p{number}@example.com", seen_at=timezone.now(),
        remote_created_at=at or timezone.now(),
    )  # fmt: skip


def add_run(connection: Connection, at: datetime, **counts: int) -> None:
    Run.objects.create(connection=connection, kind=RunKind.PUSH, started_at=at, finished_at=at, counts=counts)


# Measuring


def test_a_day_is_measured(connection: Connection, add_row: Callable[..., Any]) -> None:
    now = timezone.now()
    for number in range(3):
        add_contact(connection, number)
    add_contact(connection, 9, status="unsubscribed", at=now - timedelta(days=400))
    add_row(connection, 1)
    add_run(connection, now, done=5, rejected=2, postponed=1)
    add_run(connection, now, done=4)
    for source in (connection.name, "site", "another"):
        OptOut.objects.create(
            key=f"*:{source}", address_hash=address_hash(f"{source}@example.com"), scope="*", kind="unsubscribed",
            source=source, at=now,
        )  # fmt: skip
    measure(connection)
    (row,) = series(connection, 30)
    assert (row.day, row.active, row.joined, row.unsubscribed) == (timezone.localdate(), 3, 3, 2)
    assert (row.sent, row.rejected, row.postponed, row.outbox) == (9, 2, 1, 1)


def test_the_outbox_is_told_at_its_fullest(connection: Connection, add_row: Callable[..., Any]) -> None:
    rows = [add_row(connection, number) for number in range(3)]
    measure(connection)
    for row in rows:
        row.delete()
    measure(connection)
    assert DailyFigures.objects.get().outbox == 3


def test_the_first_measuring_looks_back(connection: Connection) -> None:
    today = timezone.localdate()
    ago = begins(today - timedelta(days=20)) + timedelta(hours=3)
    add_run(connection, ago, done=7)
    add_contact(connection, 1, at=ago)
    account = ServiceAccount.objects.create(
        key=f"{connection.pk}:a", connection=connection, remote_id="a", name="A", seen_at=ago
    )
    AccountSnapshot.objects.create(
        key=f"{connection.pk}:s", connection=connection, remote_id="s", account=account, day=ago.date(), days=1,
        subscribers=120, new_subscribers=1, cancellations=0, net_new_subscribers=1, emails_sent=0, emails_opened=0,
        emails_clicked=0, seen_at=ago,
    )  # fmt: skip
    measure(connection)
    first = series(connection, 30)[0]
    assert (first.day, first.sent, first.joined, first.active) == (today - timedelta(days=20), 7, 1, 120)


def test_a_day_that_ended_after_its_last_measuring_is_completed(connection: Connection) -> None:
    yesterday = begins(timezone.localdate() - timedelta(days=1))
    measure(connection, now=yesterday + timedelta(hours=22))
    add_run(connection, yesterday + timedelta(hours=23), done=7)
    measure(connection)
    assert [row.sent for row in series(connection, 2)] == [7, 0]


def test_measuring_again_costs_the_same_and_changes_nothing(connection: Connection) -> None:
    add_run(connection, timezone.now(), done=1)
    measure(connection)
    before = list(DailyFigures.objects.values())
    with CaptureQueriesContext(database) as captured:
        measure(connection)
    assert list(DailyFigures.objects.values()) == before
    assert len(captured) <= 8


def test_the_schedule_measures_and_says_that_it_lives(connection: Connection, tasks: list[Any]) -> None:
    assert "mktg_integration.tasks.measure_all" in [task.path for task in PERIODIC]
    entry_points.measure_all()
    assert tasks == [("mktg_integration.tasks.measure", (connection.pk,))]
    entry_points.measure(connection.pk)
    assert DailyFigures.objects.filter(connection=connection).exists()
    assert last_beat() is None
    entry_points.drain_all()
    seen = last_beat()
    assert seen is not None
    beat()
    again = last_beat()
    assert again is not None
    assert again >= seen


# The page


@pytest.fixture
def measured(connection: Connection) -> Connection:
    today = timezone.localdate()
    for n in range(40):
        day = today - timedelta(days=n)
        DailyFigures.objects.create(
            key=f"{connection.pk}:{day}", connection=connection, day=day, active=1000 - n, joined=n, unsubscribed=2,
            sent=10, rejected=n % 3, postponed=1, outbox=0,
        )  # fmt: skip
    return connection


def test_the_charts_are_drawn_with_a_table_beside_each(staff: Client, measured: Connection) -> None:
    page = staff.get(PAGE).text
    content = page[page.index('id="content-main"') :]
    assert content.count('role="img"') == 3
    assert "The outbox was empty whenever it was measured." in content
    assert content.count("<table>") == 4
    # Neither a script of ours nor a style that a strict policy would refuse.
    assert "style=" not in content[: content.index("</details>")]
    for name in ("subscribers", "growth", "pushes"):
        assert f'aria-labelledby="mktg-{name}-title mktg-{name}-desc"' in content
    start = content.index('<svg class="mktg-svg"')
    drawn = ElementTree.fromstring(content[start : content.index("</svg>", start) + 6])  # noqa: S314 (our own page)
    assert drawn.find("title") is not None


@pytest.mark.parametrize(("asked", "rows"), [("30", 30), ("90", 40), ("365", 40), ("nonsense", 30)])
def test_the_time_may_be_chosen(staff: Client, measured: Connection, asked: str, rows: int) -> None:
    charts = staff.get(PAGE, {"days": asked, "connection": str(measured.pk)}).context["charts"]
    assert len(charts[0].rows) == rows


def test_an_empty_page_says_why(staff: Client, tasks: list[Any]) -> None:
    assert "There is no connection yet" in staff.get(PAGE).text
    Connection.objects.create(name="crm", provider="conversion")
    assert "no worker has run" in staff.get(PAGE).text
    beat()
    assert "measured once an hour" in staff.get(PAGE).text
    assert "no worker has run" not in staff.get(PAGE).text


def test_the_page_needs_its_permission(staff_with: Callable[..., Client], connection: Connection) -> None:
    assert staff_with("view_deadrow").get(PAGE).status_code == 403
    assert staff_with("view_dailyfigures").get(PAGE).status_code == 200


def test_the_page_reads_no_more_for_more_days(staff: Client, measured: Connection) -> None:
    with CaptureQueriesContext(database) as captured:
        staff.get(PAGE, {"days": "365"})
    assert len([query for query in captured if "mktg_integration" in query["sql"]]) <= 3


# Drawing


def test_days_that_are_not_known_break_the_line() -> None:
    days = days_until(date(2026, 3, 5), 5)
    chart = draw("n", "t", "d", days, [Series(label="a", values=[1, 2, None, 4, None])], empty="nothing")
    assert len(chart.lines[0].lines) == 1
    assert len(chart.lines[0].dots) == 1
    assert [day for day, _ in chart.rows] == [days[3], days[1], days[0]]


@pytest.mark.parametrize(
    ("most", "marks"), [(0, [0, 1]), (3, [0, 1, 2, 3]), (37, [0, 10, 20, 30, 40]), (1_000_000, None)]
)
def test_the_marks_reach_over_the_highest_number(most: int, marks: list[int] | None) -> None:
    chart = draw("n", "t", "d", days_until(date(2026, 3, 5), 2), [Series(label="a", values=[0, most])], empty="")
    found = [mark.value for mark in chart.across]
    assert marks is None or found == marks
    assert isinstance(found[-1], int)
    assert found[-1] >= most
    assert len(found) <= 6
