"""Through when a whole table, or a row that was asked for by itself, is known to be what the service told."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import router

from mktg_integration import sql
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import Connection, PullCheckpoint
from mktg_integration.models.mirror import Mirrored


def through(connection: Connection, model: type[Mirrored]) -> datetime | None:
    """As of then each row of this table was told, unchanged ones too, whose own ``seen_at`` may be older; None where
    the table was never read in full. One statement."""
    rows = PullCheckpoint.objects.filter(connection=connection, table=model._meta.model_name)
    return rows.values_list("confirmed_through", flat=True).first()


def confirm(connection: Connection, model: type[Mirrored], remote_ids: Collection[str], *, as_of: datetime) -> None:
    """These rows were told anew as of then; those that were found unchanged did not get that time by being written.

    One statement.
    """
    alias = router.db_for_write(model)
    keys = sorted(remote_key(connection.pk, remote_id) for remote_id in remote_ids)
    rows = model._default_manager.using(alias).filter(pk__in=keys, seen_at__lt=as_of)
    sql.retrying(lambda: rows.update(seen_at=as_of), using=alias)
