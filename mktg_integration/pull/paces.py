"""When a stream is read in full, beside being read for what has changed."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from mktg_integration.models import PullCheckpoint
from mktg_integration.pull.streams import Stream

FULL = timedelta(days=1)
"""Deletions are seen by full readings alone."""
FULL_MEMBERSHIP = timedelta(days=7)
"""Who is in what takes a call for each tag, form and sequence; that somebody left is seen by full readings alone."""


def due_in_full(stream: Stream) -> bool:
    """Whether the last full reading is so long ago that it is time for another."""
    last = PullCheckpoint.objects.filter(connection=stream.connection, stream=stream.name).values_list(
        "full_at", flat=True
    )
    full_at = last.first()
    pace = FULL_MEMBERSHIP if stream.parent is not None else FULL
    return full_at is None or full_at < timezone.now() - pace
