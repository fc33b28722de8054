"""Delivers a batch of people: plan, call, fold the answers, plan again, until nothing differs.

Pool threads do HTTP only; everything else, the database above all, happens in the thread that drains.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, Protocol

from mktg_integration.conf import settings
from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError
from mktg_integration.http import LastAnswer, take_answer
from mktg_integration.models import WaitReason
from mktg_integration.providers.base import (
    Answer,
    Call,
    Catalogue,
    Intent,
    Outcome,
    Patch,
    Person,
    Plan,
    Provider,
    Result,
    Verdict,
    VerdictKind,
    normal_name,
)
from mktg_integration.push.delivered import Delivered, Failure, Rejection
from mktg_integration.push.job import Job
from mktg_integration.push.waiting import Stop, stop_for
from mktg_integration.records import (
    FormRecord,
    SequenceRecord,
)

logger = logging.getLogger("mktg_integration.push")

MAX_ROUNDS = 12
"""A plan that has not settled by then never will; its people are tried again later."""
OUTAGE_AFTER = 3
"""Failures in a row, without a success between, that are the service's and no longer a row's."""


class Slots(Protocol):
    """The rate's slots of this connection's credential, as the draining thread sees them."""

    def ready(self, wanted: int) -> int:
        """How many calls may start now, of ``wanted``; each of them must then be made."""

    def seconds_to_next(self) -> float:
        """Until one more may start."""


class TimeLeft(Protocol):
    """The drain's lease and budget."""

    def may_start_call(self) -> bool:
        """Whether the lease lasts longer than a call can take, and the budget is not spent."""


class Jobs(Protocol):
    """Keeps calls that are answered later."""

    def open(self, call: Call) -> Call:
        """``call`` with the address at which it is to be answered; it is about to be made."""


