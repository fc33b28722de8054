"""``manage.py mktg_replay``: try again what was rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count, QuerySet

from mktg_integration.audit import Actor
from mktg_integration.management.base import MktgCommand, table
from mktg_integration.models import DeadKind, DeadRow
from mktg_integration.operations import deliveries


class Command(MktgCommand):
    help = (
        "Put rejected rows back into the outbox, once their cause is corrected. Rows that wait for a confirmation, "
        "because too many people would leave at once, are only replayed with --held, which confirms them."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--code", help="only rows with this reason (mktg_status lists them)")
        parser.add_argument("--subject", metavar="PERSON", help="only this person, as user:<pk> or lead:<id>")
        parser.add_argument("--held", action="store_true", help="confirm and replay what waits for a confirmation")

    def run(
        self, *, connection: str | None, code: str | None, subject: str | None, held: bool, dry_run: bool, **_: Any
    ) -> dict[str, Any]:
        state = DeadRow.objects.filter(state=DeadKind.HELD) if held else DeadRow.objects.exclude(state=DeadKind.HELD)
        rows = state.filter(connection__in=[row.pk for row in self.connections(connection)])
        if code is not None:
            rows = rows.filter(code=code)
        if subject is not None:
            rows = rows.filter(subject=subject)
        counted = (
            rows.values_list("connection__name", "code")
            .annotate(count=Count("pk"))
            .order_by("connection__name", "code")
        )
        found = [{"connection": name, "code": why, "count": count} for name, why, count in counted]
        if found:
            self.say(table(entry.values() for entry in found))
        replayed = 0 if dry_run else _all_of(deliveries.confirm if held else deliveries.replay, rows)
        total = sum(entry["count"] for entry in found)
        self.say(f"{total} would be replayed" if dry_run else f"{replayed} replayed")
        return {"found": found, "replayed": replayed}


def _all_of(act: Callable[[Actor, QuerySet[DeadRow]], int], rows: QuerySet[DeadRow]) -> int:
    """The number of rows, however many there are."""
    moved = 0
    while count := act(Actor(None, "command"), rows):
        moved += count
    return moved
