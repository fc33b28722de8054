"""Writes down what was tried for rows that failed, and the success that ends such a row.

One statement for each batch that has something to write; a drain without failures writes and asks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from mktg_integration.http import LastAnswer
from mktg_integration.http.redaction import redact
from mktg_integration.models import Attempt, DeadRow, OutboxRow, Outcome
from mktg_integration.providers.base import VerdictKind
from mktg_integration.push.delivered import Delivered, Failure, Rejection

BATCH = 500


def write(rows: Sequence[OutboxRow], out: Delivered) -> None:
    """What became of these rows, as far as it is worth keeping."""
    now = timezone.now()
    entries = [*_failed(rows, out, now), *_ended(rows, out, now)]
    if entries:
        Attempt.objects.bulk_create(entries, batch_size=BATCH)


def write_dead(dead: Sequence[DeadRow]) -> None:
    """Rows that were buried before anything was sent for them: held, or unreadable."""
    now = timezone.now()
    entries = [
        _attempt(row, now, Outcome(row.state), Failure(code=row.code, reason=row.reason, status=row.status))
        for row in dead
    ]
    if entries:
        Attempt.objects.bulk_create(entries, batch_size=BATCH)


def _failed(rows: Sequence[OutboxRow], out: Delivered, now: datetime) -> Iterator[Attempt]:
    for row in rows:
        if row.subject in out.rejected:
            rejection = out.rejected[row.subject]
            yield _attempt(row, now, _outcome(rejection), rejection.as_failure())
        elif row.subject in out.failed:
            yield _attempt(row, now, Outcome.LATER, out.failures.get(row.subject, Failure()))


def _ended(rows: Sequence[OutboxRow], out: Delivered, now: datetime) -> Iterator[Attempt]:
    """The successes of rows that had failed before. A row that never failed is due when it was marked; one that was
    put off, or replayed, is asked for."""
    done = [row for row in rows if out.is_done(row.subject)]
    put_off = [row.key for row in done if not row.attempts and row.due_at != row.marked_at]
    failed = set(Attempt.objects.filter(key__in=put_off).values_list("key", flat=True)) if put_off else set()
    for row in done:
        if row.attempts or row.key in failed:
            yield _attempt(row, now, Outcome.DONE, of_answer(out.answers, row.subject))


def of_answer(answers: Mapping[str, LastAnswer], subject: str) -> Failure:
    answer = answers.get(subject)
    if answer is None:
        return Failure()
    return Failure(call=answer.endpoint, status=answer.status, request_id=answer.request_id)


def _outcome(rejection: Rejection) -> Outcome:
    by_hand = rejection.verdict.kind is VerdictKind.NEEDS_PERSON
    return Outcome.NEEDS_PERSON if by_hand else Outcome.REJECTED


def _attempt(row: Any, now: datetime, outcome: Outcome, what: Failure) -> Attempt:
    return Attempt(
        key=row.key,
        connection_id=row.connection_id,
        kind=row.kind,
        subject=row.subject,
        at=now,
        outcome=outcome,
        call=what.call[:128],
        status=what.status,
        request_id=what.request_id[:128],
        code=what.code[:64],
        reason=redact(what.reason)[:500],
    )
