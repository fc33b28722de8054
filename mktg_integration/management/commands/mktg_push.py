"""``manage.py mktg_push``: deliver all that is due, in the foreground and without a cluster."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.management.base import MktgCommand, Progress, table
from mktg_integration.models import Connection, Kind, Lane, OutboxRow, WaitReason
from mktg_integration.push import introduce, outbox, people
from mktg_integration.push.drain import DrainReport, drain
from mktg_integration.push.pages import count_everybody, everybody

SECONDS_A_DRAIN = 10.0
"""After this time a drain comes back, so that progress can be shown."""
BUSY_SECONDS = 1.0
COUNTS = ("claimed", "done", "rejected", "postponed", "released", "calls")


class Command(MktgCommand):
    help = (
        "Deliver all that is due, in the foreground: rates are waited for, and a service that failed before is tried "
        "at once. Ends non-zero if something was rejected, has to wait or failed."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="first mark every user and lead (a backfill)")

    def run(self, *, connection: str | None, all: bool, dry_run: bool, **_: Any) -> dict[str, Any]:
        chosen = self.connections(connection)
        marked = self._mark_everybody([row.pk for row in chosen], dry_run=dry_run) if all else 0
        if dry_run:
            return {"marked": marked, "connections": {row.name: self._plan(row, everybody=all) for row in chosen}}
        return {"marked": marked, "connections": {row.name: self._deliver(row) for row in chosen}}

    # Marking

    def _mark_everybody(self, connections: list[int], *, dry_run: bool) -> int:
        count = count_everybody()
        if dry_run:
            self.say(f"{count} people would be marked")
            return count
        progress = self.progress("marking", total=count)
        marked = 0
        try:
            for page in everybody():
                outbox.mark(page.subjects, lane=Lane.BACKFILL, connections=connections)
                marked += len(page.subjects)
                progress.update(len(page.subjects))
        finally:
            progress.close()
        self.say(f"{marked} people marked")
        return marked

    # Delivering

    def _deliver(self, connection: Connection) -> dict[str, Any]:
        due = _due(connection).count()
        progress = self.progress(connection.name, total=due)
        total: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        reasons: Counter[str] = Counter()
        report = DrainReport()
        while _due(connection).exists():
            report = drain(connection.pk, seconds=SECONDS_A_DRAIN, foreground=True)
            total.update({name: getattr(report, name) for name in COUNTS})
            reasons.update(report.reasons)
            progress.update(report.done + report.rejected)
            if not self._goes_on(report, progress):
                break
        progress.close()
        later = OutboxRow.objects.filter(connection=connection).count()
        result = {**total, "reasons": dict(reasons), "waiting": str(report.waiting), "detail": report.detail}
        self._tell(connection, result, due=due, later=later)
        return {**result, "left": later}

    def _goes_on(self, report: DrainReport, progress: Progress) -> bool:
        if report.waiting == "busy":
            progress.set_postfix_str("a worker is at it")
            time.sleep(BUSY_SECONDS)
            return True
        if report.waiting == WaitReason.RATE:
            seconds = report.next_in or BUSY_SECONDS
            progress.set_postfix_str(f"the rate is used up, waiting {seconds:.0f} s")
            time.sleep(seconds)
            return True
        return not report.waiting and bool(report.claimed)

    def _tell(self, connection: Connection, result: dict[str, Any], *, due: int, later: int) -> None:
        self.say(
            f"{connection.name}: {due} due, {result['done']} done in {result['calls']} calls, "
            f"{result['rejected']} rejected, {later} left"
        )
        for code, count in sorted(result["reasons"].items()):
            self.say(f"  {code}: {count}")
        if result["waiting"]:
            self.fail(f"{connection.name} waits ({result['waiting']}): {result['detail'] or 'see mktg_status'}")
        elif later:
            self.fail(f"{connection.name}: {later} left to be tried later")
        if result["rejected"]:
            self.fail(f"{connection.name}: {result['rejected']} rejected; mktg_status tells why")

    # Planning only

    def _plan(self, connection: Connection, *, everybody: bool) -> dict[str, Any]:
        """The first calls that would be made; what follows depends on what the service answers. ``everybody``: as if
        they were marked already."""
        account = connection.account()
        driver = connection.driver
        driver.check_credentials(account.credentials)
        options = driver.options(account)
        catalogue = introduce.load_catalogue(connection)
        calls: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        due = 0
        for rows in _pages_with_everybody(connection) if everybody else _pages(_due(connection)):
            due += len(rows)
            of_people = [row for row in rows if row.kind in (Kind.PROFILE, Kind.ERASURE)]
            calls.update(row.kind for row in rows if row not in of_people)
            batch = people.preview(connection, driver, options, of_people)
            plan = driver.plan(list(batch.people.values()), catalogue, options)
            calls.update(call.operation for call in plan.calls)
            refused.update(verdict.code for verdict in (*batch.verdicts.values(), *plan.verdicts.values()))
        self._tell_plan(connection, due, calls, refused)
        return {"due": due, "first_calls": dict(calls), "refused": dict(refused)}

    def _tell_plan(self, connection: Connection, due: int, calls: Counter[str], refused: Counter[str]) -> None:
        if calls:
            self.say(f"{connection.name}: {due} due; the first calls would be:")
        elif due:
            self.say(f"{connection.name}: {due} due; nothing would be sent")
        else:
            self.say(f"{connection.name}: nothing is due, so nothing would be sent")
        if calls or refused:
            self.say(table([*sorted(calls.items()), *((f"refused: {code}", n) for code, n in sorted(refused.items()))]))


def _due(connection: Connection) -> QuerySet[OutboxRow]:
    return OutboxRow.objects.filter(connection=connection, due_at__lte=timezone.now())


def _pages(rows: QuerySet[OutboxRow]) -> Iterator[list[OutboxRow]]:
    last = ""
    while page := list(rows.filter(key__gt=last).order_by("key")[: settings.CLAIM_SIZE]):
        yield page
        last = page[-1].key


def _pages_with_everybody(connection: Connection) -> Iterator[list[OutboxRow]]:
    """What is due, and then rows of all others as marking would write them; none is written."""
    yield from _pages(_due(connection))
    if not connection.push_enabled:
        return
    for page in everybody():
        rows = {
            key: OutboxRow(key=key, connection=connection, kind=Kind.PROFILE, subject=subject)
            for subject in page.subjects
            for key in [f"{connection.pk}:{Kind.PROFILE.value}:{subject}"]
        }
        due = set(_due(connection).filter(pk__in=rows).values_list("pk", flat=True))
        others = [row for key, row in rows.items() if key not in due]
        for start in range(0, len(others), settings.CLAIM_SIZE):
            yield others[start : start + settings.CLAIM_SIZE]
