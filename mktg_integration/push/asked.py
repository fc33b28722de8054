"""A push that somebody asked for: everybody is marked where that was wished, what is due is sent, and the run tells how
far it is.

The rows are the outbox's own: a drain that was woken by a signup may send them as well, and what it did is counted here
too. It goes on in parts, each a task of its own; where it was is kept with its counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, router
from django.db.models import DateTimeField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from mktg_integration import sql
from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection, DeadKind, DeadRow, Kind, Lane, OutboxRow, Run, RunKind, RunStatus
from mktg_integration.models import WaitReason as Wait
from mktg_integration.push import bulk, outbox
from mktg_integration.push.drain import DrainReport, drain
from mktg_integration.push.pages import count_everybody, everybody
from mktg_integration.running import CUT_OFF, Cancelled, RunWriter, TakenOver

BUSY_SECONDS = 3.0
"""Until the next look while another drain is at it."""
LEAST_SECONDS = 1.0
TAKEN_BACK = 1000
"""Rows that one statement takes back."""
SLACK = timedelta(minutes=1)
"""By which the clocks of this machine and of the database may differ."""
BY_HAND = ("off", "paused", "dry_run")
"""What ends only when a person sees to it."""


def work(
    run_id: int,
    *,
    seconds: float,
    callback_url: bulk.CallbackURL | None = None,
) -> float | None:
    """Go on with a push for about ``seconds``. The seconds until its next part is due; None where there is none.

    Of a run that was cancelled whoever it marked and was not sent yet is taken back. Raises ``DatabaseError``.
    """
    run = Run.objects.select_related("connection").filter(pk=run_id, kind=RunKind.PUSH).first()
    if run is None:
        return None
    part = _Part(run, time.monotonic() + seconds, callback_url)
    if not part.writer.begin():
        if run.status == RunStatus.CANCELLED:
            part.take_back()
            Run.objects.filter(pk=run.pk, status=RunStatus.CANCELLED).update(counts=part.counts)
        return None
    try:
        return part.go_on()
    except Cancelled:
        part.take_back()
        part.writer.end(RunStatus.CANCELLED, counts=part.counts)
    except TakenOver:
        pass
    except MktgError as error:
        part.writer.failed("", error)
        part.writer.end(RunStatus.FAILED, str(error), counts=part.counts)
    except BaseException:
        part.writer.end(RunStatus.FAILED, CUT_OFF, counts=part.counts)
        raise
    return None


class _Part:
    def __init__(self, run: Run, ends_at: float, callback_url: bulk.CallbackURL | None) -> None:
        self.run = run
        self.connection: Connection = run.connection
        self.writer = RunWriter(run)
        self.ends_at = ends_at
        self.callback_url = callback_url
        self._told_errors = 0
        begun = {"marked": 0, "sent": 0, "rejected": 0, "postponed": 0, "calls": 0, "seen_run": run.pk}
        self.counts: dict[str, Any] = {**begun, **run.counts}

    def go_on(self) -> float | None:
        to_be_marked = self.counts["asked"].get("everybody") and self.counts.get("stage") != "sending"
        if to_be_marked and not self._mark():
            self.writer.pause(RunStatus.RUNNING, "", counts=self.counts)
            return 0.0
        if self.counts.get("stage") != "sending":
            self.counts["stage"] = "sending"
            self.counts["until"] = (timezone.now() + SLACK).isoformat()
            self.counts |= {"since": timezone.now().isoformat(), "since_done": 0, "left": self._left()}
            self.writer.moved(self.counts, total=max(self.counts["left"], self.counts["marked"]))
        return self._send()

    # Marking

    def _mark(self) -> bool:
        """Whether everybody is marked."""
        if "stage" not in self.counts:
            self.counts |= {
                "stage": "marking",
                "marked": 0,
                "marks_from": _database_now().isoformat(),
                "place": ["user", None],
            }
            self.writer.moved(self.counts, total=count_everybody())
        for stage, subjects, last in everybody(*self.counts["place"]):
            outbox.mark(subjects, lane=Lane.BACKFILL, connections=[self.connection.pk])
            self.counts["marked"] += len(subjects)
            self.counts["place"] = [stage, last]
            self._moved()
            if time.monotonic() >= self.ends_at:
                return False
        return True

    def take_back(self) -> int:
        """Those who were marked by this run, and of whom nothing was sent or tried yet."""
        marks_from = parse_datetime(self.counts.get("marks_from", ""))
        if marks_from is None:
            return 0
        # A later save makes a row LIVE, and an earlier one left its time in it: neither is this run's.
        rows = OutboxRow.objects.filter(
            connection=self.connection,
            lane=Lane.BACKFILL,
            kind=Kind.PROFILE,
            claim_token="",
            attempts=0,
            marked_at__gte=marks_from,
        )
        taken = 0
        for keys in _key_pages(rows):
            page = rows.filter(pk__in=keys)
            taken += sql.retrying(lambda page=page: page.delete()[0], using=outbox.alias())  # type: ignore[misc]
        # Resumed, it begins with the first page; of whom nothing has changed since nothing is sent.
        for name in ("stage", "place", "marks_from"):
            self.counts.pop(name, None)
        return taken

    # Sending

    def _send(self) -> float | None:
        before = dict(self.counts)
        seconds = max(self.ends_at - time.monotonic(), LEAST_SECONDS)

        def on_batch(report: DrainReport) -> None:
            self._count(before, report)
            self._moved()

        report = drain(
            self.connection.pk,
            seconds=seconds,
            callback_url=self.callback_url,
            on_batch=on_batch,
        )
        self._count(before, report)
        self._count_others()
        self.counts["left"] = self._left()
        return self._after(report)

    def _after(self, report: DrainReport) -> float | None:
        waits = report.waiting
        if not self._due().exists():
            self._end()
            return None
        if waits in BY_HAND or waits == Wait.COPY:
            details = {"off": "sending is switched off", "paused": "the connection is paused"}
            detail = report.detail or details.get(waits, "the connection is a dry run: nothing is sent")
            self.writer.pause(RunStatus.WAITING, detail, counts=self.counts)
            return None
        if waits == "busy" or not waits or waits == Wait.RATE:
            detail = report.detail if waits == Wait.RATE else ""
            self.writer.pause(RunStatus.RUNNING, detail, counts=self.counts)
            seconds = 0.0 if report.claimed and not waits else BUSY_SECONDS
            return max(report.next_in or 0.0, seconds)
        detail = report.detail or self.connection.state.wait_detail or str(Wait(waits).label)
        self.writer.pause(RunStatus.WAITING, detail, counts=self.counts)
        return max(report.next_in or 60.0, LEAST_SECONDS)

    def _end(self) -> None:
        self.counts["postponed"] = self.counts["left"]
        held = DeadRow.objects.filter(connection=self.connection, state=DeadKind.HELD, died_at__gte=self.run.started_at)
        self.counts["held"] = held[:TAKEN_BACK].count()
        detail = f"{self.counts['left']} are tried again later" if self.counts["left"] else ""
        self.writer.end(RunStatus.DONE, detail, counts=self.counts)

    def _count(self, before: dict[str, Any], report: DrainReport) -> None:
        self.counts["sent"] = before["sent"] + report.done
        self.counts["rejected"] = before["rejected"] + report.rejected
        self.counts["calls"] = before["calls"] + report.calls
        self.counts["left"] = max(before["left"] - report.done - report.rejected, 0)
        for error in report.errors[self._told_errors :]:
            self.writer.error(**error)
        self._told_errors = len(report.errors)

    def _count_others(self) -> None:
        """What drains that were woken meanwhile have sent."""
        others = Run.objects.filter(connection=self.connection, kind=RunKind.PUSH, pk__gt=self.counts["seen_run"])
        for pk, told in others.order_by("pk").values_list("pk", "counts"):
            self.counts["seen_run"] = pk
            if "asked" not in told:
                self.counts["sent"] += told.get("done", 0)
                self.counts["rejected"] += told.get("rejected", 0)
                self.counts["calls"] += told.get("calls", 0)

    def _rows(self) -> QuerySet[OutboxRow]:
        """What there was to send when sending began; what was marked later is no business of this run's."""
        return OutboxRow.objects.filter(connection=self.connection, marked_at__lte=parse_datetime(self.counts["until"]))

    def _left(self) -> int:
        return self._rows().count()

    def _due(self) -> QuerySet[OutboxRow]:
        return self._rows().filter(due_at__lte=timezone.now())

    def _moved(self) -> None:
        if self.writer.is_due:
            self.writer.moved(self.counts)


def _key_pages(rows: QuerySet[OutboxRow]) -> Iterator[list[str]]:
    last = ""
    while page := list(rows.filter(key__gt=last).order_by("key").values_list("key", flat=True)[:TAKEN_BACK]):
        yield page
        last = page[-1]


def _database_now() -> datetime:
    """By the clock that marks carry, which SQLite tells in milliseconds, and a little before."""
    using = router.db_for_write(OutboxRow)
    present = RawSQL(sql.now(connections[using]), [], output_field=DateTimeField())  # noqa: S611 (a constant)
    moment: datetime = Connection.objects.using(using).annotate(present=present).values_list("present", flat=True)[0]
    return moment - timedelta(milliseconds=1)