class Delivery:
    """Delivers batches over one connection. Not thread-safe: it belongs to the draining thread."""

    def __init__(
        self,
        driver: Provider[Any, Any],
        options: Any,
        client: Any,
        *,
        slots: Slots,
        time_left: TimeLeft,
        patient: bool = False,
        after_outage: bool = False,
    ) -> None:
        self.driver = driver
        self.options = options
        self.client = client
        self.catalogue = Catalogue()
        self.slots = slots
        self.time_left = time_left
        self.patient = patient
        """A person watches: identical rejections do not stop it."""
        self.after_outage = after_outage
        """The connection has been waiting because of an outage."""
        self.pool = ThreadPoolExecutor(settings.POOL_SIZE, thread_name_prefix=f"mktg-{driver.name}")
        self.successes = 0
        self._failures_in_a_row = 0
        self._same_rejections: list[str] = []
        self._last_rejection: tuple[str, str] = ("", "")

    def close(self) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def run(self, people: Mapping[str, Person], jobs: Jobs | None = None) -> Delivered:
        """Bring the service to what is wanted of these people, as far as it lets us.

        ``jobs`` is told of calls that are answered later; without it people must not be ``patient``.
        """
        out = Delivered(people=dict(people))
        active = set(people)
        for _ in range(MAX_ROUNDS):
            plan = self._plan(out, active)
            out.notes.update(plan.notes)
            for key, verdict in plan.verdicts.items():
                self._reject(out, key, Rejection(verdict=verdict))
                if key in plan.patches:
                    out.people[key] = out.people[key].told(plan.patches[key], Result())
            active = {key for call in plan.calls for key in call.items} - set(plan.verdicts)
            if not plan.calls or out.stop:
                break
            before = (dict(out.people), self.catalogue)
            self.execute([jobs.open(call) if jobs and call.later else call for call in plan.calls], out)
            active -= out.failed | out.kept | out.pending | set(out.rejected)
            if out.stop:
                break
            if (out.people, self.catalogue) == before and active:
                logger.error("%s: a plan did not get on; its people are tried later", self.driver.name)
                break
        if out.stop:
            out.kept |= {key for call in self._plan(out, active).calls for key in call.items} & active
        else:
            out.failed |= active
            stuck = Failure(code="no_progress", reason="what the service answers does not bring the plan to an end")
            for key in active:
                out.failures.setdefault(key, stuck)
        out.account_tags = tuple(self.catalogue.tags.values())
        self._adopt(out)
        return out

    def _plan(self, out: Delivered, active: Collection[str]) -> Plan:
        """What to do next for these people, in the order in which they were claimed: a signup before a backfill."""
        people = [person for key, person in out.people.items() if key in active]
        return self.driver.plan(people, self.catalogue, self.options)

    @staticmethod
    def _adopt(out: Delivered) -> None:
        """Who was found at the service just as wanted was told nothing, and is known by it from now on."""
        for key, person in out.people.items():
            if person.sent is None and person.intent is Intent.SYNC and person.known and out.is_done(key):
                out.people[key] = person.adopted()
                out.adopted.add(key)

    # One round

    def execute(self, calls: Iterable[Call], out: Delivered) -> None:
        """Make these calls, and what a refused one of them leads to, as long as rate, lease and budget let us."""
        ordered = sorted(calls, key=lambda call: (not call.urgent, bool(call.items)))
        pending: deque[Job] = deque(Job(call) for call in ordered)
        flying: dict[Future[_Told], Job] = {}
        again: list[Job] = []
        while pending or flying or again:
            if not (pending or flying):
                # What failed once comes after all others: whether they succeed tells whose fault it was.
                pending.extend(again)
                again.clear()
            self._start(pending, flying, out)
            if not flying:
                if not self._wait_for_slot(pending, out):
                    break
                continue
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                job = flying.pop(future)
                follow_up = self._take(job, future, out)
                if follow_up is not None:
                    (pending.appendleft if follow_up.successes_before is None else again.append)(follow_up)
        for job in (*pending, *again):
            out.kept.update(job.unsent())

    def _start(self, pending: deque[Job], flying: dict[Future[_Told], Job], out: Delivered) -> None:
        # One a thread: a call that waited for one would start with less lease left than was looked at.
        room = settings.POOL_SIZE - len(flying)
        if out.stop or room <= 0 or not pending:
            return
        if not self.time_left.may_start_call():
            out.stop = Stop(WaitReason.NONE)
            return
        for _ in range(self.slots.ready(min(room, len(pending)))):
            job = pending.popleft()
            out.calls += 1
            out.items += len(job.call.items)
            flying[self.pool.submit(_execute, self.driver, job.call, self.client)] = job

    def _wait_for_slot(self, pending: deque[Job], out: Delivered) -> bool:
        """Nothing is in flight. Whether it is worth going on: only a short wait is spent here."""
        if out.stop or not pending:
            return False
        seconds = self.slots.seconds_to_next()
        if seconds > settings.WAKE_SECONDS and not self.patient:
            out.stop = Stop(WaitReason.RATE, "the documented rate is used up", seconds)
            return False
        time.sleep(min(seconds, 1.0) or 0.01)
        return self.time_left.may_start_call() or self._out_of_time(out)

    def _out_of_time(self, out: Delivered) -> bool:
        out.stop = Stop(WaitReason.NONE)
        return False

    # What came back

    def _take(self, job: Job, future: Future[_Told], out: Delivered) -> Job | None:
        call = job.call
        try:
            answer, last = future.result()
        except ServiceError as error:
            return self._take_failure(job, error, out)
        except MalformedAnswerError as error:
            self._note_doubt(call, out)
            out.kept.update(job.unsent())
            self._stop(out, Stop(WaitReason.CONFIGURATION, str(error)))
            return None
        self.successes += 1
        self._failures_in_a_row = 0
        self.fold(call, answer, out, last)
        # Whoever is asked for alone may be refused in the answer: that is the one that was searched for.
        refused = {key for key, one in answer.results.items() if one.outcome is not Outcome.DONE or one.gone}
        told = refused if job.is_searching and len(call.items) == 1 else set()
        return job.after(accepted=not told, out=out, reject=self._reject_refused, told=told)

    def fold(self, call: Call, answer: Answer, out: Delivered, last: LastAnswer | None = None) -> None:
        """What ``answer`` tells of the account and of each person of ``call``; it came with ``last``."""
        self._learn(answer, out)
        for key in call.items:
            if last is not None:
                out.answers[key] = last
            result = answer.results.get(key, Result(outcome=Outcome.RETRY, code="not_answered"))
            self._fold(key, call.patches.get(key, Patch()), result, out)
            if answer.warnings:
                # A batch's warnings do not say whom they mean.
                out.notes.setdefault(key, "; ".join(answer.warnings))

    def _learn(self, answer: Answer, out: Delivered) -> None:
        out.companies.update({company.external_id: company for company in answer.companies})
        out.others += answer.records
        if not (answer.tags or answer.fields or answer.records):
            return
        forms = {normal_name(one.name): one.remote_id for one in answer.records if isinstance(one, FormRecord)}
        sequences = {normal_name(one.name): one.remote_id for one in answer.records if isinstance(one, SequenceRecord)}
        tags = {self.driver.normal_tag(tag.name): tag for tag in answer.tags}
        fields = {record.key: record for record in answer.fields}
        out.tags.update({tag.remote_id: tag for tag in answer.tags})
        out.fields.update({record.remote_id: record for record in answer.fields})
        known = self.catalogue
        self.catalogue = Catalogue(
            tags={**known.tags, **tags},
            fields={**known.fields, **fields},
            forms={**known.forms, **forms},
            sequences={**known.sequences, **sequences},
        )

    def _fold(self, key: str, patch: Patch, result: Result, out: Delivered) -> None:
        person = out.people[key]
        if result.outcome is Outcome.DONE:
            self._same_rejections.clear()
            now = out.people[key] = person.told(patch, result)
            if result.reason:
                out.notes[key] = result.reason
            if result.step is not None:
                out.steps[key] = result.step
            if result.gone and person.known is not None:
                self._note_gone(person.known.remote_id, out)
            self._note_contact(key, person, now, patch, out)
        elif result.outcome is Outcome.ABSENT:
            out.absent.add(key)
            if person.known is not None:
                self._note_gone(person.known.remote_id, out)
            out.people[key] = replace(person, known=None, known_tags=None, absent=True)
        elif result.outcome is Outcome.TAKEN:
            out.people[key] = replace(person, taken=True)
        elif result.outcome is Outcome.PENDING:
            out.pending.add(key)
        elif result.outcome is Outcome.RETRY:
            out.failed.add(key)
            out.failures[key] = Failure.after(out.answers.get(key), code=result.code, reason=result.reason)
        else:
            verdict = Verdict(kind=VerdictKind.REJECTED, code=result.code or "rejected", reason=result.reason)
            told = Failure.after(out.answers.get(key))
            self._reject(
                out, key, Rejection(verdict=verdict, call=told.call, status=told.status, request_id=told.request_id)
            )

    @staticmethod
    def _note_gone(remote_id: str, out: Delivered) -> None:
        out.gone.add(remote_id)
        out.records.pop(remote_id, None)

    def _note_contact(self, key: str, before: Person, now: Person, patch: Patch, out: Delivered) -> None:
        if now.known is None:
            return
        remote_id = now.known.remote_id
        out.records[remote_id] = now.known
        if before.known is not None and before.known.remote_id != remote_id:
            out.moved[key] = before.known.remote_id
            out.notes[key] = f"linked to the contact that already had the address; contact {out.moved[key]} is left"
        if patch.status is not None and patch.status.opted_out:
            out.unsubscribed.add(remote_id)
        out.tagged |= {(remote_id, name) for name in patch.tags_added}
        out.untagged |= {(remote_id, name) for name in patch.tags_removed}

    def _reject(self, out: Delivered, key: str, rejection: Rejection) -> None:
        out.rejected[key] = rejection
        verdict = rejection.verdict
        if verdict.kind is VerdictKind.NEEDS_PERSON:
            return
        if (verdict.code, verdict.reason) != self._last_rejection:
            self._same_rejections.clear()
        self._last_rejection = (verdict.code, verdict.reason)
        self._same_rejections.append(key)
        if len(self._same_rejections) >= settings.IDENTICAL_REJECTIONS and not self.patient:
            for same in self._same_rejections:
                if out.rejected.pop(same, None) is not None:
                    out.kept.add(same)
            detail = f"{len(self._same_rejections)} rejections in a row: {verdict.reason or verdict.code}"
            self._stop(out, Stop(WaitReason.REJECTIONS, detail))

    @staticmethod
    def _note_doubt(call: Call, out: Delivered) -> None:
        if not call.repeatable:
            out.in_doubt.update(call.items)

    def _take_failure(self, job: Job, error: ServiceError, out: Delivered) -> Job | None:
        if not error.answered:
            self._note_doubt(job.call, out)
        if job.call.later and self._take_later(job.call, error, out):
            return None
        if error.action is Action.REJECT and job.call.items:
            self._failures_in_a_row = 0
            return job.after(accepted=False, out=out, reject=self._reject_refused, error=error)
        if error.action is Action.RETRY:
            return self._take_outage(job, error, out)
        out.kept.update(job.unsent())
        self._stop(out, stop_for(error))
        return None

    @staticmethod
    def _take_later(call: Call, error: ServiceError, out: Delivered) -> bool:
        """Whether the failure of a call that is answered later needs no more than this."""
        if not error.answered:
            # The service may have taken it: its callback, or that none comes, will tell.
            out.pending.update(call.items)
            return True
        if error.status == 413:
            out.too_large.add(str(call.common.get("job")))
        if error.action is not Action.REJECT:
            return False
        # A hundred at a time, the refused ones of them can be told from the others.
        for key in call.items:
            out.people[key] = replace(out.people[key], patient=False)
        return True

    def _take_outage(self, job: Job, error: ServiceError, out: Delivered) -> Job | None:
        self._failures_in_a_row += 1
        if error.status is not None and len(job.whole.items) > 1 and self._failures_in_a_row <= job.halvings + 1:
            # An answer may mean that the service cannot bear one of the batch: whom, a search tells. In an outage all
            # of its parts fail, and it ends here.
            return job.after(accepted=False, out=out, reject=self._fail_refused, error=error)
        is_first = job.successes_before is None and self._failures_in_a_row < OUTAGE_AFTER
        if is_first and job.call.repeatable:
            job.successes_before = self.successes
            return job
        nobody_since = self.successes == (job.successes_before or 0)
        # Nor does somebody whose call ended the last drain end this one too, where others were served.
        is_known = self.after_outage and self.successes > 0
        if self._failures_in_a_row >= OUTAGE_AFTER or (nobody_since and not is_known):
            if error.status is not None and self.after_outage:
                # It failed before the outage too: counted, so that it comes later and others get their turn.
                self._fail_refused(job.unsent(), error, out)
            else:
                out.kept.update(job.unsent())
            self._stop(out, stop_for(error))
            return None
        self._fail_refused(job.unsent(), error, out)
        return None

    def _reject_refused(self, keys: Iterable[str], error: ServiceError, out: Delivered) -> None:
        verdict = Verdict(
            kind=VerdictKind.REJECTED,
            code=error.code or f"http_{error.status}",
            reason="; ".join(error.messages) or "the service refused it without a reason",
        )
        rejection = Rejection(verdict=verdict, call=error.endpoint, status=error.status, request_id=error.request_id)
        for key in keys:
            self._reject(out, key, rejection)

    @staticmethod
    def _fail_refused(keys: Iterable[str], error: ServiceError, out: Delivered) -> None:
        failure = Failure.of(error)
        for key in keys:
            out.failed.add(key)
            out.failures[key] = failure

    @staticmethod
    def _stop(out: Delivered, stop: Stop) -> None:
        out.stop = out.stop or stop


_Told = tuple[Answer, LastAnswer | None]


def _execute(driver: Provider[Any, Any], call: Call, client: Any) -> _Told:
    """In a thread of the pool."""
    take_answer()
    answer = driver.execute(call, client)
    return answer, take_answer()
