"""Connections, people, and the rows that marks leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from mktg_integration.models import Connection, ConnectionState, OutboxRow
from mktg_integration.push import wake
from tests.push.outbox.queue import asked


@pytest.fixture(autouse=True)
def never_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just started: the next wake-up looks."""
    monkeypatch.setattr(wake, "_looked_at", {False: float("-inf"), True: float("-inf")})


@pytest.fixture
def connect_to(db: None) -> Callable[..., Connection]:
    """``connect_to("kit")`` is a connection of that name and provider, with its state."""

    def make(name: str, **fields: Any) -> Connection:
        fields = {"provider": name, **fields}
        connection, _ = Connection.objects.get_or_create(name=name, defaults=fields)
        ConnectionState.objects.get_or_create(connection=connection)
        return connection

    return make


@pytest.fixture
def kit(connect_to: Callable[..., Connection]) -> Connection:
    return connect_to("kit")


@pytest.fixture
def three(connect_to: Callable[..., Connection]) -> list[Connection]:
    return [connect_to(name) for name in ("kit", "conversion", "convertloop")]


@pytest.fixture
def sign_up(db: None) -> Callable[..., Any]:
    """``sign_up("ann")`` saves a user, as a signup does."""

    def make(name: str, **fields: Any) -> Any:
        model = get_user_model()
        fields[model.USERNAME_FIELD] = name
        if hasattr(model, model.get_email_field_name()):
            fields[model.get_email_field_name()] = f"{name}@example.com"
        return model._default_manager.create(**fields)

    return make


@pytest.fixture
def rows(db: None) -> Callable[..., list[OutboxRow]]:
    return lambda **filters: list(OutboxRow.objects.filter(**filters).order_by("key"))


@pytest.fixture
def queue(marketing: Any) -> list[tuple[int, float]]:
    """The drains that were queued, as ``(connection id, delay)``."""
    marketing(TASK_ENGINE="tests.push.outbox.queue.remember")
    asked.clear()
    return asked
