"""A site whose tasks are queued and run when a test says so, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from mktg_integration import running
from mktg_integration.audit import Actor
from mktg_integration.models import Connection
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import Fill
from tests.push.conftest import Connect, connect, sign_up

__all__ = ["connect", "sign_up"]

COMMAND = Actor(None, "command")
MADE_CALLS = {"POST", "PUT", "PATCH", "DELETE"}


class Queue:
    """What was asked of the task engine."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, tuple[int | str, ...], float]] = []

    def __call__(self, path: str, ids: tuple[int | str, ...], delay: float) -> None:
        self.tasks.append((path, ids, delay))

    def paths(self) -> list[str]:
        return [path.rpartition(".")[2] for path, _, _ in self.tasks]

    def one(self) -> bool:
        """Run the next task; False where there is none."""
        if not self.tasks:
            return False
        path, ids, _ = self.tasks.pop(0)
        module, _, name = path.rpartition(".")
        getattr(import_module(module), name)(*ids)
        return True

    def all(self, most: int = 200) -> None:
        """Run all of them, and those that they queue."""
        while self.one():
            most -= 1
            assert most, "the tasks queue each other without end"


QUEUE = Queue()


def enqueue(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    QUEUE(path, ids, delay)


@pytest.fixture
def queue(marketing: Callable[..., None]) -> Iterator[Queue]:
    marketing(TASK_ENGINE=f"{__name__}.enqueue")
    QUEUE.tasks.clear()
    yield QUEUE
    QUEUE.tasks.clear()


@pytest.fixture(autouse=True)
def every_page_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is written after each page, so that tests need not last seconds."""
    monkeypatch.setattr(running, "SECONDS", 0.0)


@pytest.fixture
def kit(connect: Connect, queue: Queue, fill: Fill) -> Connection:
    """A connection by token, without a rate."""
    connection = connect("kit", TASK_ENGINE=f"{__name__}.enqueue", LIST_LAG_SECONDS=0.0)["kit"]
    fill()
    return connection


@pytest.fixture
def fill(mktg_sandbox: Sandbox) -> Fill:
    def change(**tables: Any) -> None:
        world = mktg_sandbox.dump()
        world["kit"].update(tables)
        world["kit"]["settings"]["rate_limit"] = None
        mktg_sandbox.load(world)

    return change


def writes(sandbox: Sandbox) -> list[str]:
    """The calls that the services got and that change something there."""
    operations = [entry.operation or "" for entry in sandbox.log.entries()]
    return [operation for operation in operations if operation.partition(" ")[0] in MADE_CALLS]


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """``staff("sync_people")``: the browser of somebody who may look at runs and has these permissions."""

    def login(*names: str) -> Client:
        users = get_user_model().objects
        user = users.create(username=f"staff{users.count()}", is_staff=True)
        wanted = ["view_run", "view_connection", *names]
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="mktg_integration", codename__in=wanted)
        )
        client = Client()
        client.force_login(user)
        return client

    return login
