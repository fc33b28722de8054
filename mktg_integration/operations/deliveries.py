"""What staff may do with rows that could not be sent, or that wait: each act is audited, the work is a task's.

The callers ask for the permission first (``REPLAY``; ``SYNC`` for ``send_now`` and ``push_now``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration import audit, background
from mktg_integration.audit import Actor
from mktg_integration.exceptions import NotNowError
from mktg_integration.http.redaction import redact
from mktg_integration.models import (
    AuditAction,
    Connection,
    ConnectionState,
    DeadKind,
    DeadRow,
    Kind,
    OutboxRow,
    SyncState,
    WaitReason,
)
from mktg_integration.push import replay as replaying

DRAIN: Final = "mktg_integration.tasks.drain"
AT_ONCE: Final = 5000
"""The most rows that one act takes; what is left is for the next."""
_BATCH = 500
_LONGEST_REASON = 300
# A press of a button changes neither a service's rate nor which site may write.
NOT_ENDED_BY_HAND: Final = (WaitReason.RATE, WaitReason.COPY)


def replay(actor: Actor, rows: QuerySet[DeadRow]) -> int:
    """Put these rows back into the outbox and have them sent; the number of them, at most ``AT_ONCE``. Rows that wait
    for a confirmation are left out: they are for ``confirm``."""
    return _again(actor, AuditAction.REPLAYED, rows.exclude(state=DeadKind.HELD))


def confirm(actor: Actor, rows: QuerySet[DeadRow]) -> int:
    """Let those of these rows go that were held because too many people would leave at once; the number of them, at
    most ``AT_ONCE``. The confirmation holds for an hour, for all of their connections' rows."""
    return _again(actor, AuditAction.CONFIRMED, rows.filter(state=DeadKind.HELD))


def discard(actor: Actor, rows: QuerySet[DeadRow], reason: str) -> int:
    """Give these rows up; the number of them, at most ``AT_ONCE``. Raises ``NotNowError`` without a reason."""
    return _end(actor, AuditAction.DISCARDED, rows, _told(reason, gettext("Say why these rows are given up.")))


def discard_due(actor: Actor, rows: QuerySet[OutboxRow], reason: str) -> int:
    """Give up what a connection that sends nothing any more has still in the outbox, so that it can be deleted; the
    number of rows, at most ``AT_ONCE``. Raises ``NotNowError`` without a reason, and where one of them would be sent.
    """
    told = _told(reason, gettext("Say why these rows are given up."))
    sending = Connection.objects.filter(pk__in=rows.order_by().values("connection_id"), push_enabled=True).first()
    if sending is not None:
        raise NotNowError(gettext("%(name)s still sends: disconnect it first.") % {"name": sending.name})
    return _end(actor, AuditAction.DISCARDED, rows, told)


def done_by_hand(actor: Actor, rows: QuerySet[DeadRow], note: str) -> int:
    """A person has done at the service what those of these rows ask for that need one; the number of them, at most
    ``AT_ONCE``. Raises ``NotNowError`` without a note."""
    told = _told(note, gettext("Say what was done at the service, and when."))
    return _end(actor, AuditAction.DONE_BY_HAND, rows.filter(state=DeadKind.NEEDS_PERSON), told)


def send_now(actor: Actor, rows: QuerySet[OutboxRow]) -> int:
    """Make these rows due at once and have them sent; the number of them, at most ``AT_ONCE``."""
    chosen = list(rows.order_by("pk").values_list("pk", "connection_id", "subject")[:AT_ONCE])
    for start in range(0, len(chosen), _BATCH):
        keys = [key for key, _, _ in chosen[start : start + _BATCH]]
        OutboxRow.objects.filter(pk__in=keys).update(due_at=timezone.now())
    _audit(actor, AuditAction.SYNCED, [(pk, subject) for _, pk, subject in chosen])
    push_now({pk for _, pk, _ in chosen})
    return len(chosen)


def address(actor: Actor, row: DeadRow) -> str:
    """The address that a row which needs a person is about, because that person has to find it at the service; who
    looked is audited. Empty where it is not known any more. The callers ask for ``VIEW_PERSONAL_DATA``, and of an
    erasure for ``ERASE``. Raises ``DecryptionError``, and ``NotNowError`` for a row of another state."""
    if row.state != DeadKind.NEEDS_PERSON:
        raise NotNowError(gettext("Only a row that needs a person shows its address."))
    told = str(row.payload.get("email", "")) if row.kind == Kind.ERASURE else ""
    if not told:
        sent = SyncState.objects.filter(pk=f"{row.connection_id}:{row.subject}").values_list("sent", flat=True).first()
        told = str((sent or {}).get("email", ""))
    _audit(actor, AuditAction.VIEWED, [(row.connection_id, row.subject)], kind=row.kind)
    return told


def push_now(connection_ids: Collection[int]) -> None:
    """Have these connections drained at once, though they may wait: staff have seen to the reason."""
    waiting = ConnectionState.objects.filter(connection_id__in=connection_ids).exclude(wait_until=None)
    waiting.exclude(wait_reason__in=NOT_ENDED_BY_HAND).update(wait_until=None)
    for connection_id in sorted(connection_ids):
        background.enqueue(DRAIN, connection_id)


def _again(actor: Actor, action: AuditAction, rows: QuerySet[DeadRow]) -> int:
    # Their connections are drained below, whether or not they wait.
    taken = _in_batches(actor, action, rows, lambda page: replaying.replay(page, wakes=False))
    push_now({connection_id for connection_id, _ in taken})
    return len(taken)


def _end(actor: Actor, action: AuditAction, rows: QuerySet[Any], reason: str) -> int:
    def delete(page: QuerySet[Any]) -> int:
        return page.delete()[0]

    return len(_in_batches(actor, action, rows, delete, reason=reason))


def _in_batches(
    actor: Actor,
    action: AuditAction,
    rows: QuerySet[Any],
    work: Callable[[QuerySet[Any]], int],
    **detail: Any,
) -> list[tuple[int, str]]:
    """``(connection id, person)`` of the rows taken. Batch after batch, each with what is audited of it."""
    taken: list[tuple[int, str]] = []
    found = list(rows.order_by("pk").values_list("pk", "connection_id", "subject")[:AT_ONCE])
    for start in range(0, len(found), _BATCH):
        page = found[start : start + _BATCH]
        with transaction.atomic():
            work(rows.model.objects.filter(pk__in=[key for key, _, _ in page]))
            told = [(connection_id, subject) for _, connection_id, subject in page]
            _audit(actor, action, told, **detail)
        taken += told
    return taken


def _audit(actor: Actor, action: AuditAction, rows: Collection[tuple[int, str]], **detail: Any) -> None:
    """One entry for each connection; of a single row it names the person."""
    subjects: dict[int, list[str]] = {}
    for connection_id, subject in rows:
        subjects.setdefault(connection_id, []).append(subject)
    for connection in Connection.objects.filter(pk__in=subjects).defer("credentials"):
        those = subjects[connection.pk]
        only = those[0] if len(those) == 1 else ""
        audit.record(actor, action, connection=connection, subject=only, count=len(those), **detail)


def _told(text: str, missing: str) -> str:
    """What staff wrote, on one line and without addresses. Raises ``NotNowError`` with ``missing`` for nothing."""
    text = redact(" ".join(text.split()))[:_LONGEST_REASON]
    if not text:
        raise NotNowError(missing)
    return text
