"""What is remembered between sending a browser to a service and its coming back: in the session, once, for a while."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

from django.contrib.sessions.backends.base import SessionBase

SESSION_KEY = "mktg_integration.oauth"
LIFETIME_SECONDS = 600.0
MOST = 10
"""Flows that one session may have begun at a time; beyond that the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One flow that was begun. ``connection`` is the id of the connection to be renewed, 0 for any."""

    provider: str
    user: str
    verifier: str
    redirect_uri: str
    redirect: str = ""
    connection: int = 0


def remember(session: SessionBase, pending: Pending) -> str:
    """The ``state`` to send along. The session holds its digest alone."""
    state = secrets.token_urlsafe(32)
    kept = _alive(session)
    kept[_digest(state)] = {**asdict(pending), "until": time.time() + LIFETIME_SECONDS}
    session[SESSION_KEY] = dict(sorted(kept.items(), key=lambda item: item[1]["until"])[-MOST:])
    return state


def recall(session: SessionBase, state: str, provider: str) -> Pending | None:
    """What was remembered under ``state``, forgotten thereby; None where it was not begun by this session for this
    provider, has come back before, or took too long."""
    kept = _alive(session)
    found: dict[str, Any] | None = kept.pop(_digest(state), None)
    session[SESSION_KEY] = kept
    if found is None or found["provider"] != provider:
        return None
    # At once: a second request with the same state must not find it while this one asks the service.
    session.save()
    del found["until"]
    return Pending(**found)


def _alive(session: SessionBase) -> dict[str, Any]:
    now = time.time()
    return {digest: kept for digest, kept in session.get(SESSION_KEY, {}).items() if kept["until"] > now}


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()
