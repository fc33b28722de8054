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
    # One by one: a row that no key can read must not keep the others from being refreshed.
    for pk, name in list(rows.values_list("pk", "connection__name")):
        try:
            done += _refresh(pk)
        except MktgError as error:
            logger.warning("%s: its token was not refreshed: %s", name, error)
    return done


def _refresh(pk: int) -> bool:
    row = OAuthToken.objects.select_related("connection").filter(pk=pk).first()
    if row is None or not row.pair.get("refresh_token") or not row.is_due(timezone.now()):
        return False
    refresh(row.connection, row.connection.driver)
    return True
