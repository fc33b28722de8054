"""How the connections are: what the last calls brought, and what is due. Makes no call and no more than four
statements, however many connections there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Min
from django.utils import timezone

from mktg_integration.models import Connection, ConnectionState, DeadRow, Lane, OutboxRow, WaitReason

NEEDS_PERSON = frozenset(
    {
        WaitReason.RECONNECT,
        WaitReason.FORBIDDEN,
        WaitReason.REJECTIONS,
        WaitReason.CONFIGURATION,
        WaitReason.COPY,
    }
)


@dataclass(kw_only=True)
class ConnectionStatus:
    """One connection. ``health`` is one word or two for people; ``oldest_seconds`` the age of the oldest due mark."""

    name: str
    provider: str
    health: str
    needs_person: bool
    waits_because: str = ""
    waits_until: datetime | None = None
    detail: str = ""
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    due: dict[str, int] = field(default_factory=dict)
    later: int = 0
    oldest_seconds: float | None = None
    dead: dict[str, dict[str, int]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def connection_statuses(connections: Sequence[Connection]) -> list[ConnectionStatus]:
    """The status of each, in the order given. ``state`` should be joined."""
    now = timezone.now()
    statuses = {connection.pk: _health(connection, now) for connection in connections}
    rows = OutboxRow.objects.filter(connection__in=statuses)
    lanes = rows.filter(due_at__lte=now).values_list("connection_id", "lane")
    for pk, lane, count, oldest in lanes.annotate(count=Count("pk"), oldest=Min("marked_at")).order_by("lane"):
        status = statuses[pk]
        status.due[Lane(lane).name.lower()] = count
        age = (now - oldest).total_seconds()
        status.oldest_seconds = max(age, status.oldest_seconds or 0.0)
    for pk, count in rows.filter(due_at__gt=now).values_list("connection_id").annotate(count=Count("pk")):
        statuses[pk].later = count
    dead = DeadRow.objects.filter(connection__in=statuses).values_list("connection_id", "state", "code")
    for pk, state, code, count in dead.annotate(count=Count("pk")).order_by("state", "code"):
        statuses[pk].dead.setdefault(state, {})[code] = count
    return list(statuses.values())


def _health(connection: Connection, now: datetime) -> ConnectionStatus:
    state: ConnectionState | None = getattr(connection, "state", None)
    waits = state is not None and bool(state.wait_reason) and (state.wait_until is None or state.wait_until > now)
    status = ConnectionStatus(
        name=connection.name,
        provider=connection.provider,
        health=_word(connection, state, waits=waits),
        needs_person=waits and state is not None and state.wait_reason in NEEDS_PERSON,
    )
    if state is not None:
        status.last_success_at, status.last_failure_at = state.last_success_at, state.last_failure_at
    if waits and state is not None:
        status.waits_because, status.waits_until, status.detail = state.wait_reason, state.wait_until, state.wait_detail
    return status


def _word(connection: Connection, state: ConnectionState | None, *, waits: bool) -> str:
    if not connection.push_enabled:
        return "off"
    if connection.paused:
        return "paused"
    if state is None:
        return "never called"
    if waits:
        return "needs a person" if state.wait_reason in NEEDS_PERSON else "waiting"
    if state.last_failure_at is not None and (
        state.last_success_at is None or state.last_failure_at > state.last_success_at
    ):
        return "failing"
    return "ok" if state.last_success_at is not None else "never called"
