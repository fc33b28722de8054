"""Subscribers: the upsert, updates, unsubscribing, and the list with its filters."""

from __future__ import annotations

from typing import Any

import pytest

from .calling import Kit, people


def create(kit: Kit, **body: Any) -> dict[str, Any]:
    answer = kit.call("POST /v4/subscribers", {"email_address": "jane@example.com", **body})
    assert answer.status in (200, 201, 202), answer.json
    subscriber: dict[str, Any] = answer.json["subscriber"]
    return subscriber


@pytest.mark.parametrize("state", ["active", "bounced", "cancelled", "complained", "inactive"])
def test_a_new_subscriber_gets_the_state_asked_for_and_an_existing_one_keeps_its_own(kit: Kit, state: str) -> None:
    assert create(kit, state=state)["state"] == state
    assert create(kit, state="active", first_name="Jane")["state"] == state
    assert kit.service.stats.created == {"POST /v4/subscribers": 1}
    assert kit.service.stats.updated == {"POST /v4/subscribers": 1}
    assert not kit.service.stats.resubscribed


def test_the_upsert_finds_an_address_whatever_its_case_and_sets_the_first_name_only_where_given(kit: Kit) -> None:
    first = create(kit, first_name="Jane")
    assert create(kit, email_address=" JANE@Example.com ") == first
    assert create(kit, first_name="J.")["first_name"] == "J."
    assert create(kit, first_name=None)["first_name"] is None


@pytest.mark.parametrize("email", [None, "", "jane", "jane@", "@example.com", "a b@example.com", "jane@example"])
def test_a_bad_address_is_refused(kit: Kit, email: str | None) -> None:
    answer = kit.call("POST /v4/subscribers", {"email_address": email})
    assert (answer.status, answer.errors) == (422, ["Email address is invalid"])
    assert answer.response.undocumented is None


def test_an_unknown_state_is_refused(kit: Kit) -> None:
    answer = kit.call("POST /v4/subscribers", {"email_address": "jane@example.com", "state": "subscribed"})
    assert (answer.status, answer.errors) == (422, ["State is invalid"])


def test_custom_fields_are_set_by_label_or_key_and_unknown_ones_are_told_of(kit: Kit) -> None:
    kit.load(custom_fields=[{"id": 1, "label": "Last name"}, {"id": 2, "label": "Company"}])
    body = {"email_address": "jane@example.com", "fields": {"Last name": "Doe", "company": "Acme", "Shoe": "42"}}
    answer = kit.call("POST /v4/subscribers", body)
    assert answer.status == 201
    assert answer.json["subscriber"]["fields"] == {"last_name": "Doe", "company": "Acme"}
    assert len(answer.json["warnings"]) == 1
    assert "Shoe" in answer.json["warnings"][0]
    answer = kit.call("PUT /v4/subscribers/1", {"email_address": "jane@example.com", "fields": {"company": None}})
    assert answer.json["subscriber"]["fields"] == {"last_name": "Doe", "company": None}
    assert "warnings" not in answer.json


def test_more_than_ten_custom_fields_are_written_later(kit: Kit) -> None:
    kit.load(custom_fields=[{"id": i, "label": f"F{i}"} for i in range(1, 12)])
    fields = {f"F{i}": "x" for i in range(1, 12)}
    assert kit.call("POST /v4/subscribers", {"email_address": "a@example.com", "fields": fields}).status == 202
    assert set(kit.call("GET /v4/subscribers/1").json["subscriber"]["fields"].values()) == {None}
    kit.service.deliver_pending()
    assert set(kit.call("GET /v4/subscribers/1").json["subscriber"]["fields"].values()) == {"x"}
    fields.pop("F11")
    assert kit.call("PUT /v4/subscribers/1", {"email_address": "a@example.com", "fields": fields}).status == 200


def test_at_most_140_custom_fields_at_a_time(kit: Kit) -> None:
    for number, status in ((140, 202), (141, 422)):
        fields = {f"F{i}": "x" for i in range(number)}
        assert kit.call("POST /v4/subscribers", {"email_address": "a@example.com", "fields": fields}).status == status


