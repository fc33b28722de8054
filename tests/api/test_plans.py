"""No list reads a whole table: what the database plans for each, with many rows there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mktg_integration.models import AuditEntry, Connection, DeadRow, OutboxRow, Run
from tests.api.conftest import ROOT, Api

ROWS = 4000
BIG = [OutboxRow, DeadRow, AuditEntry, Run]

pytestmark = pytest.mark.skipif(database.vendor == "mysql", reason="its plans are told otherwise")


@pytest.fixture
def many(crm: Connection) -> Connection:
    """Another connection has many of everything, this one some."""
    other = Connection.objects.create(name="other", provider="conversion")
    now = timezone.now()
    for connection, count in ((other, ROWS), (crm, 200)):
        numbers = range(count)
        row: dict[str, Any] = {"connection": connection, "kind": "profile", "marked_at": now}
        OutboxRow.objects.bulk_create(
            OutboxRow(
                key=f"{connection.pk}:profile:user:{n}", subject=f"user:{n}", lane=n % 3, version=n, due_at=now, **row
            )
            for n in numbers
        )
        row |= {"reason": "refused", "died_at": now, "state": "rejected"}
        DeadRow.objects.bulk_create(
            DeadRow(key=f"{connection.pk}:profile:user:{n}", subject=f"user:{n}", code=f"code{n % 9}", **row)
            for n in numbers
        )
        AuditEntry.objects.bulk_create(
            AuditEntry(action="synced", connection=connection, subject=f"user:{n}") for n in numbers
        )
        Run.objects.bulk_create(Run(connection=connection, kind="push", started_at=now) for _ in numbers)
    with database.cursor() as cursor:
        cursor.execute("ANALYZE")
    return crm


def plans(statements: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """``(statement, plan)`` of each that reads a big table."""
    tables = [model._meta.db_table for model in BIG]
    for statement in statements:
        sql = statement["sql"]
        if sql.startswith("SELECT") and any(f'FROM "{table}"' in sql for table in tables):
            explain = "EXPLAIN " if database.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
            with database.cursor() as cursor:
                if database.vendor == "postgresql":
                    # So few rows it would rather read at once: left are those for which there is no other way.
                    cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute(explain + sql.replace("%", "%%"))
                yield sql, "\n".join(str(row[-1]) for row in cursor.fetchall())


def reads_all(sql: str, plan: str) -> bool:
    tables = "|".join(model._meta.db_table for model in BIG)
    if database.vendor == "postgresql":
        return re.search(rf"Seq Scan on ({tables})\b", plan) is not None
    # SQLite walks a table in the order of its numbers as well, and stops at the page's end.
    walks_to_the_end = "LIMIT" not in sql or "WHERE" in sql or "TEMP B-TREE" in plan
    return walks_to_the_end and re.search(rf"SCAN ({tables})$", plan, re.MULTILINE) is not None


PAGES = [
    "outbox/",
    "outbox/?connection={pk}",
    "outbox/?connection={pk}&lane=0",
    "outbox/?connection={pk}&subject=user:7",
    "rejected/",
    "rejected/?connection={pk}",
    "rejected/?connection={pk}&state=rejected&code=code3",
    "rejected/?connection={pk}&subject=user:7",
    "runs/",
    "runs/?connection={pk}",
    "audit/",
    "audit/?connection={pk}",
    "audit/?subject=user:7",
]


def test_a_page_is_as_much_as_is_read(api: Api, many: Connection) -> None:
    for query in PAGES:
        with CaptureQueriesContext(database) as captured:
            page = api.client.get(ROOT + query.format(pk=many.pk)).json()
            if isinstance(page, dict) and page.get("next"):
                assert api.client.get(page["next"]).json()["results"]
        found = list(plans(captured.captured_queries))
        assert found, query
        assert [(query, sql, plan) for sql, plan in found if reads_all(sql, plan)] == []


def test_the_outbox_of_one_connection_is_walked_without_sorting_it(api: Api, many: Connection) -> None:
    with CaptureQueriesContext(database) as captured:
        api.get("outbox/", connection=many.pk)
    [(_, plan)] = plans(captured.captured_queries)
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def test_the_statements_of_a_page_do_not_grow_with_its_rows(api: Api, many: Connection) -> None:
    for path in ("connections/", "runs/", "outbox/", "rejected/", "audit/"):
        counts = []
        for size in (1, 50):
            with CaptureQueriesContext(database) as captured:
                api.get(path, page_size=size)
            counts.append(len(captured))
        assert counts[0] == counts[1], path
