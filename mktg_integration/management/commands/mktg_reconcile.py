"""``manage.py mktg_reconcile``: find what no signal told of, and mark it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import CommandParser

from mktg_integration.exceptions import MktgError
from mktg_integration.management.base import MktgCommand, table
from mktg_integration.models import Connection, RunStatus
from mktg_integration.pull.refresh import refresh_contacts
from mktg_integration.push.pages import count_everybody
from mktg_integration.push.reconcile import COUNTS, Reconciled, reconcile

WORDS = {
    "people": "people compared",
    "in_step": "in step",
    "missing": "missing: wanted and never sent",
    "different": "different: wanted otherwise than sent",
    "withdrawn": "sent once and wanted no more",
    "drift": "changed at the service alone: left as it is",
    "waiting": "marked already",
    "rejected": "rejected: see mktg_status",
    "refused": "refused: the mapping fails, or an address is somebody else's",
    "extra": "contacts at the service that are nobody's here",
}


class Command(MktgCommand):
    help = (
        "Compare what the mapping wants of everybody with what was last sent and what is known, and mark what is "
        "missing, different or wanted no more, as a backfill: QuerySet.update, bulk_create and raw SQL tell nobody. "
        "Calls no service, except with --refresh."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--refresh",
            action="store_true",
            help="first read each contact anew, one call each, where the service has no list of them",
        )
        parser.add_argument(
            "--limit", type=_positive, metavar="N", help="mark N people and no more: a canary, before all are marked"
        )

    def run(
        self, *, connection: str | None, dry_run: bool, refresh: bool, limit: int | None, **_: Any
    ) -> dict[str, Any]:
        results: dict[str, Any] = {}
        for row in self.connections(connection):
            result: dict[str, Any] = {}
            results[row.name] = result
            try:
                if refresh:
                    result["refreshed"] = self._refresh(row)
                result.update(self._reconcile(row, dry_run=dry_run, limit=limit))
            except MktgError as error:
                result["error"] = str(error)
                self.fail(f"{row.name}: {error}")
        return {"connections": results, "dry_run": dry_run}

    def _refresh(self, connection: Connection) -> dict[str, int]:
        progress = self.progress(f"{connection.name}: reading contacts", total=None)
        try:
            refreshed = refresh_contacts(connection, on_page=progress.update)
        finally:
            progress.close()
        self.say(f"{connection.name}: {refreshed.read} contacts read anew, {refreshed.gone} of them gone")
        return {"read": refreshed.read, "changed": refreshed.changed, "gone": refreshed.gone}

    def _reconcile(self, connection: Connection, *, dry_run: bool, limit: int | None) -> dict[str, Any]:
        progress = self.progress(connection.name, total=count_everybody())
        try:
            found = reconcile(connection, dry_run=dry_run, limit=limit, on_page=progress.update)
        finally:
            progress.close()
        self._tell(connection, found, dry_run=dry_run)
        if found.status != RunStatus.DONE:
            self.fail(f"{connection.name}: {found.status} {found.detail}".rstrip())
        return {
            **found.counts(),
            "fields": found.fields,
            "examples": found.examples,
            "status": str(found.status),
            "detail": found.detail,
        }

    def _tell(self, connection: Connection, found: Reconciled, *, dry_run: bool) -> None:
        number = found.missing + found.different + found.withdrawn if dry_run else found.marked
        self.say(f"{connection.name}: {number} people {'would be marked' if dry_run else 'marked'}")
        if found.detail:
            self.say(f"  {found.detail}")
        self.say(table([WORDS[name], getattr(found, name)] for name in COUNTS))
        if found.fields:
            self.say("  fields that differ:")
            self.say(table(Counter(found.fields).most_common(), indent="    "))
        for kind, subjects in sorted(found.examples.items()):
            self.say(f"  {kind}, such as: {', '.join(subjects[:5])}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
