"""A Kit account in the sandbox, and a connection that reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.pull.engine import PullReport, pull
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import declared

CREATED = "2024-03-01T10:00:00Z"
UPDATED = "2024-03-02T10:00:00Z"

Fill = Callable[..., None]
Pull = Callable[..., PullReport]


def subscriber(number: int, **given: Any) -> dict[str, Any]:
    """A row of a world file."""
    row = {
        "id": number,
        "email_address": f"person{number}@example.com",
        "first_name": f"Name{number}",
        "created_at": CREATED,
        "updated_at": UPDATED,
    }
    return {**row, **given}


def people(count: int) -> list[dict[str, Any]]:
    return [subscriber(number) for number in range(1, count + 1)]


def tag(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "created_at": CREATED}


def tagging(tag_id: int, subscriber_id: int, tagged_at: str = UPDATED) -> dict[str, Any]:
    return {"tag_id": tag_id, "subscriber_id": subscriber_id, "tagged_at": tagged_at}


@pytest.fixture
def fill(mktg_sandbox: Sandbox) -> Fill:
    """``fill(subscribers=[…], tags=[…])`` puts these tables in the place of the account's own; the rate is not kept."""

    def change(**tables: Any) -> None:
        world = mktg_sandbox.dump()
        world["kit"].update(tables)
        world["kit"]["settings"]["rate_limit"] = None
        mktg_sandbox.load(world)

    return change


@pytest.fixture
def kit(db: None, mktg_sandbox: Sandbox, marketing: Callable[..., None], fill: Fill) -> Connection:
    """A connection by token. Lists do not lag here, so that what a test changes counts at once."""
    marketing(CONNECTIONS=declared(mktg_sandbox, "kit"), LIST_LAG_SECONDS=0.0)
    sync_declared()
    fill()
    return Connection.objects.get(name="kit")


@pytest.fixture
def read(kit: Connection) -> Pull:
    """``read("contacts", full=True)`` pulls these resources in the foreground."""

    def run(*resources: str, **options: Any) -> PullReport:
        return pull(kit.pk, resources=resources, patient=True, **options)

    return run
