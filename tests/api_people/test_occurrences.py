"""Events and purchases that the site's other programs tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.models import Connection, Lead, OutboxRow
from mktg_integration.permissions import SYNC
from mktg_integration.sandbox.server import Sandbox
from tests.api_people.conftest import API, Staff
from tests.push.conftest import send

SignUp = Callable[..., Any]
Site = Callable[..., Any]
EVENTS, PURCHASES = f"{API}events/", f"{API}purchases/"
BOOK = {"name": "Book", "product_id": "B1", "unit_price": "19.99", "quantity": 2}


@pytest.fixture
def sites(site: Site) -> dict[str, Connection]:
    connections: dict[str, Connection] = site("kit", "convertloop")
    return connections


def test_an_event_is_told_once_for_its_key(
    sites: dict[str, Connection], sign_up: SignUp, staff: Staff, mktg_sandbox: Sandbox
) -> None:
    user = sign_up("ada", newsletter=True)
    client = staff(SYNC)
    event = {"person": f"user:{user.pk}", "name": "bought", "data": {"thing": "hat"}, "key": "order-1"}

    for _ in range(2):
        answer = client.post(EVENTS, event, format="json")
        assert (answer.status_code, answer.json()) == (202, {"key": "order-1"})
    send(sites["convertloop"])

    (told,) = mktg_sandbox.dump()["convertloop"]["event_logs"]
    assert told["name"] == "bought"


def test_the_key_may_be_a_header(sites: dict[str, Connection], sign_up: SignUp, staff: Staff) -> None:
    user = sign_up("ada")
    event = {"person": f"user:{user.pk}", "name": "bought"}
    answer = staff(SYNC).post(EVENTS, event, format="json", headers={"Idempotency-Key": "order-2"})
    assert answer.json() == {"key": "order-2"}
    assert OutboxRow.objects.get(kind="event").key.endswith("order-2")


def test_an_address_without_an_account_is_a_leads(sites: dict[str, Connection], staff: Staff) -> None:
    event = {"email": "guest@example.com", "name": "asked", "key": "1"}
    assert staff(SYNC).post(EVENTS, event, format="json").status_code == 202
    assert OutboxRow.objects.get(kind="event").subject == f"lead:{Lead.objects.get().pk}"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"key": None}, "key"),
        ({"name": ""}, "name"),
        ({"person": None}, "non_field_errors"),
        ({"email": "also@example.com"}, "non_field_errors"),
        ({"person": "user:999"}, "person"),
        ({"person": "somebody"}, "person"),
        ({"data": "text"}, "data"),
        ({"connection": 999}, "connection"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
    ],
)
def test_what_is_wrong_with_an_event_is_named(
    change: dict[str, Any], where: str, sites: dict[str, Connection], sign_up: SignUp, staff: Staff
) -> None:
    user = sign_up("ada")
    given = {"person": f"user:{user.pk}", "name": "bought", "key": "1", **change}
    event = {name: value for name, value in given.items() if value is not None}
    answer = staff(SYNC).post(EVENTS, event, format="json")
    assert answer.status_code == 400
    assert where in answer.json()["errors"]
    assert not OutboxRow.objects.filter(kind="event").exists()


def test_a_connection_that_takes_no_events_says_so(sites: dict[str, Connection], sign_up: SignUp, staff: Staff) -> None:
    user = sign_up("ada")
    event = {"person": f"user:{user.pk}", "name": "bought", "key": "1", "connection": sites["kit"].pk}
    answer = staff(SYNC).post(EVENTS, event, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported")


def test_a_purchase_reaches_the_service_once_and_exactly(
    sites: dict[str, Connection], sign_up: SignUp, staff: Staff, mktg_sandbox: Sandbox
) -> None:
    user = sign_up("ada", newsletter=True)
    client = staff(SYNC)
    bought = {
        "person": f"user:{user.pk}",
        "transaction_id": "T-1",
        "currency": "eur",
        "products": [BOOK],
        "tax": "7.60",
        "occurred_at": "2026-03-01T12:00:00Z",
    }
    for _ in range(2):
        answer = client.post(PURCHASES, bought, format="json")
        assert (answer.status_code, answer.json()) == (202, {"key": "T-1"})
        send(sites["kit"])

    (told,) = mktg_sandbox.dump()["kit"]["purchases"]
    assert (told["transaction_id"], told["currency"], told["total"]) == ("T-1", "EUR", 47.58)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"currency": "euro"}, "currency"),
        ({"products": []}, "products.non_field_errors"),
        ({"products": [{**BOOK, "unit_price": "much"}]}, "products.0.unit_price"),
        ({"products": [BOOK, BOOK]}, "non_field_errors"),
        ({"transaction_id": " "}, "transaction_id"),
    ],
)
def test_what_is_wrong_with_a_purchase_is_named(
    change: dict[str, Any], where: str, sites: dict[str, Connection], sign_up: SignUp, staff: Staff
) -> None:
    user = sign_up("ada")
    given = {"person": f"user:{user.pk}", "transaction_id": "T", "currency": "EUR", "products": [BOOK], **change}
    answer = staff(SYNC).post(PURCHASES, given, format="json")
    assert answer.status_code == 400
    assert where in answer.json()["errors"]
    assert not OutboxRow.objects.filter(kind="purchase").exists()


def test_only_those_who_may_sync_tell(sites: dict[str, Connection], staff: Staff) -> None:
    for client in (staff(), staff(SYNC, is_staff=False)):
        assert client.post(EVENTS, {}, format="json").status_code == 403
        assert client.post(PURCHASES, {}, format="json").status_code == 403
    assert not OutboxRow.objects.exclude(kind="profile").exists()
