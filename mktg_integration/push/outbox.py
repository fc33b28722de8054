"""Marking: that something has still to be sent, in one statement however many connections there are.

A mark is one INSERT … SELECT from the connections that are pushed to. A row that is there already only gets a new
version and, where the new mark is more urgent, its lane: when it is due and how often it was tried stay as they are.
"""

# ruff: noqa: S608 (only constants and quoted names of tables become part of a statement)

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from django.db import connections as databases
from django.db import router

from mktg_integration import sql
from mktg_integration.models import Connection, Kind, Lane, OutboxRow

PAGE = 1000
"""The most people that one statement marks."""

_KEY_LENGTH = 64
_SUBJECT_LENGTH = 80
_OCCURRENCES = frozenset({Kind.EVENT, Kind.PURCHASE, Kind.ERASURE})

_compiled: dict[tuple[str, str], str] = {}


def alias() -> str:
    """The database that holds the outbox."""
    return router.db_for_write(OutboxRow)


# People


def user_subject(user: Any) -> str:
    """``user:<pk>`` of a user or of a user's primary key."""
    return f"user:{getattr(user, 'pk', user)}"


def lead_subject(lead: Any) -> str:
    """``lead:<id>`` of a lead or of a lead's id."""
    return f"lead:{getattr(lead, 'pk', lead)}"


def parse_subject(subject: str) -> tuple[Literal["user", "lead"], str]:
    """``("user" | "lead", primary key as text)``. Raises ``ValueError``."""
    kind, separator, pk = subject.partition(":")
    if not separator or not pk or kind not in ("user", "lead"):
        raise ValueError(f"no subject: {kind!r} is neither user nor lead, or the key is missing")
    return ("user" if kind == "user" else "lead"), pk


# Marks


def new_version() -> int:
    """A random positive 63-bit number: never used before, also after a row was deleted and inserted again."""
    return random.getrandbits(63) or 1


def mark(subjects: Sequence[str], *, lane: Lane = Lane.LIVE, connections: Sequence[int] | None = None) -> None:
    """Mark these people as to be sent, at every connection that is pushed to or at those of the given ids.

    One statement for every ``PAGE`` people, in the order of their keys so that two marks never wait for each other in
    a circle. Raises ``ValueError`` for a subject longer than its column, and ``DatabaseError``; repeats by itself
    where the database gave way and the caller has no transaction.
    """
    people = sorted(set(subjects))
    if any(len(subject) > _SUBJECT_LENGTH for subject in people):
        raise ValueError(f"a subject is longer than {_SUBJECT_LENGTH} characters: such a primary key cannot be marked")
    for page in _pages(people):
        statement = _statement("one" if len(page) == 1 else "many")
        version = new_version()
        parameters = [Kind.PROFILE.value, lane.value, "", version, page[0] if len(page) == 1 else json.dumps(page)]
        _execute(statement, parameters, [version, lane.value, lane.value], connections)


def add_occurrence(
    kind: Kind,
    subject: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    lane: Lane = Lane.LIVE,
    connections: Sequence[int] | None = None,
) -> None:
    """Queue something that happened once (``EVENT``, ``PURCHASE``, ``ERASURE``), due at once.

    ``key`` is the idempotency key: the same occurrence queued again, while it waits, changes nothing. The row's key
    ends with it, or with its SHA-256 where it is longer than 64 characters or holds a colon. The payload is stored
    encrypted. Raises ``ValueError`` for a profile or an empty key, ``ConfigurationError`` without encryption
    keys, ``DatabaseError``.
    """
    if kind not in _OCCURRENCES:
        raise ValueError("a profile is marked with mark(), not added as an occurrence")
    if not key:
        raise ValueError("an occurrence needs an idempotency key")
    if len(key) > _KEY_LENGTH or ":" in key:
        key = hashlib.sha256(key.encode()).hexdigest()
    secret = OutboxRow._meta.get_field("payload").get_prep_value(dict(payload))
    parameters = [key, kind.value, lane.value, secret, new_version(), subject]
    _execute(_statement("occurrence"), parameters, [], connections)


