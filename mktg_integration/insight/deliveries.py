"""What could not be sent, by reason, and what was tried. No statement here reads a whole table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from mktg_integration.insight.noted import worded
from mktg_integration.insight.remedies import remedy as remedy
from mktg_integration.models import Attempt, Connection, DeadKind, DeadRow

COUNTED = 1000
"""A group is counted no further."""
MOST_GROUPS = 100
MOST_ATTEMPTS = 100


@dataclass(frozen=True, kw_only=True)
class ReasonGroup:
    """The dead rows of one connection with one state and code. ``reason``, ``status`` and ``subject`` are those of one
    of them; ``count`` is at most ``COUNTED``, and ``bounded`` where there are more."""

    connection_id: int
    connection_name: str
    provider: str
    state: str
    code: str
    reason: str
    status: int | None
    subject: str
    since: datetime
    count: int
    bounded: bool
    remedy: str

    @property
    def state_label(self) -> str:
        return str(DeadKind(self.state).label)


def reasons(
    connection: Connection | None = None, *, states: Sequence[str] = tuple(DeadKind.values), most: int = MOST_GROUPS
) -> list[ReasonGroup]:
    """Why rows are dead, most pressing state first within each connection; at most ``most`` groups.

    One statement, and two more for each group, each by the index of connection, state and code.
    """
    chosen = Connection.objects.order_by("name")
    if connection is not None:
        chosen = chosen.filter(pk=connection.pk)
    has = {
        f"has_{state}": Exists(DeadRow.objects.filter(connection=OuterRef("pk"), state=state))
        for state in DeadKind.values
    }
    found: list[ReasonGroup] = []
    for row in chosen.defer("credentials").annotate(**has):
        for state in _ORDER:
            if state not in states or not getattr(row, f"has_{state}"):
                continue
            for group in _groups(row, state):
                if len(found) == most:
                    return found
                found.append(group)
    return found


_ORDER = (DeadKind.HELD.value, DeadKind.NEEDS_PERSON.value, DeadKind.REJECTED.value)


def _groups(connection: Connection, state: str) -> Iterator[ReasonGroup]:
    """From code to code along the index: a group of a million rows costs as much as one of a thousand."""
    rows = DeadRow.objects.filter(connection=connection, state=state).defer("payload")
    example = rows.order_by("code").first()
    while example is not None:
        count = rows.filter(code=example.code).order_by()[: COUNTED + 1].count()
        yield ReasonGroup(
            connection_id=connection.pk,
            connection_name=connection.name,
            provider=connection.provider,
            state=state,
            code=example.code,
            reason=worded(example.reason),
            status=example.status,
            subject=example.subject,
            since=example.died_at,
            count=min(count, COUNTED),
            bounded=count > COUNTED,
            remedy=remedy(connection.provider, example.code, example.status),
        )
        example = rows.filter(code__gt=example.code).order_by("code").first()


def attempts_of(key: str, *, most: int = MOST_ATTEMPTS) -> list[Attempt]:
    """What was tried for the row of this key, the newest first."""
    return list(Attempt.objects.filter(key=key).order_by("-at", "-pk")[:most])


def attempts_for(subject: str, *, connection: Connection | None = None, most: int = MOST_ATTEMPTS) -> list[Attempt]:
    """What was tried for one person, the newest first."""
    found = Attempt.objects.filter(subject=subject)
    if connection is not None:
        found = found.filter(connection=connection)
    return list(found.order_by("-at", "-pk")[:most])
