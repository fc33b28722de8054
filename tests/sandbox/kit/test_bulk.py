"""Bulk requests: at once up to 100 items, later with more, never in order."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .calling import Kit, people
from .receiving import Receiver


def newcomers(number: int) -> list[dict[str, Any]]:
    return [{"first_name": f"N{i}", "email_address": f"n{i}@example.com"} for i in range(number)]


def test_results_never_come_in_the_order_of_the_request(kit: Kit) -> None:
    for size in (2, 3, 10, 100):
        kit.load()
        answer = kit.call("POST /v4/bulk/subscribers", {"subscribers": newcomers(size)})
        emails = [row["email_address"] for row in answer.json["subscribers"]]
        assert emails != [row["email_address"] for row in newcomers(size)]
        assert sorted(emails) == sorted(row["email_address"] for row in newcomers(size))


def test_failures_do_not_repeat_the_address(kit: Kit) -> None:
    bad = [{"first_name": "Bad", "email_address": "bad"}, {"first_name": None, "email_address": None}]
    answer = kit.call("POST /v4/bulk/subscribers", {"subscribers": newcomers(2) + bad})
    assert answer.status == 200
    assert len(answer.json["subscribers"]) == 2
    failures = sorted(answer.json["failures"], key=lambda failure: failure["subscriber"]["first_name"] or "")
    assert failures[1] == {
        "subscriber": {"first_name": "Bad", "email_address": None, "state": "active", "created_at": None},
        "errors": ["Email address is invalid"],
    }


@pytest.mark.parametrize("state", ["inactive", "cancelled", "bounced", "complained"])
def test_existing_subscribers_keep_their_state(kit: Kit, state: str) -> None:
    kit.load(subscribers=people(state))
    item = {"email_address": "PERSON1@example.com", "first_name": "New"}
    answer = kit.call("POST /v4/bulk/subscribers", {"subscribers": [item]})
    row = answer.json["subscribers"][0]
    assert (row["id"], row["state"], row["first_name"]) == (1, state, "New")
    assert not kit.service.stats.resubscribed
    assert kit.service.stats.updated == {"POST /v4/bulk/subscribers": 1}


def test_more_than_100_items_are_done_later(kit: Kit) -> None:
    assert kit.call("POST /v4/bulk/subscribers", {"subscribers": newcomers(100)}).status == 200
    answer = kit.call("POST /v4/bulk/subscribers", {"subscribers": newcomers(101)})
    assert (answer.status, answer.json) == (202, {})
    assert len(kit.service.people()) == 100
    kit.service.deliver_pending()
    assert len(kit.service.people()) == 101
    assert kit.service.stats.created == {"POST /v4/bulk/subscribers": 101}


def test_the_callback_gets_the_body_of_the_synchronous_answer(kit: Kit, receiver: Receiver) -> None:
    items = [*newcomers(101), {"first_name": "Bad", "email_address": "bad"}]
    body = {"subscribers": items, "callback_url": receiver.url("/callbacks/secret")}
    assert kit.call("POST /v4/bulk/subscribers", body).status == 202
    kit.service.deliver_pending()
    (received,) = receiver.received
    assert received.path == "/callbacks/secret"
    told = json.loads(received.body)
    assert set(told) == {"subscribers", "failures"}
    assert len(told["subscribers"]) == 101
    assert len(told["failures"]) == 1
    assert set(told["subscribers"][0]) == {"id", "first_name", "email_address", "state", "created_at"}
    assert kit.service.stats.deliveries == {"callback accepted": 1}


def test_a_callback_elsewhere_than_on_this_machine_is_not_made(kit: Kit) -> None:
    body = {"tags": [{"name": f"T{i}"} for i in range(101)], "callback_url": "http://192.0.2.1/callback"}
    assert kit.call("POST /v4/bulk/tags", body).status == 202
    kit.service.deliver_pending()
    assert kit.service.delivered[-1].error == "refused: not a loopback address"
    assert len(kit.ids("GET /v4/tags")) == 101


def test_a_callback_url_must_be_one(kit: Kit) -> None:
    for url in ("callback", "ftp://127.0.0.1/x"):
        answer = kit.call("POST /v4/bulk/tags", {"tags": [{"name": "A"}], "callback_url": url})
        assert (answer.status, answer.errors) == (422, ["Callback url is not a valid URL"])


def test_the_queue_has_a_quota_that_is_free_again_when_the_work_is_done(kit: Kit) -> None:
    kit.settings.bulk_queue_limit = 20_000
    body = {"tags": [{"name": f"A tag with a name of some length {i:04}"} for i in range(300)]}
    assert kit.call("POST /v4/bulk/tags", body).status == 202
    assert kit.call("POST /v4/bulk/tags", body).status == 413
    kit.service.deliver_pending()
    assert kit.call("POST /v4/bulk/tags", body).status == 202


def test_waiting_work_is_part_of_the_world(kit: Kit) -> None:
    kit.call("POST /v4/bulk/subscribers", {"subscribers": newcomers(101)})
    world = kit.service.dump()
    other = Kit()
    other.service.load(json.loads(json.dumps(world)))
    assert other.service.people() == []
    other.service.deliver_pending()
    assert len(other.service.people()) == 101
    other.service.close()


def test_bulk_custom_fields(kit: Kit) -> None:
    kit.load(custom_fields=[{"id": 1, "label": "Existing Custom Field"}])
    items = [{"label": "Interests"}, {"label": "existing custom field"}, {"label": ""}]
    answer = kit.call("POST /v4/bulk/custom_fields", {"custom_fields": items}).json
    assert [row["name"] for row in answer["custom_fields"]] == ["ck_field_2_interests"]
    errors = {row["custom_field"]["label"]: row["errors"] for row in answer["failures"]}
    assert errors == {"Existing Custom Field": ["Label has already been taken"], None: ["Label can't be blank"]}


def test_bulk_tags(kit: Kit) -> None:
    answer = kit.call("POST /v4/bulk/tags", {"tags": [{"name": "A"}, {"name": " a "}, {"name": None}]}).json
    assert [row["name"] for row in answer["tags"]] == ["A"]
    errors = {row["tag"]["name"]: row["errors"] for row in answer["failures"]}
    assert errors == {"A": ["Name has already been taken"], None: ["Name can't be blank"]}


def test_bulk_tagging(kit: Kit) -> None:
    kit.load(subscribers=people("active", "cancelled"), tags=[{"id": 1, "name": "A"}])
    pairs = [(1, 1), (1, 2), (9, 1), (1, 9)]
    items = [{"tag_id": tag, "subscriber_id": subscriber} for tag, subscriber in pairs]
    answer = kit.call("POST /v4/bulk/tags/subscribers", {"taggings": items}).json
    assert sorted(row["id"] for row in answer["subscribers"]) == [1, 2]
    failed = {(row["tagging"]["tag_id"], row["tagging"]["subscriber_id"]): row["errors"] for row in answer["failures"]}
    assert failed == {(9, 1): ["Tag does not exist"], (1, 9): ["Subscriber does not exist"]}
    assert kit.ids("GET /v4/tags/1/subscribers?status=all") == [2, 1]


def test_what_an_item_may_hold(kit: Kit) -> None:
    answer = kit.call("POST /v4/bulk/subscribers", {"subscribers": [{"email_address": "a@example.com", "state": "x"}]})
    assert answer.status == 422
    assert answer.response.undocumented == "body key subscribers[].state"
    answer = kit.call("POST /v4/bulk/tags/subscribers", {"taggings": [{"tag_id": "1", "subscriber_id": 1}]})
    assert answer.status == 422
    assert answer.response.undocumented == "body type of taggings[].tag_id"
    answer = kit.call("POST /v4/bulk/tags/subscribers", {"taggings": [{"tag_id": 1}]})
    assert (answer.status, answer.errors) == (422, ["Subscriber id can't be blank"])
