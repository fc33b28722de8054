"""Staff, a stored connection, and a task engine that only notes what it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mktg_integration.models import Connection, ConnectionState
from tests.push.conftest import connect, sign_up  # noqa: F401 (fixtures)

TASKS: list[tuple[str, tuple[int | str, ...]]] = []
SECRET = "sk_live_entered_by_hand"


def note_task(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    """A task engine that runs nothing."""
    TASKS.append((path, ids))


@pytest.fixture
def tasks(marketing: Callable[..., None]) -> list[tuple[str, tuple[int | str, ...]]]:
    """What was asked of the task engine: ``(path, ids)``."""
    marketing(TASK_ENGINE=f"{__name__}.note_task")
    TASKS.clear()
    return TASKS


@pytest.fixture
def connection(db: None, tasks: Any) -> Connection:
    connection = Connection.objects.create(name="crm", provider="conversion", credentials={"API_KEY": SECRET})
    ConnectionState.objects.get_or_create(connection=connection)
    return connection


@pytest.fixture
def staff(db: None, tasks: Any) -> Client:
    """A superuser's browser."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is not asked whether it takes the key; see ``tests/oauth/test_keys.py``."""
    monkeypatch.setattr("mktg_integration.admin.connection_form.try_out", lambda driver, account: None)
