"""``manage.py mktg_pull``: read what the services hold into the mirror, in the foreground."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from mktg_integration.management.base import MktgCommand, Progress, table
from mktg_integration.models import Connection, PullCheckpoint, RunStatus
from mktg_integration.pull import paces
from mktg_integration.pull.engine import PullReport, pull
from mktg_integration.pull.progress import TOTALS, StreamCounts
from mktg_integration.pull.streams import Stream, chosen, streams_of


class Command(MktgCommand):
    help = (
        "Read what the services hold into the mirror: what has changed, and in full what is due for it. A pull that "
        "was cut off is gone on with after its last page. Ends non-zero if something failed or has to be confirmed."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--resource", metavar="NAME", action="append", default=[], help="only this resource; may be repeated"
        )
        parser.add_argument("--full", action="store_true", help="read everything; what is not there any more is gone")
        parser.add_argument(
            "--resume", action="store_true", help="only go on with the last pull, if it did not come to its end"
        )
        parser.add_argument(
            "--confirm-deletions",
            action="store_true",
            help="mark as gone whatever is not there any more, however much; by itself: for the resources that asked",
        )

    def run(
        self,
        *,
        connection: str | None,
        resource: list[str],
        full: bool,
        resume: bool,
        confirm_deletions: bool,
        dry_run: bool,
        **_: Any,
    ) -> dict[str, Any]:
        chosen_connections = self.connections(connection)
        told: dict[str, Any] = {}
        for row in chosen_connections:
            streams = self._streams(row)
            if not streams and connection is None:
                self.say(f"{row.name}: {row.driver.label} has no lists to read")
                continue
            chosen(streams, resource, row.driver)
            if dry_run:
                told[row.name] = self._plan(row, chosen(streams, resource, row.driver), full=full)
                continue
            told[row.name] = self._pull(
                row, resources=resource, full=full, resume=resume, confirm_deletions=confirm_deletions
            )
        return {"connections": told}

    @staticmethod
    def _streams(connection: Connection) -> list[Stream]:
        account = connection.account()
        connection.driver.check_credentials(account.credentials)
        return streams_of(connection, connection.driver, connection.driver.options(account))

    # Pulling

    def _pull(self, connection: Connection, **asked: Any) -> dict[str, Any]:
        bars: dict[str, tuple[Progress, int]] = {}

        def on_progress(stream: str, counts: StreamCounts) -> None:
            bar, shown = bars.get(stream) or (self.progress(f"{connection.name}: {stream}", total=None), 0)
            bar.update(counts.rows - shown)
            bars[stream] = (bar, counts.rows)

        try:
            report = pull(connection.pk, patient=True, on_progress=on_progress, **asked)
        finally:
            for bar, _ in bars.values():
                bar.close()
        self._tell(connection, report)
        return {
            "run": report.run_id,
            "status": str(report.status),
            "detail": report.detail,
            "streams": report.streams,
            **{name: sum(counts[name] for counts in report.streams.values()) for name in TOTALS},
        }

    def _tell(self, connection: Connection, report: PullReport) -> None:
        self.say(f"{connection.name}: {report.status}")
        if report.streams:
            head = ("resource", "read", *TOTALS)
            rows = [
                (name, "in full" if counts["full"] else "changes", *(counts[total] for total in TOTALS))
                for name, counts in report.streams.items()
            ]
            self.say(table([head, *rows]))
        if report.status == "nothing":
            self.say(f"  {report.detail}")
        elif report.status != RunStatus.DONE:
            self.fail(f"{connection.name}: {report.status}: {report.detail}")

    # Telling only

    def _plan(self, connection: Connection, streams: list[Stream], *, full: bool) -> dict[str, Any]:
        known = {row.stream: row for row in PullCheckpoint.objects.filter(connection=connection)}
        plan = {}
        for stream in streams:
            row = known.get(stream.name)
            plan[stream.name] = {
                "read": "in full" if full or paces.due_in_full(stream) or not stream.spec.by_date else "changes",
                "goes_on": bool(row is not None and row.reading),
                "read_through": row.read_through if row is not None else None,
                "asks_about_deletions": row.missing if row is not None else 0,
            }
        self.say(f"{connection.name}:")
        head = ("resource", "would be read", "after a page", "read through")
        rows = [
            (name, told["read"], "yes" if told["goes_on"] else "no", told["read_through"] or "never")
            for name, told in plan.items()
        ]
        self.say(table([head, *rows]))
        return plan
