"""``manage.py mktg_status``: how the connections are, what is due, and who works."""

from __future__ import annotations

from typing import Any

from mktg_integration.conf import settings
from mktg_integration.insight.backlog import Backlog, backlogs
from mktg_integration.insight.counting import shown
from mktg_integration.insight.deliveries import ReasonGroup, reasons
from mktg_integration.insight.health import Health, healths
from mktg_integration.management.base import MktgCommand, table
from mktg_integration.models import Connection


class Command(MktgCommand):
    help = (
        "Tell how each connection is (by its last real calls), what is due, what was rejected and why, and whether "
        "schedules and workers are there. Counts no further than a thousand. Calls no service. Ends non-zero if "
        "something needs a person."
    )
    takes_dry_run = False

    def run(self, *, connection: str | None, **_: Any) -> dict[str, Any]:
        connections = self.connections(connection)
        waiting = backlogs(row.pk for row in connections)
        told = [
            self._tell(row, health, waiting[row.pk])
            for row, health in zip(connections, healths(connections), strict=True)
        ]
        if not told:
            self.say("No connection yet: declare one in settings, then run migrate")
        return {"connections": told, "background": self._background()}

    def _tell(self, connection: Connection, health: Health, backlog: Backlog) -> dict[str, Any]:
        """As JSON has it, and for people."""
        dead = reasons(connection)
        self.say(f"{health.name} ({health.provider}): {health.state.label}")
        self.say(table(_lines(health, backlog, dead)))
        if health.needs_person:
            why = health.detail or health.reason
            self.fail(f"{health.name} needs a person ({health.wait_reason}): {why}")
        by_state: dict[str, dict[str, int]] = {}
        for group in dead:
            by_state.setdefault(group.state, {})[group.code] = group.count
        return {
            "name": health.name,
            "provider": health.provider,
            "health": health.state.value,
            "reason": health.reason,
            "todo": health.todo,
            "needs_person": health.needs_person,
            "waits_because": health.wait_reason,
            "waits_until": health.waits_until,
            "detail": health.detail,
            "last_success_at": health.last_success_at,
            "last_failure_at": health.last_failure_at,
            "due": backlog.due,
            "later": backlog.later,
            "oldest_seconds": health.oldest_seconds,
            "dead": by_state,
        }

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


def _lines(health: Health, backlog: Backlog, dead: list[ReasonGroup]) -> list[tuple[str, object]]:
    told: list[tuple[str, object]] = [("why", health.reason)]
    if health.detail:
        told.append(("because", health.detail))
    if health.waits_until is not None:
        told.append(("waits until", f"{health.waits_until:%Y-%m-%d %H:%M:%S} UTC"))
    if health.todo:
        told.append(("to do", health.todo))
    told += [
        ("last success", health.last_success_at or "never"),
        ("last failure", health.last_failure_at or "never"),
        ("due", ", ".join(f"{shown(count)} {lane}" for lane, count in backlog.due.items()) or "nothing"),
    ]
    if health.oldest_seconds is not None:
        told.append(("oldest", f"due for {health.oldest_seconds:.0f} s"))
    if backlog.later:
        told.append(("to be tried later", shown(backlog.later)))
    told += [(group.state, f"{group.count}{'+' if group.bounded else ''} {group.code}") for group in dead]
    return told
