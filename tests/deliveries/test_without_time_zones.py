"""A site with ``USE_TZ = False``: its moments have no zone, and nothing stumbles over that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.insight.figures import series
from mktg_integration.insight.trace import trace
from mktg_integration.measuring import measure
from mktg_integration.models import Connection, Lead, Run, RunKind
from mktg_integration.moments import local
from mktg_integration.people import lead_subject


@pytest.fixture(autouse=True)
def no_zones(settings: Any, db: None) -> None:
    settings.USE_TZ = False


def test_a_moment_is_the_sites_own() -> None:
    assert local(datetime(2026, 1, 2, 3, 4)) == datetime(2026, 1, 2, 3, 4)


def test_a_day_is_measured_and_its_charts_are_shown(connection: Connection, staff: Client) -> None:
    now = timezone.now()
    Run.objects.create(connection=connection, kind=RunKind.PUSH, started_at=now, finished_at=now, counts={"done": 5})
    measure(connection)
    measure(connection, now=now)
    assert [(row.day, row.sent) for row in series(connection, 30)] == [(now.date(), 5)]
    assert staff.get(reverse("admin:mktg_integration_dailyfigures_changelist")).status_code == 200


def test_a_persons_pages(connection: Connection, staff: Client) -> None:
    shortcuts.subscribe("ada@example.com", who="the person", how="a form")
    subject = lead_subject(Lead.objects.get().pk)
    assert trace(subject, connection).steps
    page = "admin:mktg_integration_contact_person"
    assert staff.get(reverse(page, args=[subject])).status_code == 200
    assert staff.get(reverse(f"{page}_act", args=[subject, "subscribe"])).status_code == 200


def test_a_list_as_csv(connection: Connection, staff: Client) -> None:
    now = timezone.now()
    run = Run.objects.create(connection=connection, kind=RunKind.PUSH, started_at=now, finished_at=now)
    data = {"action": "export_csv", "_selected_action": [run.pk], "select_across": "0"}
    answer = staff.post(reverse("admin:mktg_integration_run_changelist"), data)
    assert now.date().isoformat() in answer["Content-Disposition"]
