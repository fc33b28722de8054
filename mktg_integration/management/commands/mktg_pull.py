"""``manage.py mktg_pull``: read what the services hold into the mirror, in the foreground."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import QuerySet

from mktg_integration.exceptions import MktgError, UnsupportedError
from mktg_integration.management.base import MktgCommand, Progress, table
from mktg_integration.models import Connection, Contact, PullCheckpoint, RunStatus
from mktg_integration.operations.contacts import looks_up
from mktg_integration.profile import normal_email
from mktg_integration.pull import paces
from mktg_integration.pull.engine import PullReport, pull
from mktg_integration.pull.progress import TOTALS, StreamCounts
from mktg_integration.pull.refresh import refresh_contacts
from mktg_integration.pull.streams import Stream, chosen, streams_of


class Command(MktgCommand):
    help = (
        "Read what the services hold into the mirror: what has changed, and in full what is due for it. A pull that "
        "was cut off is gone on with after its last page. Contacts of a service without lists are read one by "
        "one: with --contact, or all with --full. Ends non-zero if something failed or has to be confirmed."
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

        parser.add_argument(
            "--contact",
            metavar="EMAIL",
            action="append",
            default=[],
            help="only read this contact anew, one call for each connection that knows it; may be repeated",
        )

    def run(
        self,
        *,
        connection: str | None,
        resource: list[str],
        full: bool,
        resume: bool,
        confirm_deletions: bool,
        contact: list[str],
        dry_run: bool,
        **_: Any,
    ) -> dict[str, Any]:
        chosen_connections = self.connections(connection)
        if contact:
            return self._read_contacts(chosen_connections, contact, named=connection is not None, dry_run=dry_run)
        told: dict[str, Any] = {}
        for row in chosen_connections:
            streams = self._streams(row)
            if self._has_no_lists(row) and full and not resource:
                told[row.name] = self._read_all(row, confirm_deletions=confirm_deletions, dry_run=dry_run)
                continue
            if self._has_no_lists(row) and connection is not None and not resource:
                self.say(f"{row.name}: {row.driver.label} has no lists; --full reads its contacts one by one")
                continue
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

    # One by one

    @staticmethod
    def _has_no_lists(connection: Connection) -> bool:
        return connection.driver.reads_one_by_one(connection.driver.options(connection.account()))

    def _read_contacts(
        self, connections: list[Connection], emails: list[str], *, named: bool, dry_run: bool
    ) -> dict[str, Any]:
        keys = [normal_email(email) for email in emails]
        known = Contact.objects.filter(email_key__in=keys, deleted_at=None, connection__in=connections)
        names = {row.pk: row for row in connections}
        chosen_rows = sorted({names[pk] for pk in known.values_list("connection_id", flat=True)}, key=lambda r: r.name)
        if not chosen_rows:
            raise CommandError("no connection knows a contact with this address: mktg_pull reads the lists")
        if not named:
            chosen_rows = [row for row in chosen_rows if self._reads_contacts(row)]
        return {
            "connections": {
                row.name: {"would_read": known.filter(connection=row).count()}
                if dry_run
                else self._read_anew(row, known.filter(connection=row), skips=not named)
                for row in chosen_rows
            }
        }

    def _reads_contacts(self, connection: Connection) -> bool:
        """Whether the service has a way to read a contact; says so where it has none."""
        if looks_up(connection):
            return True
        self.say(f"{connection.name}: {connection.driver.label} has no way to read a contact")
        return False

    def _read_all(self, connection: Connection, *, confirm_deletions: bool, dry_run: bool) -> dict[str, Any]:
        known = Contact.objects.filter(connection=connection, deleted_at=None)
        if dry_run:
            self.say(f"{connection.name}: would read {known.count()} contacts, one call each")
            return {"would_read": known.count()}
        return self._read_anew(connection, known, confirm_deletions=confirm_deletions)

    def _read_anew(
        self,
        connection: Connection,
        contacts: QuerySet[Contact],
        *,
        confirm_deletions: bool = False,
        skips: bool = False,
    ) -> dict[str, Any]:
        """``skips``: that a connection cannot read contacts is said, and no failure."""
        bar = self.progress(f"{connection.name}: contacts", total=None)
        try:
            done = refresh_contacts(connection, contacts, confirm_deletions=confirm_deletions, on_page=bar.update)
        except MktgError as error:
            if skips and isinstance(error, UnsupportedError):
                self.say(f"{connection.name}: {error}")
                return {"skipped": str(error)}
            self.fail(f"{connection.name}: {error}")
            return {"error": str(error)}
        finally:
            bar.close()
        self.say(f"{connection.name}: {done.read} read, {done.changed} changed, {done.gone} gone, {done.failed} failed")
        if done.failed:
            self.fail(f"{connection.name}: {done.failed} contacts could not be read")
        return {"read": done.read, "changed": done.changed, "gone": done.gone, "failed": done.failed}

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
