"""What could not be understood, or was applied, is put back to be applied (again), as after an upgrade."""

from __future__ import annotations

from django.db.models import QuerySet
from django.utils import timezone

from mktg_integration.inbound.receipt import wake
from mktg_integration.models import InboxRow, InboxState


def replay(rows: QuerySet[InboxRow], *, applied: bool = False, dry_run: bool = False) -> int:
    """Have those of ``rows`` applied that were not understood; with ``applied`` those that were, too. Their number.

    Applying something twice does no harm: what the mirror knows from later on stays.
    """
    states = [InboxState.UNREADABLE, InboxState.APPLIED] if applied else [InboxState.UNREADABLE]
    chosen = rows.filter(state__in=states).order_by()
    if dry_run:
        return chosen.count()
    connections = set(chosen.values_list("connection_id", flat=True).distinct())
    count = chosen.update(state=InboxState.PENDING, due_at=timezone.now(), attempts=0, detail="")
    for connection_id in sorted(connections):
        wake(connection_id)
    return count
