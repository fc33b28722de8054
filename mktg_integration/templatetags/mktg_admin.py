"""What the admin's templates need beside Django's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.timesince import timesince

from mktg_integration.admin import home
from mktg_integration.insight.counting import BOUND, shown
from mktg_integration.insight.noted import worded
from mktg_integration.moments import ago

register = template.Library()
register.filter("worded", worded)
register.filter("ago", ago)


@register.simple_tag(takes_context=True)
def mktg_home(context: Any) -> dict[str, Any]:
    """``{% mktg_home as home %}``: what the app's own page shows."""
    return home.home(context["request"])


@register.filter
def bounded(count: int) -> str:
    """A count that went no further than its bound: ``1000+``."""
    return shown(count, BOUND)


@register.filter
def percent(share: float | None) -> int:
    """A share between 0 and 1 as a whole percentage."""
    return round(100 * (share or 0.0))


@register.filter
def span(seconds: float | None) -> str:
    """A number of seconds in words."""
    now = timezone.now()
    return timesince(now - timedelta(seconds=seconds or 0.0), now)
