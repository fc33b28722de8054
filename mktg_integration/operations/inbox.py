"""What staff may have done with deliveries that came in: applied again, as after an upgrade. Audited.

The callers ask for ``SYNC``.
"""

from __future__ import annotations

from django.db.models import QuerySet

from mktg_integration.audit import Actor, record
from mktg_integration.inbound.replay import replay
from mktg_integration.models import AuditAction, Connection, InboxRow


def apply_again(actor: Actor, rows: QuerySet[InboxRow]) -> int:
    """Have these deliveries applied, those that were before, too. Their number."""
    count = 0
    for connection in Connection.objects.filter(pk__in=rows.order_by().values("connection")).defer("credentials"):
        those = replay(rows.filter(connection=connection), applied=True)
        if those:
            record(actor, AuditAction.REPLAYED, connection=connection, table="inboxrow", count=those)
        count += those
    return count
