"""``manage.py mktg_doctor``: look at everything that sending needs, and say what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mktg_integration.exceptions import DecryptionError
from mktg_integration.management.base import MktgCommand
from mktg_integration.management.doctor import look_at_connection, look_at_site
from mktg_integration.management.findings import Finding

SIGNS = {"ok": "  ok    ", "note": "  note  ", "problem": "  WRONG "}


class Command(MktgCommand):
    help = (
        "Look at settings, keys, clock, schedules, workers, and at each connection: whether the service lets it in, "
        "which fields the account lacks, what is skipped. Calls the services, and changes nothing there or here. Ends "
        "non-zero if something is wrong."
    )
    takes_dry_run = False

    def run(self, *, connection: str | None, **_: Any) -> dict[str, Any]:
        site = self._tell("site", look_at_site())
        try:
            chosen = self.connections(connection)
        except DecryptionError:
            # What it means was told with the keys.
            return {"site": site, "connections": {}}
        found = {row.name: self._tell(f"{row.name} ({row.provider})", look_at_connection(row)) for row in chosen}
        if not found:
            self.say("No connection yet: declare one in settings, then run migrate")
        return {"site": site, "connections": found}

    def _tell(self, title: str, findings: Iterable[Finding]) -> list[dict[str, str]]:
        self.say(title)
        told = []
        for finding in findings:
            told.append(finding.as_dict())
            self.say(f"{SIGNS[finding.level]}{finding.about}: {finding.text}")
            if finding.level == "problem":
                self.fail(f"{title}: {finding.about}")
        return told
