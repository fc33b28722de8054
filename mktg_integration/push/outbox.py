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
_OCCURRENCES = frozenset(Kind) - {Kind.PROFILE}

_Form = Literal["one", "many", "once"]
_compiled: dict[tuple[str, _Form], str] = {}


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


def tag_subject(remote_id: str = "", *, name: str = "") -> str:
    """``tag:<remote id>`` of a tag that the service has, ``tag:<digest of the name>`` of one to be made."""
    return f"tag:{remote_id or hashlib.sha256(name.strip().casefold().encode()).hexdigest()[:32]}"


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
        version = new_version()
        again = [version, lane.value, lane.value]
        if len(page) == 1:
            values = [page[0], f":{Kind.PROFILE.value}:{page[0]}", Kind.PROFILE.value, lane.value, "", version]
            _execute("one", values, again, connections)
        else:
            _execute("many", [lane.value, version, json.dumps(page)], again, connections)


def add_occurrence(
    kind: Kind,
    subject: str,
    key: str,
    payload: Mapping[str, Any],
    *,
    lane: Lane = Lane.LIVE,
    connections: Sequence[int] | None = None,
) -> None:
    """Queue something that happened once (any kind but ``PROFILE``), due at once.

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
    values = [subject, f":{kind.value}:{subject}:{key}", kind.value, lane.value, secret, new_version()]
    _execute("once", values, [], connections)


def _pages(subjects: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(subjects), PAGE):
        yield subjects[start : start + PAGE]


def _execute(form: _Form, values: list[Any], again: list[Any], only: Sequence[int] | None) -> None:
    if only is not None and not only:
        return
    using = alias()
    statement = _compiled.get((using, form)) or _compiled.setdefault((using, form), _compile(using, form))
    restriction = f" AND c.id IN ({', '.join(['%s'] * len(only))})" if only else ""
    text, parameters = statement.replace("{only}", restriction), [*values, *(only or ()), *again]

    def run() -> None:
        with databases[using].cursor() as cursor:
            cursor.execute(text, parameters)

    sql.retrying(run, using=using)


# The statements, one of each form and database

_SUBJECTS = {
    "postgresql": "jsonb_array_elements_text(%s::jsonb) AS s(subject)",
    "sqlite": "(SELECT value AS subject FROM json_each(%s)) s",
    "mysql": f"JSON_TABLE(%s, '$[*]' COLUMNS (subject VARCHAR({_SUBJECT_LENGTH}) PATH '$')) s",
}


def _compile(using: str, form: _Form) -> str:
    """``one`` and ``once`` are of one subject: a profile, an occurrence. The fewer tables, the sooner it is planned.

    Parameters: subject, end of the key, kind, lane, payload, version (``many``: lane, version, subjects as JSON); the
    connections where ``{only}`` is filled; version, lane, lane (``once``: none).
    """
    connection = databases[using]
    vendor, quote, now = sql.vendor(connection), connection.ops.quote_name, sql.now(connection)
    outbox, source = quote(OutboxRow._meta.db_table), f"{quote(Connection._meta.db_table)} c"
    if form == "many":
        profile, source = Kind.PROFILE.value, f"{_SUBJECTS[vendor]}, {source}"
        values = ["s.subject", _key(vendor, f"':{profile}:'", "s.subject"), f"'{profile}'", "%s", "''", "%s"]
    else:
        values = ["%s", _key(vendor, "%s"), "%s", "%s", "%s", "%s"]
    names = ["connection_id", "subject", "key", "kind", "lane", "payload", "version"]
    names += ["attempts", "marked_at", "due_at", "claim_token", "claimed_version"]
    selected = ", ".join(["c.id", *values, "0", now, now, "''", "0"])
    # In the order of the keys' parts, so that two marks never wait for each other in a circle.
    order = "c.id, s.subject" if form == "many" else "c.id"
    return (
        f"INSERT INTO {outbox} ({', '.join(quote(name) for name in names)}) SELECT {selected} FROM {source} "
        f"WHERE c.push_enabled{{only}} ORDER BY {order} {_on_conflict(vendor, outbox, form)}"
    )


def _key(vendor: str, *ends: str) -> str:
    if vendor == "mysql":
        return f"CONCAT(c.id, {', '.join(ends)})"
    return f"CAST(c.id AS TEXT) || {' || '.join(ends)}"


def _on_conflict(vendor: str, outbox: str, form: _Form) -> str:
    changes = f"version = %s, lane = CASE WHEN {outbox}.lane > %s THEN %s ELSE {outbox}.lane END"
    if vendor == "mysql":
        return "ON DUPLICATE KEY UPDATE " + (f"{outbox}.`key` = {outbox}.`key`" if form == "once" else changes)
    return "ON CONFLICT (key) DO " + ("NOTHING" if form == "once" else f"UPDATE SET {changes}")
