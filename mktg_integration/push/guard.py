"""Brakes: a mistake of the site's own must not unsubscribe everybody, nor bury every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.models import Connection, ConnectionState, DeadKind, OutboxRow, SyncState, WaitReason
from mktg_integration.push import attempts, claims
from mktg_integration.push.dead import dead_row
from mktg_integration.push.people import MAPPING_FAILED, Batch
from mktg_integration.push.waiting import Stop

WINDOW = timedelta(hours=1)
CODE = "mass_unsubscribe"


def hold_mass_leave(connection: Connection, batch: Batch, lease: claims.Lease, rows: Sequence[OutboxRow]) -> set[str]:
    """The keys of the rows that now wait for a person: more unsubscribes and erasures at once than is likely.

    Counted over an hour are only those that nobody asked for by ``unsubscribe()`` or ``forget()``: the mapping refuses
    all of a sudden, or users were deleted.
    """
    leavers = batch.implicit_leavers
    if not leavers:
        return set()
    state = connection.state
    now = timezone.now()
    if state.leavers_confirmed_until is not None and state.leavers_confirmed_until > now:
        return set()
    recent = state.leavers if state.leavers_since is not None and state.leavers_since > now - WINDOW else 0
    total = recent + len(leavers)
    state.leavers_since = state.leavers_since if recent else now
    state.leavers = total
    ConnectionState.objects.filter(pk=state.pk).update(leavers=total, leavers_since=state.leavers_since)
    if total > settings.MASS_MINIMUM:
        people = SyncState.objects.filter(connection=connection).count() + recent
        if total > settings.MASS_SHARE * people:
            return _hold(batch, lease, rows, total)
    return set()


def _hold(batch: Batch, lease: claims.Lease, rows: Sequence[OutboxRow], total: int) -> set[str]:
    held = [row for row in rows if row.subject in batch.implicit_leavers]
    reason = (
        f"{total} people would be unsubscribed or erased within an hour, more than MASS_SHARE allows: "
        "if that is right, confirm with mktg_replay --held"
    )
    dead = [dead_row(row, DeadKind.HELD, CODE, reason) for row in held]
    claims.bury(lease, dead)
    attempts.write_dead(dead)
    for row in held:
        batch.people.pop(row.subject, None)
    return {row.key for row in held}


def keep_identical_failures(batch: Batch, rows: Sequence[OutboxRow]) -> tuple[Stop | None, set[str]]:
    """A mapping that fails for one person after the other is the site's mistake: they are kept, and it waits."""
    run: list[str] = []
    longest: list[str] = []
    reason = ""
    for subject in dict.fromkeys(row.subject for row in rows):
        verdict = batch.verdicts.get(subject)
        if verdict is None or verdict.code != MAPPING_FAILED or verdict.reason != reason:
            run = []
        reason = verdict.reason if verdict is not None else ""
        if verdict is not None and verdict.code == MAPPING_FAILED:
            run = [*run, subject]
            longest = max(longest, run, key=len)
    if len(longest) < settings.IDENTICAL_REJECTIONS:
        return None, set()
    reason = batch.verdicts[longest[0]].reason
    for subject in longest:
        del batch.verdicts[subject]
    return Stop(WaitReason.REJECTIONS, f"{len(longest)} people in a row: {reason}"), set(longest)
