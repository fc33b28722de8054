"""Large requests of a backfill, which a service carries out later and answers by a callback.

Such a request is a ``BulkJob``, written down before it is made. Its people's rows wait in the outbox; nothing else is
sent of these people meanwhile, not even an erasure, which would find nobody to erase yet. The callback is kept with the
job, and the next drain takes it in as it would have taken an answer. Where none comes within ``BULK_CALLBACK_SECONDS``,
the people are looked up one by one, so that nobody is lost whatever became of the request.

Callbacks have to prove themselves: before the first of a connection has come only one request waits for one, and for a
day after one did not come everything goes in requests that are answered at once. The service's "too large" (413)
halves the next request.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.urls import NoReverseMatch
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError, MalformedAnswerError
from mktg_integration.mirror import reader
from mktg_integration.models import BulkJob, BulkState, Connection, Lane, OutboxRow, SyncState
from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Answer, Call, Intent, Patch, Person, Provider, Snapshot
from mktg_integration.push import claims, record, snapshots, wake
from mktg_integration.push.deliver import Delivery
from mktg_integration.push.delivered import Delivered
from mktg_integration.push.people import Batch
from mktg_integration.records import ContactStatus

logger = logging.getLogger("mktg_integration.push")

CallbackURL = Callable[[Connection], str]
REMEMBERED = timedelta(days=1)
"""How long it counts that a callback came, did not come, or that a request was too large."""
KEPT = timedelta(days=7)
_PAGE = 500


def apply_callback(connection: Connection, body: Any) -> bool:
    """Keep what a callback tells with the job that it answers, and let its people go on; False where it answers none.

    ``body`` is the parsed JSON. A repeated, late or unknown callback changes nothing.
    """
    driver = connection.driver
    for job in BulkJob.objects.filter(connection=connection, state=BulkState.WAITING).order_by("made_at"):
        if not driver.is_callback_of(_load(job.call), body):
            continue
        waiting = BulkJob.objects.filter(pk=job.pk, state=BulkState.WAITING)
        if not waiting.update(state=BulkState.ANSWERED, answer={"body": body}, ended_at=timezone.now()):
            return False
        _make_due(connection, job.subjects)
        wake.wake_on_commit()
        return True
    return False


def _make_due(connection: Connection, subjects: Sequence[str]) -> None:
    now = timezone.now()
    for start in range(0, len(subjects), _PAGE):
        of_people = OutboxRow.objects.filter(connection=connection, subject__in=subjects[start : start + _PAGE])
        # By their keys, in order: then no save and no drain waits for this in a circle.
        keys = sorted(of_people.filter(due_at__gt=now).values_list("key", flat=True))
        OutboxRow.objects.filter(key__in=keys).update(due_at=now)


class Jobs:
    """The jobs of one connection, as one drain sees them. ``callback_url`` says where the service may answer."""

    def __init__(
        self,
        connection: Connection,
        driver: Provider[Any, Any],
        options: Any,
        lease: claims.Lease,
        callback_url: CallbackURL | None,
    ) -> None:
        self.connection = connection
        self.driver = driver
        self.lease = lease
        self._is_able = bool(callback_url and settings.PUBLIC_URL and driver.answers_later(options))
        self._callback_url = callback_url
        self._url = ""
        self._looked = False
        self._opened: dict[str, BulkJob] = {}

    # Before people are sent

    def sort_out(self, delivery: Delivery, rows: Sequence[OutboxRow]) -> list[OutboxRow]:
        """The rows whose people may be sent now; the others are deferred. What was answered meanwhile is taken in."""
        if self._looked and not self._is_able:
            return list(rows)
        self._looked = True
        open_jobs = BulkJob.objects.filter(
            connection=self.connection, state__in=(BulkState.WAITING, BulkState.ANSWERED)
        ).defer("call", "answer")
        waiting: dict[str, datetime] = {}
        now = timezone.now()
        for job in open_jobs:
            if job.state == BulkState.WAITING and job.due_at > now:
                waiting |= dict.fromkeys(job.subjects, job.due_at)
            else:
                self._take_in(delivery, job)
        free = [row for row in rows if row.subject not in waiting]
        self._defer([row for row in rows if row.subject in waiting], waiting)
        return free

    def _defer(self, rows: Sequence[OutboxRow], until: Mapping[str, datetime]) -> None:
        by_time: dict[datetime, list[str]] = {}
        for row in rows:
            by_time.setdefault(until[row.subject], []).append(row.key)
        for due_at, keys in by_time.items():
            claims.defer(self.lease, keys, due_at)

    def _take_in(self, delivery: Delivery, job: BulkJob) -> None:
        """What the callback told, or that none came, becomes what was sent to these people and is known of them."""
        call = _load(job.call)
        answer = self._answer(job, call)
        out = Delivered(people=self._people(call))
        if answer is not None:
            delivery.fold(call, answer, out)
            record.write_mirror(self.connection, self.driver, out, as_of=job.ended_at or timezone.now())
        else:
            logger.warning("%s: no callback came for %d people; they are looked up", self.connection.name, job.size)
            out.people = {key: _to_be_looked_up(person) for key, person in out.people.items()}
        record.write_states(self.connection, Batch(), out)
        state = BulkState.DONE if answer is not None else BulkState.LAPSED
        BulkJob.objects.filter(pk=job.pk).update(
            state=state, call={}, answer={}, subjects=[], ended_at=job.ended_at or timezone.now()
        )

    def _answer(self, job: BulkJob, call: Call) -> Answer | None:
        if job.state != BulkState.ANSWERED:
            return None
        try:
            return self.driver.answered_later(call, job.answer.get("body"))
        except MalformedAnswerError as error:
            logger.error("%s: a callback was not understood: %s", self.connection.name, error)  # noqa: TRY400
            return None

    def _people(self, call: Call) -> dict[str, Person]:
        """The people of a job as they were when it was made: nothing has been sent to them since."""
        keys = [f"{self.connection.pk}:{subject}" for subject in call.items]
        states = {state.subject: state for state in SyncState.objects.filter(key__in=keys).select_related("contact")}
        people = {}
        for subject in call.items:
            state = states.get(subject)
            contact = state.contact if state is not None else None
            people[subject] = Person(
                key=subject,
                email=call.patches[subject].email or "",
                sent=snapshots.load(state.sent) if state is not None and state.sent else None,
                owned_tags=frozenset(state.owned_tags) if state is not None else frozenset(),
                known=reader.to_record(contact) if contact is not None else None,
            )
        return people

    # What may be answered later

    def choose(self, people: Mapping[str, Person], rows: Sequence[OutboxRow]) -> dict[str, Person]:
        """These people; those of a backfill are ``patient``, as far as the service's callbacks are to be trusted."""
        if not self._is_able:
            return dict(people)
        hurried = {row.subject for row in rows if row.lane != Lane.BACKFILL}
        chosen = [key for key, one in sorted(people.items()) if key not in hurried and one.intent is Intent.SYNC]
        if len(chosen) <= self.driver.people_per_call:
            return dict(people)
        patient = chosen[: self._most()]
        return {**people, **{key: replace(people[key], patient=True) for key in patient}}

    def _most(self) -> int:
        """How many people one request may carry; 0: callbacks are not trusted now."""
        since = timezone.now() - REMEMBERED
        told = list(BulkJob.objects.filter(connection=self.connection, made_at__gte=since).values_list("state", "size"))
        states = {state for state, _ in told}
        has_answered = bool(states & {BulkState.ANSWERED, BulkState.DONE})
        if BulkState.LAPSED in states or (BulkState.WAITING in states and not has_answered):
            return 0
        most = min([size // 2 for state, size in told if state == BulkState.TOO_LARGE], default=settings.CLAIM_SIZE)
        return most if most > self.driver.people_per_call and self._url_or_empty() else 0

    def _url_or_empty(self) -> str:
        if not self._url and self._callback_url is not None:
            try:
                self._url = self._callback_url(self.connection)
            except (ConfigurationError, NoReverseMatch) as error:
                logger.warning("%s: no callback address: %s", self.connection.name, type(error).__name__)
                self._is_able = False
        return self._url

    # While they are sent

    def open(self, call: Call) -> Call:
        """Write down that ``call`` is going to be made, and say in it where it is to be answered."""
        now = timezone.now()
        secret: dict[str, Any] = {"call": _dump(call)}
        job = BulkJob(
            key=secrets.token_hex(16),
            connection=self.connection,
            size=len(call.items),
            subjects=sorted(call.items),
            made_at=now,
            due_at=now + timedelta(seconds=settings.BULK_CALLBACK_SECONDS),
            **secret,
        )
        job.save(force_insert=True)
        self._opened[job.key] = job
        return replace(call, common={**call.common, "job": job.key, "callback_url": self._url})

    def close(self, rows: Sequence[OutboxRow], out: Delivered) -> list[OutboxRow]:
        """After the calls: rows whose people wait for a callback are deferred, and jobs that were not taken go. The
        rows that remain."""
        until: dict[str, datetime] = {}
        for job in self._opened.values():
            if out.pending.issuperset(job.subjects):
                until |= dict.fromkeys(job.subjects, job.due_at)
            elif job.key in out.too_large:
                BulkJob.objects.filter(pk=job.pk).update(
                    state=BulkState.TOO_LARGE, call={}, subjects=[], ended_at=timezone.now()
                )
            else:
                job.delete()
        if self._opened:
            old = timezone.now() - KEPT
            BulkJob.objects.filter(connection=self.connection, ended_at__lt=old).delete()
        self._opened.clear()
        self._defer([row for row in rows if row.subject in until], until)
        return [row for row in rows if row.subject not in until]


def _to_be_looked_up(person: Person) -> Person:
    """Of whom nothing was sent that was answered: with an address that may be known there, to be found by it."""
    if person.sent is not None or not person.email:
        return person
    return replace(person, sent=Snapshot(email=person.email))


# Calls as JSON


def _dump(call: Call) -> dict[str, Any]:
    patches = {
        key: {
            "email": patch.email,
            "values": dict(patch.values),
            "company": dict(patch.company),
            "tags_added": sorted(patch.tags_added),
            "tags_removed": sorted(patch.tags_removed),
            "consent": patch.consent,
            "evidence": patch.evidence,
            "status": patch.status,
        }
        for key, patch in call.patches.items()
    }
    return {"operation": call.operation, "items": dict(call.items), "common": dict(call.common), "patches": patches}


def _load(stored: Mapping[str, Any]) -> Call:
    patches = {
        key: Patch(
            email=told["email"],
            values=told["values"],
            company=told["company"],
            tags_added=frozenset(told["tags_added"]),
            tags_removed=frozenset(told["tags_removed"]),
            consent=ConsentStatus(told["consent"]) if told["consent"] else None,
            evidence=told["evidence"],
            status=ContactStatus(told["status"]) if told["status"] else None,
        )
        for key, told in stored.get("patches", {}).items()
    }
    return Call(
        operation=stored.get("operation", ""),
        items=stored.get("items", {}),
        common=stored.get("common", {}),
        patches=patches,
        later=True,
    )
