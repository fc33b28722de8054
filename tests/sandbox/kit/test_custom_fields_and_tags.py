"""Custom fields and tags: names that are taken, keys that follow labels, and what goes with them."""

from __future__ import annotations

import pytest

from .calling import API_KEY, Kit, people


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("How did you hear about us?", "how_did_you_hear_about_us"),
        ("  Last name ", "last_name"),
        ("Événement", "evenement"),
        ("Zip_Code", "zip_code"),
        ("2nd--address", "2nd_address"),
    ],
)
def test_a_key_is_made_of_the_label(kit: Kit, label: str, key: str) -> None:
    field = kit.call("POST /v4/custom_fields", {"label": label}).json["custom_field"]
    assert field == {"id": 1, "name": f"ck_field_1_{key}", "key": key, "label": label.strip()}


@pytest.mark.parametrize(
    ("label", "error"),
    [
        (None, "Label can't be blank"),
        ("last name", "Label has already been taken"),
        ("Last-name", "Key has already been taken"),
        ("???", "Label must hold letters or digits that a key can be made of"),
    ],
)
def test_labels_that_cannot_be(kit: Kit, label: str | None, error: str) -> None:
    kit.load(custom_fields=[{"id": 1, "label": "Last name"}, {"id": 2, "label": "Company"}])
    for operation in ("POST /v4/custom_fields", "PUT /v4/custom_fields/2"):
        answer = kit.call(operation, {"label": label})
        assert (answer.status, answer.errors) == (422, [error])


def test_a_new_label_changes_the_key_but_not_the_name_and_values_follow(kit: Kit) -> None:
    kit.load(
        custom_fields=[{"id": 1, "label": "Zip Code"}],
        subscribers=[{"id": 1, "email_address": "a@example.com", "fields": {"zip_code": "12345"}}],
    )
    field = kit.call("PUT /v4/custom_fields/1", {"label": "Post Code"}).json["custom_field"]
    assert field == {"id": 1, "name": "ck_field_1_zip_code", "key": "post_code", "label": "Post Code"}
    assert kit.call("GET /v4/subscribers/1").json["subscriber"]["fields"] == {"post_code": "12345"}


def test_deleting_a_field_deletes_its_values(kit: Kit) -> None:
    kit.load(
        custom_fields=[{"id": 1, "label": "City"}],
        subscribers=[{"id": 1, "email_address": "a@example.com", "fields": {"city": "Oslo"}}],
    )
    assert kit.call("DELETE /v4/custom_fields/1").status == 204
    assert kit.call("GET /v4/subscribers/1").json["subscriber"]["fields"] == {}
    kit.call("POST /v4/custom_fields", {"label": "City"})
    assert kit.call("GET /v4/subscribers/1").json["subscriber"]["fields"] == {"city": None}
    assert kit.ids("GET /v4/custom_fields") == [2]


def test_a_taken_tag_name_is_an_error_or_todays_existing_tag(kit: Kit) -> None:
    created = kit.call("POST /v4/tags", {"name": "Customer"})
    assert created.status == 201
    taken = kit.call("POST /v4/tags", {"name": "customer"})
    assert (taken.status, taken.errors) == (422, ["Name has already been taken"])
    kit.settings.duplicate_tag = "existing"
    existing = kit.call("POST /v4/tags", {"name": "customer"})
    assert (existing.status, existing.json) == (200, created.json)


def test_renaming_a_tag(kit: Kit) -> None:
    kit.load(tags=[{"id": 1, "name": "A"}, {"id": 2, "name": "B"}])
    assert kit.call("PUT /v4/tags/1", {"name": "a"}).json["tag"]["name"] == "a"
    taken = kit.call("PUT /v4/tags/1", {"name": "b"})
    assert (taken.status, taken.errors) == (422, ["Name has already been taken"])


def test_tagging_tells_whether_it_is_new_and_keeps_the_first_time(kit: Kit) -> None:
    kit.load(tags=[{"id": 1, "name": "A"}], subscribers=people("cancelled"))
    first = kit.call("POST /v4/tags/1/subscribers/1", headers=API_KEY)
    kit.clock.move(60)
    again = kit.call("POST /v4/tags/1/subscribers", {"email_address": "PERSON1@example.com"}, headers=API_KEY)
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    assert first.json["subscriber"]["state"] == "cancelled"


@pytest.mark.parametrize("form", [True, False], ids=["form", "json"])
def test_untagging_by_address_takes_either_kind_of_body(kit: Kit, form: bool) -> None:
    kit.load(tags=[{"id": 1, "name": "A"}], subscribers=people("active"), taggings=[{"tag_id": 1, "subscriber_id": 1}])
    body = {"email_address": "person1@example.com"}
    for _ in range(2):
        assert kit.call("DELETE /v4/tags/1/subscribers", body, form=form).status == 204
    assert kit.ids("GET /v4/tags/1/subscribers") == []


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [4, 1]),
        ("status=all", [4, 3, 2, 1]),
        ("status=all&tagged_after=2023-02-02", [4, 3]),
        ("status=all&tagged_before=2023-02-02", [1]),
        ("status=all&created_after=2023-01-01&created_before=2023-01-04", [3, 2]),
    ],
)
def test_subscribers_of_a_tag(kit: Kit, query: str, ids: list[int]) -> None:
    kit.load(
        tags=[{"id": 1, "name": "A"}],
        subscribers=people("active", "inactive", "cancelled", "active", "active"),
        taggings=[
            {"tag_id": 1, "subscriber_id": number, "tagged_at": f"2023-02-{number:02}T00:00:00Z"}
            for number in range(1, 5)
        ],
    )
    assert kit.ids(f"GET /v4/tags/1/subscribers?{query}") == ids
