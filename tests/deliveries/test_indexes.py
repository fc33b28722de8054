"""Lists that grow with the number of people walk along an index, whatever is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration.models import Connection, DeadKind, InboxRow

HELD = {"connection__id__exact": "{pk}", "state__exact": "held"}


@pytest.mark.skipif(database.vendor != "sqlite", reason="SQLite plans the same for few rows as for many")
@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("deadrow", {}),
        ("deadrow", {"connection__id__exact": "{pk}"}),
        ("deadrow", HELD),
        ("deadrow", {**HELD, "code__exact": "mass_unsubscribe"}),
        ("deadrow", {"q": "user:1"}),
        ("outboxrow", {}),
        ("outboxrow", {"connection__id__exact": "{pk}"}),
        ("outboxrow", {"connection__id__exact": "{pk}", "lane__exact": "1"}),
        ("outboxrow", {"q": "user:1"}),
        ("inboxrow", {}),
        ("inboxrow", {"state__exact": "pending"}),
        ("inboxrow", {"connection__id__exact": "{pk}"}),
    ],
)
def test_a_list_walks_an_index(
    staff: Client,
    connection: Connection,
    add_dead: Callable[..., Any],
    add_row: Callable[..., Any],
    model: str,
    asked: dict[str, str],
) -> None:
    Connection.objects.create(name="other", provider="kit")
    add_dead(connection, 1, DeadKind.HELD, code="mass_unsubscribe")
    add_row(connection, 1)
    InboxRow.objects.create(
        key="k", connection=connection, kind="webhook", received_at=timezone.now(), due_at=timezone.now()
    )
    query = {name: value.format(pk=connection.pk) for name, value in asked.items()}
    with CaptureQueriesContext(database) as captured:
        page = staff.get(reverse(f"admin:mktg_integration_{model}_changelist"), query)
    assert page.context["cl"].result_count == 1
    table = f'FROM "mktg_integration_{model}"'
    # The look at which connections have such rows at all is a probe of the index for each of them.
    probe = 'FROM "mktg_integration_connection"'
    statements = [entry["sql"] for entry in captured if table in entry["sql"] and probe not in entry["sql"]]
    assert statements
    with database.cursor() as cursor:
        for statement in statements:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = str(
                [row[3] for row in cursor.fetchall() if f"mktg_integration_{model}" in row[3] or "TEMP" in row[3]]
            )
            assert "USING" in plan, f"{statement}: {plan}"
            if "q" not in asked:
                assert "TEMP B-TREE" not in plan, f"{statement}: {plan}"
