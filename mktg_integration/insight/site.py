"""Whether the site's workers and schedules are there, told from what they last did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.apps import apps
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext

from mktg_integration.conf import settings
from mktg_integration.heartbeat import last_beat


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteWarning:
    """What keeps the whole site from sending or reading. ``todo`` says what to do, ``command`` what to type."""

    code: str
    text: str
    todo: str
    command: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteHealth:
    """``worker_at`` is when a worker last ran a scheduled task, None where none ever has."""

    worker_at: datetime | None
    works: bool
    schedules_missing: tuple[str, ...] = ()
    pushes: bool = True
    warnings: tuple[SiteWarning, ...] = ()


def site_health() -> SiteHealth:
    """Two statements: the heartbeat, and the schedules where django-q2 keeps them."""
    worker_at = last_beat()
    silent = timedelta(seconds=settings.HEARTBEAT_SECONDS)
    works = worker_at is not None and timezone.now() - worker_at <= silent
    missing = tuple(_schedules_missing())
    warnings = [
        warning
        for warning in (
            None if works else _no_worker(worker_at),
            _no_schedules(missing) if missing else None,
            None if settings.PUSH else _no_pushing(),
        )
        if warning is not None
    ]
    return SiteHealth(
        worker_at=worker_at,
        works=works,
        schedules_missing=missing,
        pushes=bool(settings.PUSH),
        warnings=tuple(warnings),
    )


def _schedules_missing() -> list[str]:
    # Another engine keeps its own schedules, of which the heartbeat tells.
    if settings.TASK_ENGINE != "django-q2" or not apps.is_installed("django_q"):
        return []
    from mktg_integration.background import q2

    return q2.missing_schedules()


def _no_worker(worker_at: datetime | None) -> SiteWarning:
    if worker_at is None:
        text = gettext("No worker has run a scheduled task yet, so nothing is sent or read.")
    else:
        ago = timesince(worker_at)
        text = gettext("No worker has run a scheduled task for %(time)s, so nothing is sent or read.") % {"time": ago}
    todo = gettext("Start the workers, and keep them running.")
    command = "python manage.py qcluster" if settings.TASK_ENGINE == "django-q2" else ""
    return SiteWarning(code="worker", text=text, todo=todo, command=command)


def _no_schedules(missing: tuple[str, ...]) -> SiteWarning:
    text = ngettext(
        "A schedule is missing or wrong: %(names)s.", "Schedules are missing or wrong: %(names)s.", len(missing)
    ) % {"names": ", ".join(name.partition(": ")[2] or name for name in missing)}
    todo = gettext("Install the schedules.")
    return SiteWarning(code="schedules", text=text, todo=todo, command="python manage.py mktg_schedule")


def _no_pushing() -> SiteWarning:
    return SiteWarning(
        code="push",
        text=gettext("Pushing is switched off for the whole site: changes are noted, and nothing is sent."),
        todo=gettext('Set MKTG_INTEGRATION["PUSH"] to True to send.'),
    )
