"""The right to work alone at one row, over all processes and machines, until it runs out.

It is taken by one conditional UPDATE and judged by the database's clock, so machines need not agree on the time. No
transaction is open while it is held.
"""

# ruff: noqa: S608 (only constants and quoted names of tables become part of a statement)

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, models, router

from mktg_integration import sql


class Leased(models.Model):
    """A row that processes take a lease of."""

    lease_token = models.CharField(max_length=32, blank=True, default="", editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


@dataclass
class RowLease:
    """The lease of one row of ``model``, which has the columns of ``Leased``, for ``seconds`` at a time."""

    model: type[models.Model]
    pk: Any
    seconds: float
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    ends_at: float = 0.0
    """By the local monotonic clock, counted from before the statement that took it: never later than the database's."""

    def take(self) -> bool:
        """Begin. False while somebody else holds it."""
        now = sql.now(connections[router.db_for_write(self.model)])
        return self._take(f"lease_token = '' OR lease_until IS NULL OR lease_until < {now}")

    def seconds_left(self) -> float:
        """Seconds for which it is certainly held; negative once it may have run out."""
        return self.ends_at - time.monotonic()

    def renew(self) -> bool:
        """Hold it for as long again. False where somebody else has taken it."""
        return self._take("lease_token = %s", [self.token])

    def hold(self) -> bool:
        """Renew it where half of it is spent. False where it was lost: then nothing more may be written."""
        return self.seconds_left() > self.seconds / 2 or self.renew()

    def release(self) -> None:
        """Let the next one begin. Harmless where the lease was lost."""
        self.ends_at = time.monotonic()
        alias = router.db_for_write(self.model)
        held = self.model._default_manager.using(alias).filter(pk=self.pk, lease_token=self.token)
        sql.retrying(lambda: held.update(lease_token="", lease_until=None), using=alias)

    def _take(self, condition: str, parameters: Sequence[Any] = ()) -> bool:
        alias = router.db_for_write(self.model)
        connection = connections[alias]
        key: Any = self.model._meta.pk
        table, pk = (connection.ops.quote_name(name) for name in (self.model._meta.db_table, key.column))
        statement = (
            f"UPDATE {table} SET lease_token = %s, lease_until = {sql.later(connection, '%s')} "
            f"WHERE {pk} = %s AND ({condition})"
        )

        def run() -> bool:
            moment = time.monotonic()
            with connection.cursor() as cursor:
                cursor.execute(statement, [self.token, self.seconds, self.pk, *parameters])
                if not cursor.rowcount:
                    return False
            self.ends_at = moment + self.seconds
            return True

        return sql.retrying(run, using=alias)


def take_row_lease(model: type[models.Model], pk: Any, seconds: float) -> RowLease | None:
    """The lease of the row with this primary key for ``seconds``, or None while somebody else holds it."""
    lease = RowLease(model, pk, seconds)
    return lease if lease.take() else None
