"""One pull per connection at a time, over all processes."""

from __future__ import annotations

from django.db import router

from mktg_integration.conf import settings
from mktg_integration.models import PullState
from mktg_integration.models.leases import RowLease, take_row_lease


def take_lease(connection_id: int) -> RowLease | None:
    """The lease for ``LEASE_SECONDS``, or None while another pull of this connection holds it."""
    PullState.objects.using(router.db_for_write(PullState)).get_or_create(connection_id=connection_id)
    return take_row_lease(PullState, connection_id, settings.LEASE_SECONDS)
