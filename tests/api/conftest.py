"""A site with connections at the sandbox, and clients of its API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from rest_framework.test import APIClient

from mktg_integration.models import Connection, ConnectionState
from tests.push.conftest import connect, sign_up

__all__ = ["connect", "sign_up"]

ROOT = "/marketing/api/v1/"
SECRET = "sk_live_of_this_connection"
TASKS: list[tuple[str, tuple[int | str, ...]]] = []

Call = Callable[..., Any]


def note_task(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    TASKS.append((path.removeprefix("mktg_integration.tasks."), ids))


@pytest.fixture(autouse=True)
def _fresh_throttles() -> None:
    cache.clear()


@pytest.fixture
def tasks(marketing: Callable[..., None]) -> Iterator[list[tuple[str, tuple[int | str, ...]]]]:
    """What was asked of the task engine: ``(name, ids)``."""
    marketing(TASK_ENGINE=f"{__name__}.note_task")
    TASKS.clear()
    yield TASKS
    TASKS.clear()


@pytest.fixture
def crm(db: None, tasks: Any) -> Connection:
    """A stored connection whose service is never called."""
    connection = Connection.objects.create(name="crm", provider="conversion", credentials={"API_KEY": SECRET})
    ConnectionState.objects.get_or_create(connection=connection)
    return connection


def granted(user: User, *permissions: str) -> User:
    """The user with these permissions, each ``<app>.<codename>``."""
    names = [permission.partition(".")[2] for permission in permissions]
    found = Permission.objects.filter(content_type__app_label="mktg_integration", codename__in=names)
    assert found.count() == len(set(names)), names
    user.user_permissions.set(found)
    return user


def client_of(user: Any = None) -> APIClient:
    client = APIClient()
    if user is not None:
        client.force_login(user)
    return client


class Api:
    """``api.get("runs/")`` with the rights of somebody."""

    def __init__(self, client: APIClient) -> None:
        self.client = client

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(ROOT + path, query)

    def post(self, path: str, body: Any = None) -> Any:
        return self.send("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self.send("PATCH", path, body)

    def send(self, method: str, path: str, body: Any) -> Any:
        # ASCII, so that it can hold what is no text.
        text = json.dumps({} if body is None else body)
        return self.client.generic(method, ROOT + path, text, content_type="application/json")

    def delete(self, path: str) -> Any:
        return self.client.delete(ROOT + path)


@pytest.fixture
def api(db: None) -> Api:
    """A superuser's."""
    return Api(client_of(User.objects.create_superuser("root")))


@pytest.fixture
def api_with(db: None) -> Callable[..., Api]:
    """``api_with(SYNC)``: of staff with these permissions alone."""

    def make(*permissions: str) -> Api:
        number = User.objects.count()
        return Api(client_of(granted(User.objects.create_user(f"staff{number}", is_staff=True), *permissions)))

    return make
