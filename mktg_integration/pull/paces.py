"""When a stream is read in full, beside being read for what has changed."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.models import PullCheckpoint
from mktg_integration.pull.streams import Stream


def due_in_full(stream: Stream) -> bool:
    """Whether the last full reading is so long ago that it is time for another: deletions are seen by those alone.

    Who is in what takes a call for each tag, form and sequence, and so has a pace of its own.
    """
    last = PullCheckpoint.objects.filter(connection=stream.connection, stream=stream.name).values_list(
        "full_at", flat=True
    )
    full_at = last.first()
    days = settings.PULL_MEMBERS_FULL_DAYS if stream.parent is not None else settings.PULL_FULL_DAYS
    return full_at is None or full_at < timezone.now() - timedelta(days=days)
