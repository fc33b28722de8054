"""One pull per connection at a time, over all processes: a lease on the database's own clock."""

# ruff: noqa: S608 (only a constant, a quoted table's name and the database's clock become part of a statement)

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connections, router

from mktg_integration import sql
from mktg_integration.conf import settings
from mktg_integration.models import PullState


@dataclass
class Lease:
    """The right to pull over one connection, until it runs out."""

    connection_id: int
    token: str
    ends_at: float
    """By the local monotonic clock, counted from before the statement that took it: never later than the database's."""

    def hold(self) -> bool:
        """Renew it where half of it is spent. False where it was lost: then nothing more may be written."""
        left = self.ends_at - time.monotonic()
        if left > settings.LEASE_SECONDS / 2:
            return True
        return self._take("lease_token = %s", [self.token])

    def release(self) -> None:
        """Let another pull begin. Harmless where the lease was lost."""
        held = PullState.objects.using(_alias()).filter(pk=self.connection_id, lease_token=self.token)
        sql.retrying(lambda: held.update(lease_token="", lease_until=None), using=_alias())

    def _take(self, condition: str, parameters: Sequence[str] = ()) -> bool:
        using = _alias()
        connection = connections[using]
        table = connection.ops.quote_name(PullState._meta.db_table)
        seconds = settings.LEASE_SECONDS
        statement = (
            f"UPDATE {table} SET lease_token = %s, lease_until = {sql.later(connection, '%s')} "
            f"WHERE connection_id = %s AND ({condition})"
        )

        def run() -> bool:
            moment = time.monotonic()
            with connection.cursor() as cursor:
                cursor.execute(statement, [self.token, seconds, self.connection_id, *parameters])
                taken = bool(cursor.rowcount)
            if taken:
                self.ends_at = moment + seconds
            return taken

        return sql.retrying(run, using=using)


def take_lease(connection_id: int) -> Lease | None:
    """The lease for ``LEASE_SECONDS``, or None while another pull of this connection holds it."""
    PullState.objects.using(_alias()).get_or_create(connection_id=connection_id)
    lease = Lease(connection_id, secrets.token_hex(16), ends_at=0.0)
    free = f"lease_token = '' OR lease_until IS NULL OR lease_until < {sql.now(connections[_alias()])}"
    return lease if lease._take(free) else None


def _alias() -> str:
    return router.db_for_write(PullState)