def test_an_update_moves_the_address_and_keeps_the_rest(kit: Kit) -> None:
    kit.load(subscribers=people("cancelled", "active"))
    answer = kit.call("PUT /v4/subscribers/1", {"email_address": "New@example.com"})
    assert answer.json["subscriber"]["email_address"] == "New@example.com"
    assert answer.json["subscriber"]["state"] == "cancelled"
    assert kit.ids("GET /v4/subscribers?email_address=new@example.com&status=all") == [1]
    assert kit.ids("GET /v4/subscribers?email_address=person1@example.com&status=all") == []
    taken = kit.call("PUT /v4/subscribers/1", {"email_address": "PERSON2@example.com"})
    assert (taken.status, taken.errors) == (422, ["Email address has already been taken"])
    assert kit.call("PUT /v4/subscribers/1", {"email_address": "NEW@example.com", "first_name": "N"}).status == 200


def test_an_address_that_was_left_is_free_again(kit: Kit) -> None:
    kit.load(subscribers=people("active"))
    kit.call("PUT /v4/subscribers/1", {"email_address": "new@example.com"})
    answer = kit.call("POST /v4/subscribers", {"email_address": "person1@example.com"})
    assert (answer.status, answer.json["subscriber"]["id"]) == (201, 2)


def test_unsubscribing_twice_is_no_error(kit: Kit) -> None:
    kit.load(subscribers=people("active"))
    for _ in range(2):
        assert kit.call("POST /v4/subscribers/1/unsubscribe").status == 204
    assert kit.call("GET /v4/subscribers/1").json["subscriber"]["state"] == "cancelled"
    assert kit.ids("GET /v4/subscribers") == []


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [6, 1]),
        ("status=all", [6, 5, 4, 3, 2, 1]),
        ("status=cancelled", [3]),
        ("status=inactive", [2]),
        ("status=bounced", [4]),
        ("status=complained", [5]),
        ("status=all&sort_order=asc", [1, 2, 3, 4, 5, 6]),
        ("status=all&created_after=2023-01-04", [6, 5]),
        ("status=all&created_before=2023-01-03", [2, 1]),
        ("status=all&updated_after=2023-01-02&updated_before=2023-01-05", [4, 3]),
        ("email_address=person6@example.com", [6]),
        ("email_address=person3@example.com", []),
        ("email_address=PERSON3@example.com&status=all", [3]),
        ("status=all&email_address=nobody@example.com", []),
        ("status=all&email_address=person2@example.com&sort_field=updated_at", [2]),
    ],
)
def test_list_filters(kit: Kit, query: str, ids: list[int]) -> None:
    kit.load(subscribers=people("active", "inactive", "cancelled", "bounced", "complained", "active"))
    assert kit.ids(f"GET /v4/subscribers?{query}") == ids


def test_list_sorts_by_update_and_by_cancellation(kit: Kit) -> None:
    kit.load(subscribers=people("active", "active", "active"))
    kit.call("PUT /v4/subscribers/1", {"email_address": "person1@example.com", "first_name": "Changed"})
    assert kit.ids("GET /v4/subscribers?sort_field=updated_at") == [1, 3, 2]
    assert kit.ids("GET /v4/subscribers?sort_field=updated_at&sort_order=asc") == [2, 3, 1]
    for subscriber in (2, 3, 1):
        kit.clock.move(60)
        kit.call(f"POST /v4/subscribers/{subscriber}/unsubscribe")
    assert kit.ids("GET /v4/subscribers?sort_field=cancelled_at&status=cancelled") == [1, 3, 2]


def test_an_update_that_changes_nothing_leaves_the_time_of_update(kit: Kit) -> None:
    kit.load(subscribers=people("active"))
    kit.clock.move(86_400)
    kit.call("PUT /v4/subscribers/1", {"email_address": "person1@example.com", "first_name": "Person 1"})
    assert kit.ids("GET /v4/subscribers?updated_after=2023-01-31") == []


@pytest.mark.parametrize("query", ["status=gone", "sort_field=email_address", "sort_order=up", "created_after=now"])
def test_values_that_the_list_does_not_know_are_refused(kit: Kit, query: str) -> None:
    assert kit.call(f"GET /v4/subscribers?{query}").status == 422


def test_tags_of_a_subscriber(kit: Kit) -> None:
    kit.load(
        subscribers=people("active", "active"),
        tags=[{"id": i, "name": f"Tag {i}"} for i in (1, 2, 3)],
        taggings=[{"tag_id": tag, "subscriber_id": 1} for tag in (1, 3)] + [{"tag_id": 2, "subscriber_id": 2}],
    )
    assert kit.ids("GET /v4/subscribers/1/tags") == [3, 1]
    assert kit.ids("GET /v4/subscribers/1/tags?per_page=1") == [3]
