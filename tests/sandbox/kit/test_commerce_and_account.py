"""Purchases, broadcasts and the account's figures."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .calling import Kit, people

LINE = {"name": "Tip", "pid": "tip", "lid": "1", "quantity": 2, "unit_price": 2.5}
PURCHASE: dict[str, Any] = {
    "email_address": "buyer@example.com",
    "transaction_id": "t1",
    "currency": "usd",
    "products": [LINE],
}


def test_a_purchase_makes_its_subscriber_and_works_out_what_is_left_out(kit: Kit) -> None:
    body = {**PURCHASE, "first_name": "B", "tax": 0.5, "discount": 1, "shipping": 3}
    row = kit.call("POST /v4/purchases", {"purchase": body}).json["purchase"]
    assert (row["status"], row["currency"], row["subtotal"], row["total"]) == ("paid", "USD", 5, 7.5)
    assert row["products"] == [{"quantity": 2, "lid": "1", "unit_price": 2.5, "sku": None, "name": "Tip", "pid": "tip"}]
    assert kit.service.people()[0]["first_name"] == "B"
    assert kit.call("GET /v4/purchases/1").json["purchase"] == row


def test_shipping_is_whole_however_it_is_written(kit: Kit) -> None:
    raw = json.dumps({"purchase": {**PURCHASE, "shipping": 3.0}}).encode()
    assert kit.call("POST /v4/purchases", raw=raw).json["purchase"]["total"] == 8
    answer = kit.call("POST /v4/purchases", {"purchase": {**PURCHASE, "transaction_id": "t2", "shipping": 3.5}})
    assert answer.response.undocumented == "body type of purchase.shipping"


def test_a_bare_purchase_is_taken_but_told(kit: Kit) -> None:
    answer = kit.call("POST /v4/purchases", PURCHASE)
    assert (answer.status, answer.response.undocumented) == (201, "body without purchase")
    answer = kit.call("POST /v4/purchases", {"purchase": {**PURCHASE, "transaction_id": "t2"}, "status": "paid"})
    assert (answer.status, answer.response.undocumented) == (422, "body keys beside purchase")


def test_a_purchase_resubscribes_nobody(kit: Kit) -> None:
    kit.load(subscribers=people("cancelled"))
    body = {**PURCHASE, "email_address": "person1@example.com"}
    assert kit.call("POST /v4/purchases", {"purchase": body}).status == 201
    assert [row["state"] for row in kit.service.people()] == ["cancelled"]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"transaction_id": None}, "Transaction cannot be blank"),
        ({"transaction_id": "t0"}, "Transaction has already been taken"),
        ({"email_address": "x"}, "Email address is invalid"),
        ({"currency": None}, "Currency cannot be blank"),
        ({"currency": "Euro"}, "Currency is invalid"),
        ({"status": "refunded"}, "Status is not supported"),
        ({"products": []}, "Products cannot be blank"),
        ({"products": [LINE, LINE]}, "Products must each have a unique lid"),
        ({"transaction_time": "yesterday"}, "Transaction time is not a valid ISO8601 timestamp"),
        ({"products": [{"name": "Tip"}]}, "Pid can't be blank"),
    ],
)
def test_purchases_are_checked(kit: Kit, changed: dict[str, Any], error: str) -> None:
    assert kit.call("POST /v4/purchases", {"purchase": {**PURCHASE, "transaction_id": "t0"}}).status == 201
    answer = kit.call("POST /v4/purchases", {"purchase": {**PURCHASE, **changed}})
    assert answer.status == 422
    assert error in answer.errors
    assert kit.ids("GET /v4/purchases") == [1]


def test_a_broadcast_from_draft_to_sent(kit: Kit) -> None:
    draft = kit.call("POST /v4/broadcasts", {"subject": "Hello", "send_at": None}).json["broadcast"]
    assert draft["subscriber_filter"] == [{"all": [{"type": "all_subscribers"}]}]
    assert draft["email_template"] == {"id": 2, "name": "Text Only"}

    def status() -> str:
        text: str = kit.call("GET /v4/broadcasts/1/stats").json["broadcast"]["stats"]["status"]
        return text

    assert status() == "draft"
    changed = kit.call("PUT /v4/broadcasts/1", {"send_at": "2023-02-17T13:43:55+01:00"}).json["broadcast"]
    assert (changed["subject"], changed["send_at"]) == ("Hello", "2023-02-17T12:43:55Z")
    assert status() == "scheduled"
    kit.clock.move(3600)
    assert status() == "completed"
    for operation in ("PUT", "DELETE"):
        answer = kit.call(f"{operation} /v4/broadcasts/1", {})
        assert (answer.status, answer.errors) == (422, ["Broadcast is already sending."])


def test_an_unfiltered_broadcast_can_be_written_back_as_it_was_read(kit: Kit) -> None:
    read = kit.call("POST /v4/broadcasts", {"subject": "Hello"}).json["broadcast"]
    body = {"subscriber_filter": read["subscriber_filter"]}
    assert kit.call("PUT /v4/broadcasts/1", body).json["broadcast"] == read


def test_filters_of_broadcasts(kit: Kit) -> None:
    two = [{"all": [{"type": "tag", "ids": [1]}]}, {"none": [{"type": "tag", "ids": ["2"]}]}]
    answer = kit.call("POST /v4/broadcasts", {"subscriber_filter": two})
    assert answer.errors == ["Only a single filter group is supported. Use one of `all`, `any`, or `none`."]
    body = {"subscriber_filter": [{"any": [{"type": "form", "ids": [1]}]}]}
    assert kit.call("POST /v4/broadcasts", body).status == 422


def test_growth_is_counted_in_the_sending_time_zone(kit: Kit) -> None:
    kit.load(subscribers=people("active", "cancelled", "active"))
    stats = kit.call("GET /v4/account/growth_stats?starting=2023-01-02&ending=2023-02-17").json["stats"]
    assert stats == {
        "cancellations": 1,
        "net_new_subscribers": 1,
        "new_subscribers": 2,
        "subscribers": 2,
        "starting": "2023-01-02T00:00:00-05:00",
        "ending": "2023-02-17T23:59:59-05:00",
    }
    stats = kit.call("GET /v4/account/growth_stats").json["stats"]
    assert (stats["starting"][:10], stats["ending"][:10]) == ("2022-11-19", "2023-02-17")


def test_colors(kit: Kit) -> None:
    answer = kit.call("PUT /v4/account/colors", {"colors": ["#fff", "red", "#12345"]})
    assert answer.errors == [
        "Colors red is not a valid hex color code.",
        "Colors #12345 is not a valid hex color code.",
    ]
    assert kit.call("PUT /v4/account/colors", {"colors": ["#fff"] * 6}).status == 422
    assert kit.call("GET /v4/account/colors").json == {"colors": []}


def test_an_act_that_nobody_knows(kit: Kit) -> None:
    kit.load(subscribers=people("active"))
    with pytest.raises(ValueError, match="unsubscribe"):
        kit.service.happens("vanish", "person1@example.com")
    with pytest.raises(KeyError):
        kit.service.happens("bounce", "nobody@example.com")
