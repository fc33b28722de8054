"""``manage.py mktg_status``: how the connections are, what is due, and who works."""

from __future__ import annotations

from typing import Any

from mktg_integration.conf import settings
from mktg_integration.management.base import MktgCommand, table
from mktg_integration.status import ConnectionStatus, connection_statuses


class Command(MktgCommand):
    help = (
        "Tell how each connection is (by its last real calls), what is due, what was rejected and why, and whether "
        "schedules and workers are there. Calls no service. Ends non-zero if something needs a person."
    )
    takes_dry_run = False

    def run(self, *, connection: str | None, **_: Any) -> dict[str, Any]:
        statuses = connection_statuses(self.connections(connection))
        for status in statuses:
            self._tell(status)
        if not statuses:
            self.say("No connection yet: declare one in settings, then run migrate")
        return {"connections": [status.as_dict() for status in statuses], "background": self._background()}

    def _tell(self, status: ConnectionStatus) -> None:
        self.say(f"{status.name} ({status.provider}): {status.health}")
        told: list[tuple[str, object]] = []
        if status.waits_because:
            told.append(("waits", f"{status.waits_because} until {status.waits_until:%Y-%m-%d %H:%M:%S} UTC"))
        if status.detail:
            told.append(("because", status.detail))
        told += [
            ("last success", status.last_success_at or "never"),
            ("last failure", status.last_failure_at or "never"),
            ("due", ", ".join(f"{count} {lane}" for lane, count in status.due.items()) or "nothing"),
        ]
        if status.oldest_seconds is not None:
            told.append(("oldest", f"{status.oldest_seconds:.0f} s"))
        if status.later:
            told.append(("to be tried later", status.later))
        for state, codes in status.dead.items():
            told += [(state, f"{count} {code}") for code, count in codes.items()]
        self.say(table(told))
        if status.needs_person:
            self.fail(f"{status.name} needs a person ({status.waits_because}): {status.detail}")

    def _background(self) -> dict[str, Any]:
        if settings.TASK_ENGINE != "django-q2":
            self.say(f"Tasks run on {settings.TASK_ENGINE}; ask it for its workers and schedules")
            return {"engine": settings.TASK_ENGINE}
        from mktg_integration.background import q2

        missing = q2.missing_schedules()
        workers = q2.workers()
        self.say("Schedules: " + ("missing, run mktg_schedule" if missing else "present"))
        told = "not known, because the cache that the cluster reports to is not shared" if workers is None else workers
        self.say(f"Workers: {told}")
        if missing:
            self.fail("schedules are missing: run mktg_schedule")
        return {"engine": "django-q2", "missing_schedules": missing, "workers": workers, "queued": q2.queued()}
