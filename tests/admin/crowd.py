"""Tables as full as a large site's, filled by the database itself: for tests of plans, and for benchmarks."""

from __future__ import annotations

# ruff: noqa: S608 (what is formatted into SQL here are this module's own words and quoted names of columns)
from typing import Any

from django.db import connection as database
from django.db import models
from django.utils import timezone

from mktg_integration.models import (
    Company,
    Connection,
    Contact,
    DeadRow,
    ExplicitActs,
    Form,
    FormMember,
    Lead,
    OptOut,
    OutboxRow,
    Purchase,
    Sequence,
    SequenceMember,
    SyncState,
    Tag,
    Tagging,
)

LARGE: tuple[type[models.Model], ...] = (
    Company, Contact, DeadRow, ExplicitActs, FormMember, Lead, OptOut, OutboxRow, Purchase, SequenceMember, SyncState,
    Tagging,
)  # fmt: skip
"""What grows with the number of people."""
ONE_IN_SMALL = 50
"""So many times more people are known over the second connection than over the first."""


def fill(small: Connection, large: Connection, people: int) -> None:
    """Everybody has a row in every large table, all of them one tag, form and sequence; one in a hundred a rare tag."""
    now = timezone.now()
    for model, name in ((Tag, "Everybody"), (Form, "Sign up"), (Sequence, "Welcome")):
        row = model(key=f"{large.pk}:all", connection=large, remote_id="all", name=name, seen_at=now)
        row.save(force_insert=True)
    Tag(key=f"{large.pk}:rare", connection=large, remote_id="rare", name="Rare", name_key="rare", seen_at=now).save(
        force_insert=True
    )
    which = f"CASE WHEN i % {ONE_IN_SMALL} = 0 THEN {small.pk} ELSE {large.pk} END"
    key = _text(which, "':'", "i")
    address = _text("'person'", "i", "'@example.com'")
    subject = _text("'user:'", "i")
    mirrored = {"connection_id": which, "remote_id": _text("i"), "key": key, "seen_at": _moment()}
    status = "CASE WHEN i % 1000 = 7 THEN 'bounced' WHEN i % 10 = 0 THEN 'unsubscribed' ELSE 'active' END"
    _insert(
        Contact, people, **mirrored, email=address, email_key=address, status=status, subject=subject,
        first_name=_text("'Name'", "i"),
    )  # fmt: skip
    _insert(Company, people, **mirrored, name=_text("'Company'", "i"))
    _insert(
        Purchase, people, **mirrored, email=address, email_key=address, transaction_id=_text("'t-'", "i"),
        currency="'EUR'", status="'paid'", transaction_time=_moment(),
    )  # fmt: skip
    members = {"connection_id": str(large.pk), "seen_at": _moment(), "contact_id": key, "remote_id": "''"}
    links: list[tuple[type[models.Model], str]] = [
        (Tagging, "tag_id"), (FormMember, "form_id"), (SequenceMember, "sequence_id"),
    ]  # fmt: skip
    for link, column in links:
        _insert(link, people, **members, key=_text(key, "':all'"), **{column: f"'{large.pk}:all'"})
    rare = _text(str(large.pk), "':'", "(i * 100 - 1)")
    _insert(
        Tagging,
        people // 100,
        **members | {"contact_id": rare},
        key=_text(rare, "':rare'"),
        tag_id=f"'{large.pk}:rare'",
    )
    _insert(
        SyncState, people, key=_text(which, "':'", subject), connection_id=which, subject=subject, email_key=address,
        contact_id=key, sent_at=_moment(),
    )  # fmt: skip
    _insert(ExplicitActs, people, key=_text("'*:'", subject), subject=subject, consent="'granted'")
    _insert(Lead, people, email=address, email_key=address, created_at=_moment())
    _insert(
        OptOut,
        people,
        key=_text("'*:'", "i"),
        address_hash=_text("i"),
        scope="'*'",
        kind="'unsubscribed'",
        at=_moment(),
    )
    analyze()


def queue(connection: Connection, people: int) -> None:
    """Everybody waits to be sent as a backfill, and one in ten was rejected, for four reasons."""
    subject = _text("'user:'", "i")
    row = {
        "key": _text(f"'{connection.pk}:profile:'", subject),
        "connection_id": str(connection.pk),
        "kind": "'profile'",
    }
    row |= {"subject": subject, "lane": "2", "marked_at": _moment()}
    _insert(OutboxRow, people, **row, version="i", due_at=_moment())
    code = (
        "CASE i % 4 WHEN 0 THEN 'invalid_profile' WHEN 1 THEN 'http_422' WHEN 2 THEN 'mapping_failed' ELSE 'taken' END"
    )
    _insert(DeadRow, people // 10, **row, state="'rejected'", code=code, reason="'odd'", died_at=_moment())
    analyze()


def analyze() -> None:
    """Have the database look at what there is, as it does by itself after a while."""
    with database.cursor() as cursor:
        for table in (database.ops.quote_name(one._meta.db_table) for one in LARGE):
            cursor.execute(f"ANALYZE {'TABLE ' if database.vendor == 'mysql' else ''}{table}")
            cursor.fetchall() if cursor.description else None


def _insert(model: type[models.Model], rows: int, **given: str) -> None:
    """``given`` are expressions in ``i``, from 1; all other columns get their defaults."""
    columns: dict[str, str] = {}
    for field in model._meta.local_concrete_fields:
        column = str(field.column)
        if column in given or not isinstance(field, models.AutoField):
            columns[column] = given.get(column) or _default(field)
    quote = database.ops.quote_name
    names = ", ".join(quote(name) for name in columns)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
    statement = (
        f"INSERT INTO {quote(model._meta.db_table)} ({names}) {numbers} SELECT {', '.join(columns.values())} FROM n"
    )
    with database.cursor() as cursor:
        cursor.execute(statement)


def _default(field: Any) -> str:
    if field.null:
        return f"CAST(NULL AS {field.cast_db_type(database)})" if database.vendor == "postgresql" else "NULL"
    if isinstance(field, models.JSONField):
        empty = "[]" if field.default is list else "{}"
        return f"CAST('{empty}' AS jsonb)" if database.vendor == "postgresql" else f"'{empty}'"
    if isinstance(field, models.BooleanField):
        return "FALSE" if database.vendor == "postgresql" else "0"
    if isinstance(field, models.IntegerField | models.DecimalField):
        return "0"
    return "''"


def _text(*parts: str) -> str:
    if database.vendor == "mysql":
        return f"CONCAT({', '.join(parts)})"
    return "(" + " || ".join(f"CAST({part} AS text)" for part in parts) + ")"


def _moment() -> str:
    """A different one for each, in the past, in the same order as the people."""
    if database.vendor == "postgresql":
        return "(TIMESTAMP WITH TIME ZONE '2026-01-01 00:00:00+00' + i * INTERVAL '1 second')"
    if database.vendor == "mysql":
        return "('2026-01-01 00:00:00' + INTERVAL i SECOND)"
    return "STRFTIME('%Y-%m-%d %H:%M:%f', '2026-01-01', i || ' seconds')"