def _pages(subjects: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(subjects), PAGE):
        yield subjects[start : start + PAGE]


def _execute(statement: str, parameters: list[Any], on_conflict: list[Any], only: Sequence[int] | None) -> None:
    if only is not None and not only:
        return
    restriction = f" AND c.id IN ({', '.join(['%s'] * len(only))})" if only else ""
    using = alias()

    def run() -> None:
        with databases[using].cursor() as cursor:
            cursor.execute(statement.replace("{only}", restriction), [*parameters, *(only or ()), *on_conflict])

    sql.retrying(run, using=using)


# The statements, one of each form and database


def _statement(form: Literal["one", "many", "occurrence"]) -> str:
    using = alias()
    found = _compiled.get((using, form))
    if found is None:
        found = _compiled[using, form] = _compile(using, form)
    return found


_SUBJECTS = {
    "postgresql": "(SELECT jsonb_array_elements_text(%s::jsonb) AS subject) s",
    "sqlite": "(SELECT value AS subject FROM json_each(%s)) s",
    "mysql": "JSON_TABLE(%s, '$[*]' COLUMNS (subject VARCHAR(80) PATH '$')) s",
}
_ONE_SUBJECT = {"postgresql": "(SELECT %s::text AS subject) s"}


def _compile(using: str, form: Literal["one", "many", "occurrence"]) -> str:
    """Parameters: [idempotency key], kind, lane, payload, version, subjects, [connections], [version, lane, lane]."""
    connection = databases[using]
    vendor, quote, now = sql.vendor(connection), connection.ops.quote_name, sql.now(connection)
    outbox = quote(OutboxRow._meta.db_table)
    columns = ["connection_id", "subject", "key", "kind", "lane", "payload", "version", "attempts", "marked_at"]
    columns += ["due_at", "claim_token", "claimed_version"]
    subjects = _SUBJECTS[vendor] if form == "many" else _ONE_SUBJECT.get(vendor, "(SELECT %s AS subject) s")
    text = "CHAR" if vendor == "mysql" else "TEXT"
    parts = [f"CAST(c.id AS {text})", "':'", "n.kind", "':'", "s.subject"]
    given = [("kind", text), ("lane", "SIGNED" if vendor == "mysql" else "INTEGER"), ("payload", text)]
    given.append(("version", "SIGNED" if vendor == "mysql" else "BIGINT"))
    if form == "occurrence":
        parts += ["':'", "n.name"]
        given.insert(0, ("name", text))
    news = ", ".join(f"CAST(%s AS {type_}) AS {name}" for name, type_ in given)
    key = f"CONCAT({', '.join(parts)})" if vendor == "mysql" else " || ".join(parts)
    return (
        f"INSERT INTO {outbox} ({', '.join(quote(column) for column in columns)}) "
        f"SELECT c.id, s.subject, {key}, n.kind, n.lane, n.payload, n.version, 0, {now}, {now}, '', 0 "
        f"FROM (SELECT {news}) n, {subjects}, {quote(Connection._meta.db_table)} c "
        f"WHERE c.push_enabled{{only}} ORDER BY 1, 2 {_on_conflict(vendor, outbox, form)}"
    )


def _on_conflict(vendor: str, outbox: str, form: str) -> str:
    lane = f"lane = CASE WHEN {outbox}.lane > %s THEN %s ELSE {outbox}.lane END"
    if vendor == "mysql":
        again = (
            f"{outbox}.`key` = {outbox}.`key`" if form == "occurrence" else f"{outbox}.version = %s, {outbox}.{lane}"
        )
        return f"ON DUPLICATE KEY UPDATE {again}"
    return "ON CONFLICT (key) DO " + ("NOTHING" if form == "occurrence" else f"UPDATE SET version = %s, {lane}")
