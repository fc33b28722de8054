"""Attempts and the audit are kept for a time that the site chooses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from mktg_integration.models import Attempt, AuditAction, AuditEntry, Connection, Kind, Outcome
from mktg_integration.pruning import prune


@pytest.fixture
def aged(connection: Connection) -> Connection:
    for days in (1, 40, 800):
        at = timezone.now() - timedelta(days=days)
        Attempt.objects.create(
            key=f"{connection.pk}:profile:user:1", connection=connection, kind=Kind.PROFILE, subject="user:1", at=at,
            outcome=Outcome.LATER,
        )  # fmt: skip
        AuditEntry.objects.create(at=at, action=AuditAction.REPLAYED, connection=connection, connection_name="crm")
    return connection


def test_attempts_and_the_audit_go_after_their_time(aged: Connection, marketing: Callable[..., None]) -> None:
    marketing(ATTEMPTS_KEPT_DAYS=30.0, AUDIT_KEPT_DAYS=730.0)
    would = prune(dry_run=True)
    assert (would.attempts, would.audit) == (2, 1)
    assert Attempt.objects.count() == 3
    assert prune() == would
    assert Attempt.objects.count() == 1
    assert AuditEntry.objects.count() == 2


def test_only_one_connection_may_be_pruned(aged: Connection) -> None:
    other = Connection.objects.create(name="other", provider="kit")
    assert prune(connection_id=other.pk).attempts == 0
    assert Attempt.objects.count() == 3
