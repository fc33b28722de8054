"""Purchases: recorded once, whatever becomes of the answer, and of nobody whom that would subscribe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import DeadKind, DeadRow, OutboxRow, Purchase, PurchaseItem
from mktg_integration.providers.kit import occurrences as kit
from mktg_integration.push import replay
from mktg_integration.push.drain import drain
from mktg_integration.sandbox.server import Sandbox
from mktg_integration.shortcuts import Product
from tests.push.conftest import Connect, emails, send

SignUp = Callable[..., Any]
CREATE = "POST /v4/purchases"
LIST = "GET /v4/purchases"
BOOK = Product(name="Book", product_id="B1", unit_price=Decimal("19.99"), quantity=2, sku="B-1")


def buy(person: Any, transaction_id: str = "T-1", **given: Any) -> None:
    given = {"currency": "EUR", "products": [BOOK], **given}
    shortcuts.record_purchase(person, transaction_id=transaction_id, **given)


def at_kit(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.dump()["kit"]["purchases"])


def asked(sandbox: Sandbox, operation: str) -> int:
    return sum(entry.operation == operation for entry in sandbox.log.entries("kit"))


def later(**ago: float) -> None:
    """Let time pass: the rows are due, and what was tried was tried so long ago."""
    past = timezone.now() - timedelta(**ago)
    OutboxRow.objects.update(due_at=past)
    OutboxRow.objects.exclude(tried_at=None).update(tried_at=past)


def test_a_purchase_is_recorded_with_exact_money_and_mirrored(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    when = datetime(2026, 3, 1, 12, tzinfo=UTC)

    buy(user, tax=Decimal("7.60"), shipping=Decimal(5), discount=Decimal("1.05"), occurred_at=when, currency="eur")
    send(connection)

    (told,) = at_kit(mktg_sandbox)
    assert (told["email_address"], told["currency"], told["transaction_id"]) == (user.email, "EUR", "T-1")
    assert (told["subtotal"], told["tax"], told["discount"], told["total"]) == (39.98, 7.6, 1.05, 51.53)
    assert told["products"][0]["pid"] == told["products"][0]["lid"] == "B1"
    mirrored = Purchase.objects.get()
    assert (mirrored.total, mirrored.transaction_time) == (Decimal("51.53"), when)
    assert PurchaseItem.objects.get().unit_price == Decimal("19.99")
    assert not OutboxRow.objects.exists()


def test_the_same_purchase_recorded_again_is_sent_once(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    buy(user)
    buy(user)
    send(connection)
    buy(user)
    send(connection)

    assert asked(mktg_sandbox, CREATE) == 1
    assert not OutboxRow.objects.exists()


def test_after_a_lost_answer_the_purchase_is_found_and_not_repeated(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    send(connection)
    buy(user)
    mktg_sandbox.fail("kit", "drop", operation=CREATE, times=1, after_work=True)
    send(connection)
    assert OutboxRow.objects.get().tried_at is not None

    later(minutes=10)
    send(connection)

    assert (asked(mktg_sandbox, LIST), asked(mktg_sandbox, CREATE)) == (1, 1)
    assert len(at_kit(mktg_sandbox)) == 1
    assert Purchase.objects.get().transaction_id == "T-1"
    assert not OutboxRow.objects.exists()


def test_a_request_that_was_lost_is_repeated_once_the_list_shows_that_it_was(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    send(connection)
    buy(user)
    mktg_sandbox.fail("kit", "drop", operation=CREATE, times=1)
    send(connection)

    # The list may lag behind: that it is not there proves nothing yet.
    later(minutes=1)
    send(connection)
    assert (asked(mktg_sandbox, LIST), asked(mktg_sandbox, CREATE)) == (1, 1)
    assert OutboxRow.objects.get().attempts == 1

    later(minutes=10)
    send(connection)
    assert asked(mktg_sandbox, CREATE) == 2
    assert len(at_kit(mktg_sandbox)) == 1
    assert not OutboxRow.objects.exists()


def many_purchases(sandbox: Sandbox, number: int) -> None:
    world = sandbox.dump()
    world["kit"]["purchases"] = [
        {
            "id": position,
            "transaction_id": f"old-{position}",
            "status": "paid",
            "email_address": "someone@example.com",
            "currency": "EUR",
            "transaction_time": "2026-01-01T00:00:00Z",
            "subtotal": 1.0,
            "discount": 0.0,
            "tax": 0.0,
            "total": 1.0,
            "products": [],
        }
        for position in range(1, number + 1)
    ]
    sandbox.load(world)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of purchases are looked through for at most 3 pages of 2."""
    monkeypatch.setattr(kit, "MAX_PER_PAGE", 2)
    monkeypatch.setattr(kit, "MAX_PAGES", 3)


