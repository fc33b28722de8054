"""``manage.py mktg_prune``: remove what is too old to be of use."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from mktg_integration.conf import settings
from mktg_integration.management.base import MktgCommand
from mktg_integration.pruning import prune


class Command(MktgCommand):
    help = (
        "Remove old runs, deliveries, attempts and audit entries, and the rate slots of credentials that are used no "
        "more. "
        "The schedule does so each day."
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=float,
            default=settings.RUNS_KEPT_DAYS,
            help="keep runs of so many days (default: %(default)s, the setting RUNS_KEPT_DAYS)",
        )

    def run(self, *, connection: str | None, days: float, dry_run: bool, **_: Any) -> dict[str, Any]:
        only = self.connections(connection)[0].pk if connection else None
        pruned = prune(days=days, connection_id=only, dry_run=dry_run)
        would = "would be removed" if dry_run else "removed"
        self.say(
            f"{pruned.runs} runs, {pruned.inbox} deliveries, {pruned.attempts} attempts, {pruned.audit} audit entries "
            f"and {pruned.rate_slots} rate slots {would}"
        )
        return pruned._asdict()
