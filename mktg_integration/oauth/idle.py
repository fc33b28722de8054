"""Connections that send nothing for a while have their tokens refreshed too: refresh tokens may run out unused."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.exceptions import MktgError
from mktg_integration.models import OAuthToken
from mktg_integration.tokens import refresh

logger = logging.getLogger("mktg_integration.oauth")


def refresh_idle() -> int:
    """Refresh all tokens that are about to run out. How many were.

    Those that are refused, were disconnected, or belong to another site's copy are left alone. Failures are logged.
    """
    now = timezone.now()
    soon = now + timedelta(seconds=settings.REFRESH_SECONDS)
    rows = OAuthToken.objects.filter(refused_at=None, disconnected_at=None, expires_at__lt=soon)
    done = 0
    for row in rows.select_related("connection"):
        if not row.pair.get("refresh_token") or not row.is_due(now):
            continue
        try:
            refresh(row.connection, row.connection.driver)
        except MktgError as error:
            logger.warning("%s: its token was not refreshed: %s", row.connection.name, error)
        else:
            done += 1
    return done
