"""Through when a whole table is known to be what the service told."""

from __future__ import annotations

from datetime import datetime

from mktg_integration.models import Connection, PullCheckpoint
from mktg_integration.models.mirror import Mirrored


def through(connection: Connection, model: type[Mirrored]) -> datetime | None:
    """As of then each row of this table was told, unchanged ones too, whose own ``seen_at`` may be older; None where
    the table was never read in full. One statement."""
    rows = PullCheckpoint.objects.filter(connection=connection, table=model._meta.model_name)
    return rows.values_list("confirmed_through", flat=True).first()
