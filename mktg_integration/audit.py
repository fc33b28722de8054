"""Writes down who did what."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from mktg_integration.models import AuditAction, AuditEntry, Connection

Via = Literal["admin", "api", "command", "link", "oauth"]


class Actor(NamedTuple):
    """Who acts, and by which way. ``user`` is None for a command and for a preference link."""

    user: Any
    via: Via


def record(
    actor: Actor, action: AuditAction, *, connection: Connection | None = None, subject: str = "", **detail: Any
) -> AuditEntry:
    """Write an entry. ``detail`` must hold no personal data and no secret."""
    user = actor.user if actor.user is not None and actor.user.is_authenticated else None
    return AuditEntry.objects.create(
        action=action,
        actor=user,
        via=actor.via,
        connection=connection,
        connection_name=connection.name if connection is not None else "",
        subject=subject,
        detail=detail,
    )
