"""The dead row that takes an outbox row's place."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from mktg_integration.models import DeadKind, DeadRow, OutboxRow


def dead_row(
    row: OutboxRow,
    state: DeadKind,
    code: str,
    reason: str,
    status: int | None = None,
    request_id: str = "",
    *,
    payload: Any = None,
) -> DeadRow:
    """``payload`` in place of the row's own: what is stored, where that cannot be read."""
    return DeadRow(
        key=row.key,
        connection_id=row.connection_id,
        kind=row.kind,
        subject=row.subject,
        lane=row.lane,
        attempts=row.attempts + 1,
        payload=row.payload if payload is None else payload,
        marked_at=row.marked_at,
        state=state,
        code=code[:64],
        reason=reason[:500],
        status=status,
        request_id=request_id[:128],
        died_at=timezone.now(),
    )
