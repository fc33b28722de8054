"""A run's row while the run is at work: its progress, whether somebody cancelled it, and how it ends.

A run goes on in parts, each in a task of its own. Whoever works on it writes its row at most once a second, with one
statement that also tells whether the run was cancelled or taken over: only who wrote last may write again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import router
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.conf import settings
from mktg_integration.exceptions import MktgError, ServiceError
from mktg_integration.models import Connection, Run, RunKind, RunStatus
from mktg_integration.signals import run_finished

SECONDS = 1.0
"""Between two writes of the progress."""
ERRORS = 50
"""Of one run that are kept."""
QUEUED_FOR = timedelta(minutes=30)
"""A run that no worker has begun in this time is not waited for any more."""
OPEN = (RunStatus.RUNNING, RunStatus.WAITING)
CUT_OFF = "was cut off; resume it, and it goes on where it was"


class Cancelled(Exception):  # noqa: N818 (not an error: somebody wished it)
    """Somebody cancelled the run. What it has done stays."""


class TakenOver(Exception):  # noqa: N818 (not an error: another goes on)
    """Another task goes on with the run, or it was ended: nothing more may be written."""


class RunWriter:
    """Writes one run's row. ``run`` must be as the database has it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._using = router.db_for_write(Run)
        self._written_at = time.monotonic()

    def begin(self) -> bool:
        """Begin with a part. False where the run has ended, was cancelled or is another's by now."""
        mine = self._mine().filter(status__in=OPEN, cancel_requested=False)
        if self._write(mine, status=RunStatus.RUNNING, detail="", finished_at=None):
            return True
        self.run.refresh_from_db()
        if self.run.cancel_requested and self.run.status in OPEN:
            self.end(RunStatus.CANCELLED)
        return False

    @property
    def is_due(self) -> bool:
        """Whether the last write was so long ago that progress is worth another."""
        return time.monotonic() - self._written_at >= SECONDS

    def moved(self, counts: Mapping[str, Any], **values: Any) -> None:
        """Write how far it is. Raises ``Cancelled`` and ``TakenOver``."""
        mine = self._mine().filter(status=RunStatus.RUNNING, cancel_requested=False)
        if self._write(mine, counts=dict(counts), errors=self.run.errors, **values):
            return
        told = Run.objects.using(self._using).filter(pk=self.run.pk).values_list("cancel_requested", "status").first()
        self.run.counts = dict(counts)
        if told is not None and told[0] and told[1] == RunStatus.RUNNING:
            raise Cancelled
        raise TakenOver

    def error(self, about: str, code: str, reason: str, *, status: int | None = None, request_id: str = "") -> None:
        """Keep one of the first errors; written with the progress. No argument may hold personal data."""
        if len(self.run.errors) < ERRORS:
            kept = {"about": about, "code": code, "reason": reason[:500], "status": status, "request_id": request_id}
            self.run.errors = [*self.run.errors, kept]

    def failed(self, about: str, error: MktgError) -> None:
        """Keep the error, with what the service said where it was one's."""
        if isinstance(error, ServiceError):
            code = error.code or str(error.action)
            self.error(about, code, str(error), status=error.status, request_id=error.request_id)
        else:
            self.error(about, type(error).__name__, str(error))

    def pause(self, status: RunStatus, detail: str, **values: Any) -> None:
        """The part has ended and the run goes on in another: RUNNING soon, WAITING when what it waits for has come."""
        self._write(self._mine(), status=status, detail=detail[:500], errors=self.run.errors, **values)

    def end(self, status: RunStatus, detail: str = "", **values: Any) -> bool:
        """The run has ended, and that is told by ``run_finished``. False where it was another's by now."""
        now = timezone.now()
        ended = {"status": status, "detail": detail[:500], "finished_at": now, "errors": self.run.errors, **values}
        if not self._write(self._mine(), **ended):
            return False
        run_finished.send_robust(sender=Connection, connection=self.run.connection, run=self.run)
        return True

    def _mine(self) -> Any:
        return Run.objects.using(self._using).filter(pk=self.run.pk, moved_at=self.run.moved_at)

    def _write(self, rows: Any, **values: Any) -> bool:
        values["moved_at"] = max(timezone.now(), self._after_last())
        self._written_at = time.monotonic()
        if not sql.retrying(lambda: rows.update(**values), using=self._using):
            return False
        for name, value in values.items():
            setattr(self.run, name, value)
        return True

    def _after_last(self) -> datetime:
        """A clock that stands still or goes back must not make two writes look alike."""
        last = self.run.moved_at
        return timezone.now() if last is None else last + timedelta(microseconds=1)


def reopen(run: Run) -> bool:
    """Have a run that ended, stalled or waits go on. False where it is another's by now."""
    as_seen = Run.objects.filter(pk=run.pk, status=run.status, moved_at=run.moved_at)
    now = timezone.now()
    counts = {**run.counts, **paced_from(run, now)}
    again = {"status": RunStatus.RUNNING, "finished_at": None, "cancel_requested": False, "detail": ""}
    if not as_seen.update(**again, moved_at=now, counts=counts):
        return False
    run.refresh_from_db()
    return True


def done_of(run: Run) -> int:
    """How many of its ``total`` it has gone through: rows of a pull, people of a push or a reconcile."""
    counts = run.counts
    if run.kind == RunKind.PULL:
        return sum(int(counts.get(name, 0)) for name in ("added", "changed", "unchanged", "rejected"))
    if run.kind == RunKind.RECONCILE:
        return int(counts.get("people", 0))
    if counts.get("stage") == "marking":
        return int(counts.get("marked", 0))
    if "left" in counts and run.total is not None:
        return max(run.total - int(counts["left"]), 0)
    return int(counts.get("sent", counts.get("done", 0)))


def paced_from(run: Run, moment: datetime) -> dict[str, Any]:
    """Of ``counts``: from when on, and from how many, its speed is measured."""
    return {"since": moment.isoformat(), "since_done": done_of(run)}


def is_stalled(run: Run, *, now: datetime | None = None) -> bool:
    """Whether a run that should be at work gave no sign of life for too long: its process died, or none began it."""
    if run.status != RunStatus.RUNNING:
        return False
    now = now or timezone.now()
    if run.moved_at is None:
        return run.started_at < now - QUEUED_FOR
    return run.moved_at < now - stalled_after()


def stalled_after() -> timedelta:
    return timedelta(seconds=1.5 * settings.LEASE_SECONDS)


def at_work(connection: Connection | int, kind: RunKind) -> Run | None:
    """The run of this kind that is at work on the connection, or about to begin."""
    running = Run.objects.filter(connection=connection, kind=kind, status=RunStatus.RUNNING).order_by("-started_at")
    return next((run for run in running[:20] if not is_stalled(run)), None)


def close_cut_off(connection: Connection, kind: RunKind, detail: str = CUT_OFF) -> None:
    """Tell of runs that nobody is at work on any more, and that nobody is about to begin, that they have failed."""
    now = timezone.now()
    unfinished = Run.objects.filter(connection=connection, kind=kind, status__in=OPEN, finished_at=None)
    queued = unfinished.filter(moved_at=None, started_at__gte=now - QUEUED_FOR).values_list("pk", flat=True)
    unfinished.exclude(pk__in=list(queued)).update(status=RunStatus.FAILED, finished_at=now, detail=detail)
