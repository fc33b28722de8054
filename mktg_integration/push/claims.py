"""The lease of a connection's drain, and the rows that the drain has in flight.

Only the holder of the lease claims. A claimed row carries the lease's token and the version that it had then: settling
matches both, so neither a save during delivery nor a drain that lost its lease takes away what has still to be sent.
No statement here waits for a row that a site's own transaction has locked (SKIP LOCKED), so no drain can be part of a
deadlock with a save; such a row keeps its claim and is given back with the next claim.
"""

# ruff: noqa: S608 (only constants and quoted names of tables become part of a statement)

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import TextField, Value
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.conf import settings
from mktg_integration.exceptions import DecryptionError
from mktg_integration.models import ConnectionState, DeadKind, DeadRow, Kind, Lane, OutboxRow
from mktg_integration.models.leases import RowLease
from mktg_integration.push import attempts
from mktg_integration.push.dead import dead_row
from mktg_integration.push.outbox import new_version

logger = logging.getLogger("mktg_integration.push")

UNREADABLE = "unreadable_payload"
_UNREADABLE_REASON = (
    "its payload cannot be decrypted: put the key that it was written with back on ENCRYPTION_KEYS, then replay"
)
_UNREADABLE_ROUNDS = 10
_BACKOFF_DOUBLINGS = 20
_LEAST_AND_RANDOM = {
    "sqlite": ("MIN", "ABS(RANDOM() %% 1000000) / 1000000.0"),
    "postgresql": ("LEAST", "RANDOM()"),
    "mysql": ("LEAST", "RAND()"),
}


# The lease


@dataclass
class Lease(RowLease):
    """The right to drain one connection, until it runs out. ``token`` marks the rows claimed under it."""

    left_over: set[str] = field(default_factory=set)
    """Keys of rows still claimed that could not be given back, because a transaction of the site had them locked."""
    may_have_dead: bool | None = None
    """Whether the connection has dead rows, of which a success may remove some; None: not looked."""

    @property
    def connection_id(self) -> int:
        return int(self.pk)


def take_lease(connection_id: int) -> Lease | None:
    """The lease of this connection for ``LEASE_SECONDS``, or None while another drain holds it."""
    lease = Lease(ConnectionState, connection_id, settings.LEASE_SECONDS)
    if lease.take():
        return lease
    _, created = ConnectionState.objects.using(_alias()).get_or_create(connection_id=connection_id)
    return lease if created and lease.take() else None


# Claims


def claim(lease: Lease, limit: int, *, urgent_only: bool = False) -> list[OutboxRow]:
    """Up to ``limit`` due rows, by lane, then by the time due, then by key; now in flight under this lease.

    ``urgent_only``: none but unsubscribes and erasures. Rows that a transaction of the site has locked are left for
    later. A row whose payload no key can read holds up nobody: it is buried, for a person to see to. Empty where the
    lease has run out.
    """
    if limit <= 0:
        return []
    if lease.left_over:
        release(lease, list(lease.left_over))
    using = _alias()
    for _ in range(_UNREADABLE_ROUNDS):
        if lease.seconds_left() <= 0:
            break
        rows = sql.retrying(lambda: _claim(lease, limit, using, urgent_only=urgent_only), using=using)
        readable = _readable(lease, rows)
        if readable or not rows:
            return sorted(readable, key=lambda row: (row.lane, row.due_at, row.key))
    return []


def has_urgent(connection_id: int) -> bool:
    """Whether an unsubscribe or an erasure is due."""
    due = OutboxRow.objects.using(_alias()).filter(connection_id=connection_id, lane=Lane.URGENT)
    return due.filter(due_at__lte=timezone.now()).exists()


