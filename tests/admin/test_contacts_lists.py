"""Lists of people stay fast: no statement of theirs reads a whole table, whatever is filtered, searched or ordered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection as database
from django.test import Client
from django.urls import reverse

from mktg_integration.admin.base import BoundedPaginator
from mktg_integration.models import (
    Company,
    Connection,
    Contact,
    DeadRow,
    ExplicitActs,
    Lead,
    OptOut,
    OutboxRow,
    Purchase,
    SyncState,
)
from tests.admin.crowd import LARGE, fill, queue

PEOPLE = 20_000
COUNTED = 300
"""In place of the paginator's bound, so that it is well below the number of people."""
MOST_ROWS = 1000
"""That a statement of a page may look at."""
MEMBERSHIPS = (
    "taggings__tag__key__exact", "form_members__form__key__exact", "sequence_members__sequence__key__exact",
)  # fmt: skip
INSTRUCTIONS = 1000
SEARCHES = {
    Contact: ["PERSON7@example.com", "user:7", "7", "lead:7", "nothing"],
    SyncState: ["person7@example.com", "user:7", "nothing"],
    ExplicitActs: ["user:7", "nothing"],
    Lead: ["person7@example.com", "nothing@example.com"],
    OptOut: ["person7@example.com"],
    Purchase: ["person7@example.com", "t-7", "7"],
    Company: ["7", "nothing"],
    OutboxRow: ["user:7", "nothing"],
    DeadRow: ["user:7", "nothing"],
}

Statement = tuple[str, Any]


@pytest.fixture
def crowd(db: None, monkeypatch: pytest.MonkeyPatch) -> Connection:
    """Many people, nearly all of them at the second connection, which is returned."""
    if database.vendor == "mysql":
        pytest.skip("plans are read on PostgreSQL and SQLite")
    monkeypatch.setattr(BoundedPaginator, "LIMIT", COUNTED)
    small = Connection.objects.create(name="small", provider="kit")
    large = Connection.objects.create(name="large", provider="kit")
    fill(small, large, PEOPLE)
    queue(large, PEOPLE)
    return large


@pytest.fixture
def statements() -> Iterator[list[Statement]]:
    """The statements that were run, with their parameters."""
    noted: list[Statement] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        noted.append((sql, params))
        return execute(sql, params, many, context)

    with database.execute_wrapper(note):
        yield noted


def address(model: type[Any]) -> str:
    return reverse(f"admin:mktg_integration_{model._meta.model_name}_changelist")


def large_tables(sql: str) -> set[str]:
    return {model._meta.db_table for model in LARGE if f'"{model._meta.db_table}"' in sql}


def faults(statement: Statement) -> list[str]:
    """What is wrong with the way in which the database carries the statement out."""
    sql, params = statement
    if not sql.startswith("SELECT") or not large_tables(sql):
        return []
    if database.vendor == "sqlite":
        return list(_sqlite_faults(sql, params))
    with database.cursor() as cursor:
        # A table so small the planner may well read whole; what is asked here is whether it has another way.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
        told = cursor.fetchone()[0]
        cursor.execute("SET LOCAL enable_seqscan = on")
    plan = (json.loads(told) if isinstance(told, str) else told)[0]["Plan"]
    return [f"{found}\n{sql}" for found in _postgresql_faults(plan)]


def _sqlite_faults(sql: str, params: Any) -> Iterator[str]:
    done: list[None] = []
    with database.cursor() as cursor:
        # Called after each so many instructions of its machine: reading a row takes at least three.
        database.connection.set_progress_handler(lambda: done.append(None), INSTRUCTIONS)
        try:
            cursor.execute(sql, params)
            cursor.fetchall()
        finally:
            database.connection.set_progress_handler(None, 0)
        if len(done) * INSTRUCTIONS > 3 * PEOPLE // 2:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            plan = [row[3] for row in cursor.fetchall()]
            yield f"{len(done) * INSTRUCTIONS} instructions: {plan}\n{sql}"


