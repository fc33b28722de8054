"""Sends what is due over one connection: claim, load, deliver, record, settle, again, until nothing is due.

One drain at a time for each connection, under a lease. No transaction spans a call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils import timezone

from mktg_integration import background, rates, tokens
from mktg_integration.conf import settings
from mktg_integration.exceptions import MktgError, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.models import (
    Connection,
    ConnectionState,
    Kind,
    OutboxRow,
    Run,
    RunKind,
    RunStatus,
    Tag,
    WaitReason,
)
from mktg_integration.providers.base import Intent, Person
from mktg_integration.push import bulk, claims, guard, introduce, pace, people, record, waiting, wake
from mktg_integration.push.deliver import Delivery
from mktg_integration.push.delivered import Delivered, Failure, Rejection
from mktg_integration.push.occurrences import deliver_occurrences
from mktg_integration.push.waiting import Stop, stop_for
from mktg_integration.running import ERRORS

logger = logging.getLogger("mktg_integration.push")

TASK = "mktg_integration.tasks.drain"
OnBatch = Callable[["DrainReport"], Any]


@dataclass
class DrainReport:
    """What one drain did. ``waiting`` is a ``WaitReason`` (or ``busy``, ``paused``), ``next_in`` seconds or None."""

    claimed: int = 0
    done: int = 0
    rejected: int = 0
    postponed: int = 0
    released: int = 0
    calls: int = 0
    waiting: str = ""
    detail: str = ""
    next_in: float | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    """The first rejections, as ``Run.errors`` keeps them."""

    def counts(self) -> dict[str, Any]:
        return {
            "claimed": self.claimed,
            "done": self.done,
            "rejected": self.rejected,
            "postponed": self.postponed,
            "released": self.released,
            "calls": self.calls,
            "reasons": self.reasons,
        }


def drain(
    connection_id: int,
    *,
    seconds: float | None = None,
    foreground: bool = False,
    callback_url: bulk.CallbackURL | None = None,
    on_batch: OnBatch | None = None,
) -> DrainReport:
    """Send what is due over one connection, for at most ``seconds`` (default ``DRAIN_SECONDS``).

    In the ``foreground`` a person watches: waits of the connection are tried at once, rates are waited for, and
    identical rejections do not stop it. ``callback_url`` says where a service may answer large requests later; without
    it all are answered at once. ``on_batch`` is told after each batch, by a run of its own: then no run is written and
    no further task queued here, and what it raises ends the drain in order. Raises nothing for what a service or a row
    does wrong.
    """
    connection = Connection.objects.select_related("state", "oauth").get(pk=connection_id)
    report = DrainReport()
    report.waiting = waiting.not_now(connection, foreground=foreground)
    waits = report.waiting
    if waits and not (waits in waiting.URGENT_GOES_ON and claims.has_urgent(connection_id)):
        return report
    ends_at = time.monotonic() + (settings.DRAIN_SECONDS if seconds is None else seconds)
    while True:
        lease = claims.take_lease(connection_id)
        if lease is None:
            report.waiting = report.waiting or "busy"
            return report
        try:
            _Drain(connection, lease, report, ends_at, foreground, callback_url, on_batch, waits).run()
        finally:
            lease.release()
        # A wake-up that found us at work went away; so we look once more after giving the lease back.
        if report.waiting or time.monotonic() >= ends_at or not wake.is_overdue(connection_id):
            break
    if report.next_in is not None and not foreground and on_batch is None:
        background.enqueue(TASK, connection_id, delay=report.next_in)
    return report


@dataclass
class _TimeLeft:
    lease: claims.Lease
    ends_at: float

    def may_start_call(self) -> bool:
        if time.monotonic() >= self.ends_at:
            return False
        if self.lease.seconds_left() > settings.LEASE_SECONDS / 2:
            return True
        return (self.lease.renew() or self.lease.seconds_left() > 0) and (
            self.lease.seconds_left() > settings.CALL_SECONDS
        )


class _Drain:
    def __init__(
        self,
        connection: Connection,
        lease: claims.Lease,
        report: DrainReport,
        ends_at: float,
        foreground: bool,
        callback_url: bulk.CallbackURL | None,
        on_batch: OnBatch | None,
        waits: str = "",
    ) -> None:
        self.waits = waits
        self.on_batch = on_batch
        self.callback_url = callback_url
        self.connection = connection
        self.lease = lease
        self.report = report
        self.time_left = _TimeLeft(lease, ends_at)
        self.foreground = foreground
        self.started_at = timezone.now()
        self.cleared_at = 0.0
        self.was_asked = False
        self.tokens: tokens.HeldTokens | None = None
        self.in_hand = False
        """Whether claimed rows may not be settled yet."""

    def run(self) -> None:
        claimed_before = self.report.claimed
        self.cleared_at = time.monotonic()
        self.was_asked = wake.clear(self.connection.pk)
        try:
            self._open_and_send()
        except Stop as stop:
            self._stop(stop)
        except ServiceError as error:
            self._stop(stop_for(error))
        except MktgError as error:
            self._stop(Stop(WaitReason.CONFIGURATION, str(error)))
        finally:
            if self.in_hand:
                claims.release(self.lease, None)
        if self.report.claimed > claimed_before or self.report.waiting:
            self._write_run()

    def _open_and_send(self) -> None:
        """As often as a call comes back with 401 and this thread gets another token: the pool's threads cannot."""
        while True:
            try:
                self._open_and_send_once()
            except (Stop, ServiceError) as error:
                if not self._renewed(error):
                    raise
                claims.release(self.lease, None)
                self.in_hand = False
            else:
                return

    def _renewed(self, error: Stop | ServiceError) -> bool:
        refused = error.reason if isinstance(error, Stop) else stop_for(error).reason
        return refused == WaitReason.RECONNECT and self.tokens is not None and self.tokens.renew()

    def _open_and_send_once(self) -> None:
        driver = self.connection.driver
        account = self.connection.account()
        driver.check_credentials(account.credentials)
        options = driver.options(account)
        rate = driver.rate_slots(account)
        prepared = rates.PreparedSlots() if rate else None
        if self.tokens is None:
            self.tokens = tokens.held_tokens(self.connection, driver, account)
        client = driver.client(account, limiter=prepared or Unlimited(), tokens=self.tokens)
        slots: pace.Paced | pace.Unpaced = pace.Unpaced()
        if rate is not None and prepared is not None:
            shared = rates.SharedSlots(rates.bucket_for(account, driver), *rate, hold_seconds=settings.CALL_SECONDS)
            slots = pace.Paced(shared, prepared)
        self._introduction = introduce.Introduction(
            self.connection, driver, client, slots, self.time_left, self.foreground, driver.introduction(options)
        )
        self._jobs = bulk.Jobs(self.connection, driver, options, self.lease, self.callback_url)
        delivery = Delivery(
            driver,
            options,
            client,
            slots=slots,
            time_left=self.time_left,
            patient=self.foreground,
            after_outage=self.connection.state.outages > 0,
        )
        try:
            self._send_all(delivery)
        finally:
            delivery.close()
            slots.close()

    def _send_all(self, delivery: Delivery) -> None:
        introduced = False
        batches = delivery.driver.people_per_call > 1
        if batches:
            self._wait_for_the_last_save()
        while self.time_left.may_start_call():
            rows = claims.claim(self.lease, settings.CLAIM_SIZE, urgent_only=bool(self.waits))
            if not rows:
                if self._wait_for_the_last_save():
                    continue
                return
            self.in_hand = True
            if self._introduction.streams and not introduced:
                self.report.calls += self._introduction.read_account(self.connection.state)
                delivery.catalogue = introduce.load_catalogue(self.connection)
                introduced = True
            self._send(delivery, rows)
            self.in_hand = False
            self._look_well()
            if self.on_batch is not None:
                self.on_batch(self.report)
            if batches and len(rows) < settings.CLAIM_SIZE and not self.foreground:
                # What was marked meanwhile has a wake-up of its own, and makes a fuller batch with what follows it.
                return
        raise Stop(WaitReason.NONE)

    def _wait_for_the_last_save(self) -> bool:
        """Whether it waited: a save whose process had looked just before we cleared the flag wakes nobody.

        From ``WAKE_SECONDS`` after the clearing on, every save has been seen or wakes a drain of its own.
        """
        left = self.cleared_at + settings.WAKE_SECONDS - time.monotonic()
        if left <= 0 or self.foreground or not self.was_asked:
            return False
        time.sleep(left)
        return True

    def _send(self, delivery: Delivery, rows: Sequence[OutboxRow]) -> None:
        self.report.claimed += len(rows)
        as_of = timezone.now()
        rows = self._jobs.sort_out(delivery, rows)
        of_people = [row for row in rows if row.kind in (Kind.PROFILE, Kind.ERASURE)]
        batch = people.load(self.connection, delivery.driver, delivery.options, rows)
        stop, kept = guard.keep_identical_failures(batch, rows) if not self.foreground else (None, set())
        held = guard.hold_mass_leave(self.connection, batch, self.lease, of_people)
        of_people = [row for row in of_people if row.key not in held]
        self._read_members(delivery, batch)
        # After an outage people go alone: it may be that of events alone.
        riding = _riding(delivery, batch, rows) if not self.connection.state.outages else {}
        by_themselves = {key: person for key, person in batch.people.items() if key not in riding}
        out = delivery.run(self._jobs.choose(by_themselves, rows), self._jobs)
        out.people |= riding
        out.rejected.update({key: Rejection(verdict=verdict) for key, verdict in batch.verdicts.items()})
        out.kept |= kept
        if self.waits:
            _put_off(out, out.stop or stop)
        if self.lease.seconds_left() <= 0 and not self.lease.renew():
            # Another drain has these rows by now, and knows better what was sent last.
            self.in_hand = False
            raise Stop(WaitReason.NONE)
        record.write_mirror(self.connection, delivery.driver, out, as_of=as_of)
        if out.named_tags:
            delivery.catalogue = replace(delivery.catalogue, tags={**delivery.catalogue.tags, **out.named_tags})
        record.write_states(self.connection, batch, out)
        rows = self._jobs.close(rows, out)
        riders = [row for row in of_people if row.subject in riding]
        of_people = [row for row in of_people if row.subject not in out.pending and row.subject not in riding]
        record.settle_rows(self.lease, of_people, out)
        self._count(of_people, out)
        self.report.calls += out.calls
        others = [row for row in rows if row.kind not in (Kind.PROFILE, Kind.ERASURE)]
        if others:
            told = deliver_occurrences(self.connection, delivery, self.lease, others, out, self._count)
            self._settle_riders(riders, batch, riding, told)
            self.report.calls += told.calls
            out.stop = out.stop or told.stop
        if out.stop or stop:
            raise out.stop or stop or Stop(WaitReason.NONE)

    def _settle_riders(
        self, rows: Sequence[OutboxRow], batch: people.Batch, riding: Mapping[str, Person], told: Delivered
    ) -> None:
        """Who did not get there with an event, whatever became of that, is sent alone the next time."""
        arrived = {key: told.people[key] for key, person in riding.items() if told.people[key] != person}
        out = Delivered(people=arrived, kept=set(riding) - set(arrived))
        record.write_states(self.connection, batch, out)
        record.settle_rows(self.lease, rows, out)
        self._count(rows, out)

    def _read_members(self, delivery: Delivery, batch: people.Batch) -> None:
        """Before a tag is given to somebody who was there before us: who had it already?"""
        if not delivery.driver.introduces:
            return
        names = {
            name
            for person in batch.people.values()
            if person.intent is Intent.SYNC and person.sent is None and person.known is not None and person.wanted
            for name in person.wanted.tags
        }
        ids = [delivery.catalogue.tags[name].remote_id for name in names if name in delivery.catalogue.tags]
        if not ids:
            return
        unread = Tag.objects.filter(
            connection=self.connection, remote_id__in=ids, members_read_at=None, ours=False, deleted_at=None
        )
        read = list(unread)
        self.report.calls += self._introduction.read_members(read)
        if read:
            people.read_adopted_tags(batch)

    def _count(self, rows: Sequence[OutboxRow], out: Delivered) -> None:
        for row in rows:
            if row.subject in out.rejected:
                self.report.rejected += 1
                code = out.rejected[row.subject].verdict.code
                if len(self.report.errors) < ERRORS:
                    self.report.errors.append(_told(row, out.rejected[row.subject]))
                self.report.reasons[code] = self.report.reasons.get(code, 0) + 1
            elif row.subject in out.kept:
                self.report.released += 1
            elif row.subject in out.failed:
                self.report.postponed += 1
            else:
                self.report.done += 1
        if any(row.subject in out.failed for row in rows):
            self.report.next_in = settings.BACKOFF_SECONDS

    # How it ends

    def _look_well(self) -> None:
        if not self.waits:
            waiting.end(self.connection)

    def _stop(self, stop: Stop) -> None:
        if stop.reason == WaitReason.NONE:
            self.report.next_in = 0.0
            return
        if self.waits and stop.reason != WaitReason.RECONNECT:
            # The wait of all others ends as it would have: what is urgent has a pace of its own.
            return
        self.report.waiting = stop.reason
        self.report.detail = stop.detail
        self.report.next_in = waiting.wait(self.connection, stop)

    def _write_run(self) -> None:
        now = timezone.now()
        report = self.report
        logger.info(
            "%s: %d claimed, %d done in %d calls, %d rejected, %d to be tried later%s",
            self.connection.name,
            report.claimed,
            report.done,
            report.calls,
            report.rejected,
            report.postponed + report.released,
            f"; waits: {report.detail or report.waiting}" if report.waiting else "",
        )
        if self.on_batch is None:
            Run.objects.create(
                connection=self.connection,
                kind=RunKind.PUSH,
                status=RunStatus.WAITING if report.waiting else RunStatus.DONE,
                started_at=self.started_at,
                finished_at=now,
                counts=report.counts(),
                detail=report.detail[:500],
                errors=report.errors,
            )
        if report.calls and not report.waiting:
            ConnectionState.objects.filter(connection=self.connection).update(last_success_at=now)


