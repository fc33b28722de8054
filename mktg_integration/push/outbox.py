"""Marking: that something has still to be sent, in one statement however many connections there are.

A mark is one INSERT … SELECT from the connections that are pushed to; what is urgent (somebody unsubscribes, leaves, is
erased) is marked at those that are switched off as well, and waits there. A row that is there already only gets a new
version and, where the new mark is more urgent, its lane: when it is due and how often it was tried stay as they are.
"""

# ruff: noqa: S608 (only constants and quoted names of tables become part of a statement)

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connections as databases
from django.db import router

from mktg_integration import sql
from mktg_integration.models import Connection, Kind, Lane, OutboxRow

PAGE = 1000
"""The most people that one statement marks."""

_KEY_LENGTH = 64
_SUBJECT_LENGTH = 80
_OCCURRENCES = frozenset(Kind) - {Kind.PROFILE}

_compiled: dict[tuple[str, _Shape], str] = {}


def alias() -> str:
    """The database that holds the outbox."""
    return router.db_for_write(OutboxRow)


# Marks


def tag_subject(remote_id: str = "", *, name: str = "") -> str:
    """``tag:<remote id>`` of a tag that the service has, ``tag:<digest of the name>`` of one to be made."""
    return f"tag:{remote_id or hashlib.sha256(name.strip().casefold().encode()).hexdigest()[:32]}"


def new_version() -> int:
    """A random positive 63-bit number: never used before, also after a row was deleted and inserted again."""
    return random.getrandbits(63) or 1


def mark(subjects: Sequence[str], *, lane: Lane = Lane.LIVE, connections: Sequence[int] | None = None) -> None:
    """Mark these people as to be sent, at every connection that is pushed to (``URGENT``: at all), or at those given.

    One statement for every ``PAGE`` people, in the order of their keys so that two marks never wait for each other in
    a circle. Raises ``ValueError`` for a subject longer than its column, and ``DatabaseError``; repeats by itself
    where the database gave way and the caller has no transaction.
    """
    people = sorted(set(subjects))
    if any(len(subject) > _SUBJECT_LENGTH for subject in people):
        raise ValueError(f"a subject is longer than {_SUBJECT_LENGTH} characters: such a primary key cannot be marked")
    for page in _pages(people):
        version = new_version()
        if len(page) == 1:
            values = [page[0], f":{Kind.PROFILE.value}:{page[0]}", version]
            _execute(_Shape(Kind.PROFILE, lane), values, [version], connections)
        else:
            _execute(_Shape(Kind.PROFILE, lane, many=True), [version, json.dumps(page)], [version], connections)


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
    values = [subject, f":{kind.value}:{subject}:{key}", secret, new_version()]
    _execute(_Shape(kind, lane), values, [], connections)


def _pages(subjects: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(subjects), PAGE):
        yield subjects[start : start + PAGE]


# The statements, one of each shape and database


class _Shape(NamedTuple):
    kind: Kind
    lane: Lane
    many: bool = False
    """Of many people, in one JSON parameter."""


def _execute(shape: _Shape, values: list[Any], again: list[Any], only: Sequence[int] | None) -> None:
    if only is not None and not only:
        return
    using = alias()
    text = _compiled.get((using, shape)) or _compiled.setdefault((using, shape), _compile(using, shape))
    restriction = f" AND c.id IN ({', '.join(['%s'] * len(only))})" if only else ""
    text, parameters = text.replace("{only}", restriction), [*values, *(only or ()), *again]

    def run() -> None:
        with databases[using].cursor() as cursor:
            cursor.execute(text, parameters)

    sql.retrying(run, using=using)


_SUBJECTS = {
    "postgresql": "jsonb_array_elements_text(%s::jsonb) AS s(subject)",
    "sqlite": "(SELECT value AS subject FROM json_each(%s)) s",
    "mysql": f"JSON_TABLE(%s, '$[*]' COLUMNS (subject VARCHAR({_SUBJECT_LENGTH}) PATH '$')) s",
}


def _compile(using: str, shape: _Shape) -> str:
    """As little as can be is left to be planned and bound with every save.

    Parameters: subject and the key's end (``many``: neither), payload of an occurrence, version, subjects of ``many``;
    the connections where ``{only}`` is filled; the version again, of a profile.
    """
    connection = databases[using]
    vendor, quote, now = sql.vendor(connection), connection.ops.quote_name, sql.now(connection)
    outbox, source = quote(OutboxRow._meta.db_table), f"{quote(Connection._meta.db_table)} c"
    ends, subject, order = ["%s"], "%s", ""
    if shape.many:
        ends, subject, source = [f"':{shape.kind.value}:'", "s.subject"], "s.subject", f"{_SUBJECTS[vendor]}, {source}"
        # In the order of the key's parts, so that two marks never wait for each other in a circle.
        order = " ORDER BY c.id, s.subject"
    key = f"CONCAT(c.id, {', '.join(ends)})" if vendor == "mysql" else f"c.id || {' || '.join(ends)}"
    payload = "%s" if shape.kind in _OCCURRENCES else "''"
    # Who leaves has left while a connection is off, too: it is told so when it is on again.
    which = "1 = 1" if shape.lane == Lane.URGENT or shape.kind == Kind.ERASURE else "c.push_enabled"
    names = ["connection_id", "subject", "key", "kind", "lane", "payload", "version"]
    names += ["attempts", "marked_at", "due_at", "claim_token", "claimed_version"]
    values = f"c.id, {subject}, {key}, '{shape.kind.value}', {shape.lane.value}, {payload}, %s, 0, {now}, {now}, '', 0"
    return (
        f"INSERT INTO {outbox} ({', '.join(quote(name) for name in names)}) SELECT {values} FROM {source} "
        f"WHERE {which}{{only}}{order} {_on_conflict(vendor, outbox, shape)}"
    )


def _on_conflict(vendor: str, outbox: str, shape: _Shape) -> str:
    lane = f"{outbox}.lane"
    changes = f"version = %s, lane = CASE WHEN {lane} > {shape.lane.value} THEN {shape.lane.value} ELSE {lane} END"
    is_once = shape.kind in _OCCURRENCES
    if vendor == "mysql":
        return "ON DUPLICATE KEY UPDATE " + (f"{outbox}.`key` = {outbox}.`key`" if is_once else changes)
    return "ON CONFLICT (key) DO " + ("NOTHING" if is_once else f"UPDATE SET {changes}")
