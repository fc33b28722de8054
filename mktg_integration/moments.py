"""Moments as the site's clock shows them, with ``USE_TZ`` or without: a naive moment is the site's own already."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext

MINUTE = timedelta(minutes=1)


def local(moment: datetime) -> datetime:
    """``moment`` in the current time zone; as it is where it has no zone."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def day_of(moment: datetime) -> date:
    return local(moment).date()


def today() -> date:
    return day_of(timezone.now())


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in the reader's language."""
    if (now or timezone.now()) - moment < MINUTE:
        return gettext("just now")
    return gettext("%(time)s ago") % {"time": timesince(moment, now)}