def _readable(lease: Lease, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """These rows with their payloads, without those whose payload cannot be decrypted."""
    using = connections[_alias()]
    field = OutboxRow._meta.get_field("payload")
    readable, unreadable = [], []
    for row in rows:
        token = row.token  # type: ignore[attr-defined]
        try:
            row.payload = field.from_db_value(token, Value(token), using)
            readable.append(row)
        except (DecryptionError, ValueError):
            unreadable.append(
                dead_row(row, DeadKind.NEEDS_PERSON, UNREADABLE, _UNREADABLE_REASON, payload=as_is(token))
            )
    if unreadable:
        logger.error("%d rows of the outbox cannot be decrypted; they wait for a person", len(unreadable))
        bury(lease, unreadable)
        attempts.write_dead(unreadable)
    return readable


def as_is(token: str) -> Value:
    """A payload as it is stored, to be written again without being read."""
    return Value(token, output_field=TextField())


def _claim(lease: Lease, limit: int, using: str, *, urgent_only: bool) -> list[OutboxRow]:
    connection = connections[using]
    outbox, state = (connection.ops.quote_name(model._meta.db_table) for model in (OutboxRow, ConnectionState))
    key, now = connection.ops.quote_name("key"), sql.now(connection)
    only = f"AND lane = {Lane.URGENT.value} " if urgent_only else ""
    columns = _columns(connection)
    # A drain that lost its lease while it was stopped must not take rows from the one that follows it.
    holds = f"SELECT 1 FROM {state} s WHERE s.connection_id = %s AND s.lease_token = %s AND s.lease_until > {now}"
    due = (
        f"FROM {outbox} WHERE connection_id = %s AND due_at <= {now} AND claim_token <> %s {only}"
        f"AND EXISTS ({holds}) ORDER BY lane, due_at, {key} LIMIT {int(limit)} {sql.for_update(connection)}"
    )
    parameters: list[Any] = [lease.connection_id, lease.token, lease.connection_id, lease.token]
    again = f"kind = '{Kind.PROFILE.value}' AND claimed_version <> 0"
    # MySQL assigns from left to right: what was claimed before is read before it is overwritten.
    sets = f"tried_at = CASE WHEN {again} THEN {now} ELSE tried_at END, claim_token = %s, claimed_version = version"
    rows = OutboxRow.objects.using(using)
    if connection.vendor != "mysql":
        chosen = f"WITH due AS MATERIALIZED (SELECT {key} {due}) SELECT {key} FROM due"
        take = f"UPDATE {outbox} SET {sets} WHERE {key} IN ({chosen}) RETURNING {columns}"
        return list(rows.raw(take, [lease.token, *parameters]))
    with transaction.atomic(using=using, savepoint=False), connection.cursor() as cursor:
        found = list(rows.raw(f"SELECT {columns} {due}", parameters))
        if found:
            keys = [row.key for row in found]
            cursor.execute(_by_key(using, sets, keys), [lease.token, *keys])
    for row in found:
        if row.kind == Kind.PROFILE and row.claimed_version:
            row.tried_at = timezone.now()
        row.claim_token, row.claimed_version = lease.token, row.version
    return found


def _columns(connection: BaseDatabaseWrapper) -> str:
    """All columns, the payload as it is stored: one that cannot be read must not spoil the others."""
    quote = connection.ops.quote_name
    names = [quote(str(field.column)) for field in OutboxRow._meta.concrete_fields if field.name != "payload"]
    return ", ".join([*names, "payload AS token"])


# What becomes of them


def settle(lease: Lease, keys: Collection[str], *, by_hand: Collection[str] = ()) -> int:
    """These rows were sent: they go, or are due again where they were marked anew meanwhile. The number gone.

    What was dead under these keys is forgotten; not what a person was asked to do of ``by_hand``: people who refuse are
    asked for once, so that later saves say nothing of whether it was done.
    """
    gone = _on_claimed(lease, keys, None, unchanged=True)
    if lease.may_have_dead is None:
        lease.may_have_dead = DeadRow.objects.using(_alias()).filter(connection_id=lease.connection_id).exists()
    if lease.may_have_dead:
        forget_dead(gone, by_hand=by_hand)
    _give_back_rest(lease, keys, gone)
    return len(gone)


def postpone(lease: Lease, rows: Sequence[OutboxRow]) -> None:
    """These rows failed for a passing reason: one attempt more, due again after ``BACKOFF_SECONDS`` times two to the
    power of the attempts before, at most ``BACKOFF_SECONDS_MAX``, shortened by up to half at random."""
    using = _alias()
    connection = connections[using]
    least, random = _LEAST_AND_RANDOM[sql.vendor(connection)]
    first, most = float(settings.BACKOFF_SECONDS), float(settings.BACKOFF_SECONDS_MAX)
    seconds = f"{least}({most}, {first} * (1 << {least}(attempts, {_BACKOFF_DOUBLINGS}))) * (0.5 + {random} / 2)"
    # MySQL assigns from left to right: the attempts are read before they are counted.
    sets = f"due_at = {sql.later(connection, seconds)}, attempts = attempts + 1, claim_token = ''"
    keys = [row.key for row in rows]
    done = _on_claimed(lease, keys, sets)
    _give_back_rest(lease, keys, done)


def defer(lease: Lease, keys: Collection[str], due_at: datetime) -> None:
    """These rows wait behind another of the same person: due again at ``due_at``, nothing counted against them."""
    seconds = (due_at - timezone.now()).total_seconds()
    deferred = _on_claimed(lease, keys, f"due_at = {sql.later(connections[_alias()], repr(seconds))}, claim_token = ''")
    _give_back_rest(lease, keys, deferred)


def note_tried(lease: Lease, keys: Collection[str]) -> set[str]:
    """A call that must not be made twice is about to be made for these rows. For which it was noted: those of which a
    transaction of the site has the row locked are left out, and must not be sent now."""
    return set(_on_claimed(lease, keys, f"tried_at = {sql.now(connections[_alias()])}"))


def release(lease: Lease, keys: Collection[str] | None) -> None:
    """Give rows back, nothing counted against them; where ``keys`` is None all that this lease has claimed."""
    if keys is None:
        held = OutboxRow.objects.using(_alias()).filter(connection_id=lease.connection_id, claim_token=lease.token)
        keys = list(held.values_list("pk", flat=True))
    released = _on_claimed(lease, keys, "claim_token = ''")
    lease.left_over.difference_update(keys)
    if len(released) < len(keys):
        lease.left_over |= set(keys) - set(released)


def bury(lease: Lease, dead: Sequence[DeadRow]) -> int:
    """These rows cannot be sent: kept as dead, with the reason. The number buried.

    A row that was marked anew meanwhile is not dead: it is given back.
    """
    using = _alias()
    by_key = {row.key: row for row in dead}

    def run() -> list[str]:
        with transaction.atomic(using=using):
            gone = _on_claimed(lease, by_key, None, unchanged=True)
            _write_dead([by_key[key] for key in gone], using)
        return gone

    gone = sql.retrying(run, using=using)
    _give_back_rest(lease, by_key, gone)
    return len(gone)


def _give_back_rest(lease: Lease, keys: Collection[str], done: Sequence[str]) -> None:
    if len(done) < len(keys):
        release(lease, set(keys).difference(done))


def _on_claimed(lease: Lease, keys: Collection[str], sets: str | None, *, unchanged: bool = False) -> list[str]:
    """Update (``sets``) or delete (None) those of these rows that are claimed under this lease and that nobody has
    locked; with ``unchanged`` only those that have the version that was claimed. Their keys are returned."""
    if not keys:
        return []
    using = _alias()
    connection = connections[using]
    outbox, key = connection.ops.quote_name(OutboxRow._meta.db_table), connection.ops.quote_name("key")
    which = "claim_token = %s" + (" AND version = claimed_version" if unchanged else "")
    mine = f"SELECT {key} FROM {outbox} WHERE {which} AND {key} IN ({{those}}) {sql.for_update(connection)}"
    ordered = sorted(keys)

    def run() -> list[str]:
        with connection.cursor() as cursor:
            if connection.vendor == "mysql":
                return _select_then_do(cursor, using, mine, [lease.token, *ordered], sets)
            elements = "jsonb_array_elements_text(%s::jsonb)" if connection.vendor == "postgresql" else "json_each(%s)"
            found = mine.format(those=f"SELECT value FROM {elements}")
            do = f"DELETE FROM {outbox}" if sets is None else f"UPDATE {outbox} SET {sets}"
            statement = f"WITH mine AS MATERIALIZED ({found}) {do} WHERE {key} IN (SELECT {key} FROM mine)"
            cursor.execute(f"{statement} RETURNING {key}", [lease.token, json.dumps(ordered)])
            return [row[0] for row in cursor.fetchall()]

    return sql.retrying(run, using=using)


def _select_then_do(cursor: Any, using: str, mine: str, parameters: list[str], sets: str | None) -> list[str]:
    """For MySQL, which neither changes a table that it selects from nor returns what it changed."""
    with transaction.atomic(using=using, savepoint=False):
        cursor.execute(mine.format(those=_marks(parameters[1:])), parameters)
        found = [row[0] for row in cursor.fetchall()]
        if found:
            cursor.execute(_by_key(using, sets, found), found)
    return found


def _by_key(using: str, sets: str | None, keys: Sequence[str]) -> str:
    """For MySQL: the UPDATE (``sets``) or DELETE of rows by their keys, by way of the index alone.

    By a scan, which MySQL prefers for a small table, it would wait for rows of others, and so deadlock with their
    saves. An order by the key keeps it to the index; a DELETE takes no index hint.
    """
    outbox = connections[using].ops.quote_name(OutboxRow._meta.db_table)
    do = f"DELETE FROM {outbox}" if sets is None else f"UPDATE {outbox} SET {sets}"
    return f"{do} WHERE `key` IN ({_marks(keys)}) ORDER BY `key` LIMIT {len(keys)}"


def _marks(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def _alias() -> str:
    return router.db_for_write(OutboxRow)


# The dead


def _write_dead(rows: Sequence[DeadRow], using: str) -> None:
    unique = ["key"] if connections[using].features.supports_update_conflicts_with_target else None
    fields = [field.name for field in DeadRow._meta.concrete_fields if field.name != "key"]
    DeadRow.objects.using(using).bulk_create(rows, update_conflicts=True, update_fields=fields, unique_fields=unique)


def forget_dead(keys: Collection[str], *, by_hand: Collection[str] = ()) -> int:
    """Remove the dead rows of these keys, because a later try succeeded. Their number. Of ``by_hand`` those stay that
    wait for a person."""
    if not keys:
        return 0
    found = DeadRow.objects.using(_alias()).filter(pk__in=sorted(keys))
    stay = sorted(set(by_hand) & set(keys))
    if stay:
        found = found.exclude(pk__in=stay, state=DeadKind.NEEDS_PERSON)
    return sql.retrying(lambda: found._raw_delete(_alias()), using=_alias())


def forget_profiles(lease: Lease, subjects: Collection[str]) -> int:
    """Remove the rejected profiles of people who have left: nobody can correct them any more. Their number. What a
    person was asked to do stays."""
    keys = sorted(f"{lease.connection_id}:{Kind.PROFILE.value}:{subject}" for subject in subjects)
    found = DeadRow.objects.using(_alias()).filter(pk__in=keys, state=DeadKind.REJECTED)
    return sql.retrying(lambda: found._raw_delete(_alias()), using=_alias())


def revive(keys: Collection[str]) -> int:
    """Put the dead rows of these keys back into the outbox, due at once, as if never tried. Their number.

    One transaction; give it a few hundred keys at a time. A row that was marked anew meanwhile gets a new version.
    """
    if not keys:
        return 0
    using = _alias()
    connection = connections[using]
    outbox, dead = (connection.ops.quote_name(model._meta.db_table) for model in (OutboxRow, DeadRow))
    key, now, version = connection.ops.quote_name("key"), sql.now(connection), new_version()
    kept = f"{key}, connection_id, kind, subject, lane, payload, marked_at"
    conflict = "ON DUPLICATE KEY UPDATE" if connection.vendor == "mysql" else f"ON CONFLICT ({key}) DO UPDATE SET"
    # A claimed version of its own, which no row has: that it was tried before is not forgotten.
    copy = (
        f"INSERT INTO {outbox} ({kept}, attempts, version, due_at, claim_token, claimed_version) "
        f"SELECT {kept}, 0, {version}, {now}, '', 1 FROM {dead} WHERE {key} IN ({_marks(keys)}) "
        f"ORDER BY {key} {conflict} version = {version}"
    )
    ordered = sorted(keys)

    def run() -> int:
        with transaction.atomic(using=using):
            with connection.cursor() as cursor:
                cursor.execute(copy, ordered)
            return DeadRow.objects.using(using).filter(pk__in=ordered)._raw_delete(using)

    return sql.retrying(run, using=using)