def _postgresql_faults(node: dict[str, Any]) -> Iterator[str]:
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    is_large = node.get("Relation Name") in {model._meta.db_table for model in LARGE}
    if is_large and node["Node Type"] == "Seq Scan":
        yield f"reads all of {node['Relation Name']}"
    if rows * node["Actual Loops"] > MOST_ROWS:
        yield f"{node['Node Type']} looks at {rows * node['Actual Loops']} rows"
    for part in node.get("Plans", ()):
        yield from _postgresql_faults(part)


def queries_offered(page: Any) -> set[str]:
    """The query string of each filter that the page offers."""
    changes = page.context["cl"]
    return {choice["query_string"] for spec in changes.filter_specs for choice in spec.choices(changes)}


def test_each_way_to_ask_for_people_follows_an_index(
    crowd: Connection, staff: Client, statements: list[Statement]
) -> None:
    asked: set[str] = set()
    wrong: dict[str, list[str]] = {}

    def ask(model: type[Any], query: str) -> Any:
        asked.add(f"{model.__name__} {query}")
        statements.clear()
        page = staff.get(address(model) + query)
        assert page.status_code == 200, query
        mine = list(statements)
        found = [fault for statement in mine for fault in faults(statement)]
        if found:
            wrong[f"{model.__name__} {query}"] = found
        return page

    for model, terms in SEARCHES.items():
        first = ask(model, "")
        offered = queries_offered(first)
        for query in sorted(offered):
            # Filters that only come with another one are found on its page.
            offered |= queries_offered(ask(model, query))
        columns = len(admin.site._registry[model].list_display)
        pages = ["?p=2", f"?p={COUNTED // 50}", *(f"?o={number}" for number in range(1, columns + 1))]
        for query in sorted(offered | set(pages) | {f"?q={term}" for term in terms}):
            if f"{model.__name__} {query}" not in asked:
                ask(model, query)
        if any("connection" in query for query in offered):
            ask(model, f"?q={terms[0]}&connection__id__exact={crowd.pk}")
    for name in MEMBERSHIPS:
        ask(Contact, f"?{name}={crowd.pk}:all")
        ask(Contact, f"?{name}={crowd.pk}:all&p=3")
    ask(Contact, f"?{MEMBERSHIPS[0]}={crowd.pk}:rare")

    assert wrong == {}
    assert f"Contact ?connection__id__exact={crowd.pk}&status__exact=bounced" in asked
    assert len(asked) > 50


def test_a_plan_that_reads_the_table_is_seen(crowd: Connection) -> None:
    """What the test above looks for is there where it should be."""
    contacts = str(Contact.objects.order_by("first_name").query), None
    assert faults(contacts)
    assert faults(('SELECT * FROM "mktg_integration_contact"', None))


@pytest.mark.parametrize(
    "query", ["first_name__contains=a", "status=active", "email__icontains=a", "raw__id=1", "taggings__tag__name=VIP"]
)
def test_an_address_can_name_no_other_filter(staff: Client, query: str) -> None:
    assert staff.get(f"{address(Contact)}?{query}").status_code == 400


def test_members_of_a_tag_are_found_and_named(crowd: Connection, staff: Client) -> None:
    page = staff.get(f"{address(Contact)}?taggings__tag__key__exact={crowd.pk}:rare")
    assert page.context["cl"].result_count == PEOPLE // 100
    assert "Rare" in page.text


def test_a_status_is_offered_once_the_connection_is_chosen(staff: Client) -> None:
    one = Connection.objects.create(name="one", provider="kit")
    assert "?status__exact=active" in queries_offered(staff.get(address(Contact)))
    Connection.objects.create(name="two", provider="kit")
    assert not any("status" in query for query in queries_offered(staff.get(address(Contact))))
    chosen = staff.get(f"{address(Contact)}?connection__id__exact={one.pk}")
    assert any("status__exact=active" in query for query in queries_offered(chosen))
