"""Measures each connection's figures of the day, for the charts; run by the schedule, never by a drain or a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.db import connections, router
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from mktg_integration.models import (
    AccountSnapshot,
    Connection,
    Contact,
    DailyFigures,
    OptOut,
    OptOutKind,
    OutboxRow,
    Run,
    RunKind,
)
from mktg_integration.moments import day_of
from mktg_integration.people import ALL
from mktg_integration.records import ContactStatus

BACKFILL_DAYS: Final = 365
"""How far back the first measuring looks for what was written down already."""
_DAYS_A_STATEMENT = 90
_FLOWS = ("sent", "rejected", "postponed")
_COUNTS = {"sent": "done", "rejected": "rejected", "postponed": "postponed"}
_LEFT = (OptOutKind.UNSUBSCRIBED, OptOutKind.BOUNCED, OptOutKind.COMPLAINED)
_COLUMNS = ("active", "joined", "unsubscribed", "sent", "rejected", "postponed", "outbox")


def measure(connection: Connection, *, now: datetime | None = None) -> list[DailyFigures]:
    """Write today's figures of this connection, and those of the days since it was last measured.

    The first measuring goes back ``BACKFILL_DAYS``, as far as runs, opt-outs, contacts and the account's own snapshots
    tell. Of contacts it reads as many as the connection has. Returns the rows written.
    """
    today = day_of(now or timezone.now())
    last = DailyFigures.objects.filter(connection=connection).aggregate(last=Max("day"))["last"]
    first = min(last, today) if last is not None else today - timedelta(days=BACKFILL_DAYS - 1)
    days = [first + timedelta(days=n) for n in range((today - first).days + 1)]
    rows = {day: _row(connection, day) for day in days}
    known = DailyFigures.objects.filter(connection=connection, day__gte=first)
    before = {row.day: row for row in known}
    for day, row in rows.items():
        if day in before:
            row.active, row.outbox = before[day].active, before[day].outbox
    _add_runs(connection, rows)
    _add_joined(connection, rows)
    _add_left(connection, rows)
    _add_snapshots(connection, rows)
    contacts = Contact.objects.filter(connection=connection, status=ContactStatus.ACTIVE.value, deleted_at=None)
    rows[today].active = contacts.count()
    rows[today].outbox = max(rows[today].outbox, OutboxRow.objects.filter(connection=connection).order_by().count())
    # Days before anything was written down are no zeros: they are not known.
    told = [row for day, row in rows.items() if day in before or day == today or any(_told(row))]
    _write(_from_first(told, before))
    return told


def _from_first(rows: Sequence[DailyFigures], before: dict[date, DailyFigures]) -> list[DailyFigures]:
    """Only what has changed."""
    return [row for row in rows if row.day not in before or _told(row) != _told(before[row.day])]


def _told(row: DailyFigures) -> list[int]:
    return [getattr(row, name) for name in _COLUMNS]


def _row(connection: Connection, day: date) -> DailyFigures:
    return DailyFigures(key=f"{connection.pk}:{day.isoformat()}", connection=connection, day=day)


def begins(day: date) -> datetime:
    """The first moment of a day in the site's time zone."""
    return timezone.make_aware(datetime.combine(day, time.min)) if _aware() else datetime.combine(day, time.min)


def _aware() -> bool:
    return timezone.is_aware(timezone.now())


def _add_runs(connection: Connection, rows: dict[date, DailyFigures]) -> None:
    runs = Run.objects.filter(connection=connection, kind=RunKind.PUSH, started_at__gte=begins(min(rows)))
    counted: dict[date, Counter[str]] = {}
    for started_at, counts in runs.order_by().values_list("started_at", "counts").iterator():
        day = day_of(started_at)
        told = counted.setdefault(day, Counter())
        told.update({name: int(counts.get(_COUNTS[name]) or 0) for name in _FLOWS})
    for day, told in counted.items():
        if day in rows:
            for name in _FLOWS:
                setattr(rows[day], name, told[name])


def _add_joined(connection: Connection, rows: dict[date, DailyFigures]) -> None:
    contacts = Contact.objects.filter(connection=connection)
    for day, count in _by_day(contacts, "remote_created_at", list(rows)):
        rows[day].joined = count


def _add_left(connection: Connection, rows: dict[date, DailyFigures]) -> None:
    """Those whom the service told of, and those who said so on the site, wherever that holds here."""
    here = Q(source=connection.name) | (Q(source="site") & Q(scope__in=[ALL, str(connection.pk)]))
    left = OptOut.objects.filter(here, kind__in=_LEFT)
    for day, count in _by_day(left, "at", list(rows)):
        rows[day].unsubscribed = count


def _add_snapshots(connection: Connection, rows: dict[date, DailyFigures]) -> None:
    """The service's own word for days that were not measured."""
    snapshots = AccountSnapshot.objects.filter(connection=connection, day__gte=min(rows), days=1)
    snapshots = snapshots | AccountSnapshot.objects.filter(connection=connection, day__gte=min(rows))
    for day, subscribers in snapshots.order_by("day").values_list("day", "subscribers"):
        if day in rows and not rows[day].active:
            rows[day].active = max(subscribers, 0)


def _by_day(found: QuerySet[Any], column: str, days: Sequence[date]) -> Iterator[tuple[date, int]]:
    """How many rows each day has, by one statement for many days: by ranges, since not every database knows zones."""
    for start in range(0, len(days), _DAYS_A_STATEMENT):
        page = days[start : start + _DAYS_A_STATEMENT]
        ends = [begins(day) for day in (*page, page[-1] + timedelta(days=1))]
        counts = {
            f"day{n}": Count("pk", filter=Q(**{f"{column}__gte": ends[n], f"{column}__lt": ends[n + 1]}))
            for n in range(len(page))
        }
        told = found.filter(**{f"{column}__gte": ends[0], f"{column}__lt": ends[-1]}).order_by().aggregate(**counts)
        yield from ((day, told[f"day{n}"]) for n, day in enumerate(page))


def _write(rows: Sequence[DailyFigures]) -> None:
    if not rows:
        return
    using = router.db_for_write(DailyFigures)
    unique = ["key"] if connections[using].features.supports_update_conflicts_with_target else None
    DailyFigures.objects.using(using).bulk_create(
        rows, batch_size=100, update_conflicts=True, update_fields=list(_COLUMNS), unique_fields=unique
    )