def test_what_the_newest_purchases_do_not_settle_needs_a_person(
    short_pages: None, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    send(connection)
    many_purchases(mktg_sandbox, 20)
    buy(user)
    mktg_sandbox.fail("kit", "drop", operation=CREATE, times=1)
    send(connection)
    later(minutes=10)
    send(connection)

    dead = DeadRow.objects.get()
    assert (dead.state, dead.code) == (DeadKind.NEEDS_PERSON, "purchase_in_doubt")
    assert (asked(mktg_sandbox, LIST), asked(mktg_sandbox, CREATE)) == (3, 1)

    # The person has looked, and says by replaying it that Kit does not have it.
    replay.replay(DeadRow.objects.all())
    send(connection)
    assert asked(mktg_sandbox, CREATE) == 2
    assert not DeadRow.objects.exists()


def test_a_purchase_known_from_before_the_try_ends_the_search(
    short_pages: None, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    send(connection)
    many_purchases(mktg_sandbox, 20)
    buy(user, "before")
    send(connection)
    Purchase.objects.update(seen_at=timezone.now() - timedelta(hours=1))
    buy(user)
    mktg_sandbox.fail("kit", "drop", operation=CREATE, times=1)
    send(connection)
    later(minutes=10)
    send(connection)

    assert asked(mktg_sandbox, LIST) == 1
    assert {"before", "T-1"} <= {told["transaction_id"] for told in at_kit(mktg_sandbox)}
    assert not OutboxRow.objects.exists()


def test_a_process_that_dies_with_the_answer_leaves_a_purchase_in_doubt(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    send(connection)
    buy(user)

    def die(*given: Any, **named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("mktg_integration.push.occurrences.record", SimpleNamespace(write_mirror=die))
        with pytest.raises(KeyboardInterrupt):
            drain(connection.pk)
    later(minutes=10)
    send(connection)

    assert (asked(mktg_sandbox, LIST), asked(mktg_sandbox, CREATE)) == (1, 1)
    assert not OutboxRow.objects.exists()


def test_purchases_need_oauth(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    connected = connect("kit", "kit_by_key")
    user = sign_up("ada")

    buy(user)
    assert [row.connection_id for row in OutboxRow.objects.filter(kind="purchase")] == [connected["kit"].pk]
    assert "kit_by_key cannot record_purchase with its credentials" in caplog.text

    with pytest.raises(UnsupportedError, match="OAuth"):
        buy(user, connection="kit_by_key")


def test_a_buyer_who_refused_is_not_made_a_subscriber(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada", newsletter=False)
    buy(user)
    send(connection)

    assert emails(mktg_sandbox, "kit") == []
    assert asked(mktg_sandbox, CREATE) == 0
    assert not OutboxRow.objects.exists()
    assert not DeadRow.objects.exists()


def test_a_refused_purchase_is_kept_with_its_reason(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    buy(user)
    mktg_sandbox.fail("kit", "status", operation=CREATE, status=422)
    send(connection)

    assert DeadRow.objects.get().state == DeadKind.REJECTED
    assert user.email not in DeadRow.objects.get().reason


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"transaction_id": " "}, "transaction_id"),
        ({"currency": "Euro"}, "currency"),
        ({"products": []}, "products: a purchase has at least one"),
        ({"products": [BOOK, BOOK]}, "line_id"),
        ({"products": [Product(name="Book", product_id="B1", unit_price=Decimal("NaN"))]}, "line 1: unit_price"),
        ({"products": [Product(name="Book", product_id="B1", unit_price=Decimal(1), quantity=0)]}, "quantity"),
        ({"tax": 1.5}, "tax: give a Decimal"),
        ({"occurred_at": datetime(2026, 1, 1)}, "occurred_at: give a time with its zone"),
    ],
)
def test_what_is_wrong_with_a_purchase_is_said_at_once(
    given: dict[str, Any], error: str, connect: Connect, sign_up: SignUp
) -> None:
    connect("kit")
    user = sign_up("ada")
    with pytest.raises((ValueError, TypeError), match=error):
        buy(user, **given)
    assert not OutboxRow.objects.filter(kind="purchase").exists()