def _told(row: OutboxRow, rejection: Rejection) -> dict[str, Any]:
    verdict = rejection.verdict
    return {
        "about": row.subject,
        "code": verdict.code,
        "reason": verdict.reason,
        "status": rejection.status,
        "request_id": rejection.request_id,
    }


def _put_off(out: Delivered, stop: Stop | None) -> None:
    """What is urgent is tried although the connection waits: what comes to nothing is counted, so that it comes again
    at a pace of its own."""
    if stop is None or stop.reason in (WaitReason.NONE, WaitReason.RATE):
        return
    failure = Failure(code=str(stop.reason), reason=stop.detail)
    out.failures.update(dict.fromkeys(out.kept, failure))
    out.failed |= out.kept
    out.kept.clear()


def _riding(delivery: Delivery, batch: people.Batch, rows: Sequence[OutboxRow]) -> dict[str, Person]:
    """Of whom an event tells all that there is to tell. An event that was tried before may not get there again."""
    events = {row.subject for row in rows if row.kind == Kind.EVENT and not row.attempts}
    others = {row.subject for row in rows if row.kind not in (Kind.EVENT, Kind.PROFILE)}
    return {
        subject: batch.people[subject]
        for subject in sorted(events - others)
        if subject in batch.people and delivery.driver.rides(batch.people[subject], delivery.options)
    }
