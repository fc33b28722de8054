"""The figures of the last days, as the charts show them."""

from __future__ import annotations

from datetime import timedelta

from mktg_integration.models import Connection, DailyFigures
from mktg_integration.moments import today

DAYS = (30, 90, 365)
"""The spans that staff may choose."""


def series(connection: Connection, days: int) -> list[DailyFigures]:
    """What was measured on the last ``days`` days, today among them, the oldest first; days without figures are left
    out."""
    since = today() - timedelta(days=days - 1)
    return list(DailyFigures.objects.filter(connection=connection, day__gte=since).order_by("day"))
