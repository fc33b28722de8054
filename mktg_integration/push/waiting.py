"""How a connection waits: why it may not send now, how long, and when a person is asked.

The rows keep their attempts: what keeps all of them back is nobody's fault.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.connections import public_url_matches
from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.models import Connection, WaitReason
from mktg_integration.signals import connection_needs_attention

logger = logging.getLogger("mktg_integration.push")

WAIT_SECONDS = {
    WaitReason.RECONNECT: 900.0,
    WaitReason.FORBIDDEN: 900.0,
    WaitReason.CONFIGURATION: 900.0,
    WaitReason.REJECTIONS: 3600.0,
    WaitReason.RATE: 60.0,
    WaitReason.COPY: 3600.0,
}
OUTAGE_SECONDS = 5.0
OUTAGE_SECONDS_MAX = 600.0
NEEDS_A_PERSON = frozenset(
    {
        WaitReason.RECONNECT,
        WaitReason.FORBIDDEN,
        WaitReason.REJECTIONS,
        WaitReason.CONFIGURATION,
        WaitReason.COPY,
    }
)

URGENT_GOES_ON = frozenset({WaitReason.FORBIDDEN, WaitReason.REJECTIONS})
"""Waits during which unsubscribes and erasures are tried all the same, alone: what holds back the others, such as a
full plan, need not hold back who wants to leave."""
_WAITS = {
    Action.WAIT: WaitReason.RATE,
    Action.RETRY: WaitReason.OUTAGE,
    Action.RECONNECT: WaitReason.RECONNECT,
    Action.FORBIDDEN: WaitReason.FORBIDDEN,
}


class Stop(Exception):  # noqa: N818 (not an error: it ends a drain in order)
    """The connection has to wait: no further call may start."""

    def __init__(self, reason: WaitReason, detail: str = "", seconds: float | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.seconds = seconds
        super().__init__(detail)


def stop_for(error: ServiceError) -> Stop:
    """How the connection waits after a call that failed as a whole."""
    return Stop(_WAITS.get(error.action, WaitReason.CONFIGURATION), str(error), error.retry_after)


def not_now(connection: Connection, *, foreground: bool) -> str:
    """Why this connection may not send now; empty where it may."""
    state = connection.state
    if not settings.PUSH or not connection.push_enabled:
        return "off"
    if connection.paused or connection.dry_run:
        return "paused" if connection.paused else "dry_run"
    if not public_url_matches(connection):
        wait(connection, Stop(WaitReason.COPY, "the database is bound to another site's PUBLIC_URL: confirm it"))
        return WaitReason.COPY
    waits = state.wait_until is not None and state.wait_until > timezone.now()
    return state.wait_reason if waits and not foreground else ""


def wait(connection: Connection, stop: Stop) -> float:
    """Let the connection wait; the rows keep their attempts. The seconds until it is worth another look."""
    state = connection.state
    if stop.reason == WaitReason.OUTAGE:
        seconds = min(OUTAGE_SECONDS * 2 ** min(state.outages, 10), OUTAGE_SECONDS_MAX)
        state.outages += 1
    else:
        seconds = WAIT_SECONDS[stop.reason]
    seconds = seconds if stop.seconds is None else max(stop.seconds, 0.05)
    is_new = state.wait_reason != stop.reason
    now = timezone.now()
    state.wait_reason = stop.reason
    state.wait_detail = stop.detail[:500]
    state.wait_until = now + timedelta(seconds=seconds)
    if stop.reason != WaitReason.RATE:
        state.last_failure_at = now
    state.save(update_fields=["wait_reason", "wait_detail", "wait_until", "outages", "last_failure_at"])
    if is_new and stop.reason in NEEDS_A_PERSON:
        logger.error("%s needs attention: %s", connection.name, stop.detail or stop.reason)
        connection_needs_attention.send_robust(
            sender=Connection, connection=connection, reason=str(stop.reason), detail=stop.detail
        )
    return seconds


def end(connection: Connection) -> None:
    """A batch went well: the connection waits no more."""
    state = connection.state
    if state.wait_reason or state.outages:
        state.wait_reason, state.wait_detail, state.wait_until, state.outages = WaitReason.NONE, "", None, 0
        state.save(update_fields=["wait_reason", "wait_detail", "wait_until", "outages"])
