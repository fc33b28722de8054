"""A connection, times, and what services tell."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mktg_integration.models import Connection, ConnectionState
from mktg_integration.records import ContactRecord, ContactStatus

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def kit(db: None) -> Connection:
    connection = Connection.objects.create(name="kit", provider="kit")
    ConnectionState.objects.get_or_create(connection=connection)
    return connection


@pytest.fixture
def told() -> Callable[..., ContactRecord]:
    """``told("1")`` is what a service tells of its contact 1."""

    def make(remote_id: str = "1", **fields: Any) -> ContactRecord:
        fields = {"email": f"person{remote_id}@example.com", "status": ContactStatus.ACTIVE} | fields
        return ContactRecord(remote_id=remote_id, **fields)

    return make
