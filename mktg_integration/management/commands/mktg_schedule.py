"""``manage.py mktg_schedule``: install what has to run by the clock."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from mktg_integration.background import PERIODIC
from mktg_integration.conf import settings
from mktg_integration.management.base import MktgCommand


class Command(MktgCommand):
    help = (
        "Create or correct the schedules: a drain each minute, so that nothing depends on a wake-up, a pull of "
        "what has changed each quarter of an hour (and in full of what is due: each day, who is in what each week), "
        "and a clean-up each day. May be run with each deployment."
    )
    takes_connection = False

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--remove", action="store_true", help="remove the schedules")

    def run(self, *, remove: bool, dry_run: bool, **_: Any) -> dict[str, Any]:
        if settings.TASK_ENGINE == "django-q2":
            return self._with_q2(remove=remove, dry_run=dry_run)
        if settings.TASK_ENGINE == "celery":
            return self._with_celery()
        for task in PERIODIC:
            self.say(f"have {task.path} called each {task.minutes} minutes")
        return {"engine": settings.TASK_ENGINE, "periodic": [task._asdict() for task in PERIODIC]}

    def _with_q2(self, *, remove: bool, dry_run: bool) -> dict[str, Any]:
        from mktg_integration.background import q2

        if remove:
            names = [task.name for task in PERIODIC] if dry_run else q2.remove_schedules()
            self.say("removed: " + (", ".join(names) or "none was there"))
            return {"engine": "django-q2", "removed": names}
        names = q2.missing_schedules() if dry_run else q2.install_schedules()
        self.say("created or corrected: " + (", ".join(names) or "all were there"))
        return {"engine": "django-q2", "installed": names}

    def _with_celery(self) -> dict[str, Any]:
        beat = {
            task.name: {"task": "mktg_integration.run", "schedule": task.minutes * 60.0, "args": [task.path]}
            for task in PERIODIC
        }
        self.say("Add to your Celery application:\n\napp.conf.beat_schedule.update({")
        for name, entry in beat.items():
            self.say(f"    {name!r}: {entry!r},")
        self.say("})")
        return {"engine": "celery", "beat_schedule": beat}
