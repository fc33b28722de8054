"""Events: once each, in their order, and none lost without a word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.models import Connection, ConnectionState, DeadKind, DeadRow, Kind, OutboxRow
from mktg_integration.push.replay import replay
from mktg_integration.sandbox.credentials import KIT_ACCESS_TOKEN
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, send

SignUp = Callable[..., Any]


def later() -> None:
    past = timezone.now() - timedelta(hours=2)
    OutboxRow.objects.update(due_at=past)
    ConnectionState.objects.exclude(wait_until=None).update(wait_until=past)


def events(sandbox: Sandbox) -> list[str]:
    return [logged["name"] for logged in sandbox.dump()["convertloop"]["event_logs"]]


@pytest.fixture
def ada(connect: Connect, sign_up: SignUp) -> tuple[Connection, Any]:
    """At ConvertLoop, which has no key by which it would know an event again."""
    connected = connect("convertloop")["convertloop"]
    user = sign_up("ada")
    send(connected)
    return connected, user


@pytest.mark.parametrize("fault", ["drop", "truncate"])
def test_an_event_whose_answer_was_lost_is_not_sent_again_by_itself(
    fault: str, ada: tuple[Connection, Any], mktg_sandbox: Sandbox
) -> None:
    connected, user = ada
    shortcuts.track(user, "ordered")
    shortcuts.track(user, "paid")
    mktg_sandbox.fail("convertloop", fault, path="event_logs", nth=1, after_work=True)

    for _ in range(3):
        send(connected)
        later()

    assert events(mktg_sandbox) == ["ordered", "paid"]
    dead = DeadRow.objects.get()
    assert (dead.kind, dead.state, dead.code) == (Kind.EVENT, DeadKind.NEEDS_PERSON, "in_doubt")


def test_an_event_that_was_answered_with_a_failure_is_sent_again(
    ada: tuple[Connection, Any], mktg_sandbox: Sandbox
) -> None:
    connected, user = ada
    shortcuts.track(user, "ordered")
    mktg_sandbox.fail("convertloop", "status", status=500, path="event_logs", nth=1)

    send(connected)
    later()
    send(connected)

    assert events(mktg_sandbox) == ["ordered"]
    assert not DeadRow.objects.exists()


def without_contacts(sandbox: Sandbox) -> None:
    world = sandbox.dump()
    world["conversion"]["contacts"] = []
    sandbox.load(world)


def test_an_event_of_a_contact_that_is_gone_waits_until_it_is_made_again(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion")["conversion"]
    user = sign_up("ada")
    send(connected)
    without_contacts(mktg_sandbox)
    shortcuts.track(user, "ordered")

    send(connected)
    assert OutboxRow.objects.get(kind=Kind.EVENT).attempts == 1
    for _ in range(3):
        later()
        send(connected)

    assert emails(mktg_sandbox, "conversion") == ["ada@example.com"]
    assert not OutboxRow.objects.exists()
    assert not DeadRow.objects.exists()


def test_an_event_of_a_contact_that_stays_away_is_kept_with_the_reason(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion")["conversion"]
    user = sign_up("ada")
    send(connected)
    shortcuts.track(user, "ordered")
    for _ in range(2):
        without_contacts(mktg_sandbox)
        send(connected)
        later()

    dead = DeadRow.objects.get()
    assert (dead.kind, dead.state, dead.code) == (Kind.EVENT, DeadKind.REJECTED, "no_contact")
    replay(DeadRow.objects.all())
    send(connected)
    later()
    send(connected)
    assert not DeadRow.objects.exists()


@pytest.mark.parametrize("occurred_at", [None, datetime(2026, 1, 2, 3, 4, 5)])
def test_a_site_without_time_zones_tells_moments_with_theirs(
    settings: Any, ada: tuple[Connection, Any], occurred_at: datetime | None
) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "America/New_York"

    shortcuts.track(ada[1], "ordered", occurred_at=occurred_at)

    told = datetime.fromisoformat(OutboxRow.objects.get(kind=Kind.EVENT).payload["occurred_at"])
    assert told.tzinfo is not None
    assert occurred_at is None or told == datetime(2026, 1, 2, 8, 4, 5, tzinfo=UTC)


def test_a_site_without_time_zones_records_purchases(settings: Any, connect: Connect, sign_up: SignUp) -> None:
    connect("kit", credentials={"ACCESS_TOKEN": KIT_ACCESS_TOKEN})
    user = sign_up("ada")
    settings.USE_TZ = False

    product = shortcuts.Product(product_id="p", name="Plan", unit_price=Decimal(1), quantity=1)
    shortcuts.record_purchase(user, transaction_id="t1", products=[product], currency="USD")

    told = OutboxRow.objects.get(kind=Kind.PURCHASE).payload["occurred_at"]
    assert abs(datetime.fromisoformat(told) - datetime.now(UTC)) < timedelta(minutes=1)
