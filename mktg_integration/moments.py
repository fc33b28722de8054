"""Moments as the site's clock shows them, with ``USE_TZ`` or without: a naive moment is the site's own already."""

from __future__ import annotations

from datetime import date, datetime

from django.utils import timezone


def local(moment: datetime) -> datetime:
    """``moment`` in the current time zone; as it is where it has no zone."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def day_of(moment: datetime) -> date:
    return local(moment).date()


def today() -> date:
    return day_of(timezone.now())
