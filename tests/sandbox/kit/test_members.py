"""Forms and sequences, and what being put on a form means for those who opted out."""

from __future__ import annotations

import pytest

from .calling import Kit, people

FORM = {"id": 1, "name": "Sign up", "uid": "f1"}


@pytest.mark.parametrize(
    ("before", "after", "confirmed"),
    [
        ("active", "active", "active"),
        ("inactive", "inactive", "active"),
        ("cancelled", "inactive", "active"),
    ],
)
def test_a_form_asks_for_confirmation(kit: Kit, before: str, after: str, confirmed: str) -> None:
    kit.load(forms=[FORM], subscribers=people(before))
    answer = kit.call("POST /v4/forms/1/subscribers", {"email_address": "person1@example.com"})
    assert (answer.status, answer.json["subscriber"]["state"]) == (201, after)
    assert not kit.service.stats.resubscribed
    operation = "POST /v4/forms/{form_id}/subscribers"
    assert kit.service.stats.confirmation_requested == ({operation: 1} if before == "cancelled" else {})
    kit.service.happens("confirm", "person1@example.com")
    assert kit.call("GET /v4/subscribers/1").json["subscriber"]["state"] == confirmed
    assert kit.service.stats.resubscribed == ({"a person's confirm": 1} if before == "cancelled" else {})


@pytest.mark.parametrize("state", ["bounced", "complained"])
def test_a_form_does_not_bring_back_the_bounced_and_the_complaining(kit: Kit, state: str) -> None:
    kit.load(forms=[{**FORM, "confirmation": False}], subscribers=people(state))
    assert kit.call("POST /v4/forms/1/subscribers/1").json["subscriber"]["state"] == state


def test_a_form_without_confirmation_resubscribes_and_that_is_counted(kit: Kit) -> None:
    kit.load(forms=[{**FORM, "confirmation": False}], subscribers=people("cancelled", "inactive"))
    for subscriber in (1, 2):
        answer = kit.call(f"POST /v4/forms/1/subscribers/{subscriber}")
        assert answer.json["subscriber"]["state"] == "active"
    assert kit.service.stats.resubscribed == {"POST /v4/forms/{form_id}/subscribers/{id}": 1}


def test_a_sequence_changes_no_state(kit: Kit) -> None:
    kit.load(sequences=[{"id": 1, "name": "S"}], subscribers=people("cancelled"))
    first = kit.call("POST /v4/sequences/1/subscribers/1")
    again = kit.call("POST /v4/sequences/1/subscribers", {"email_address": "person1@example.com"})
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    assert first.json["subscriber"]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", [4, 1]),
        ("status=archived", [2]),
        ("status=trashed", [3]),
        ("status=all", [4, 3, 2, 1]),
        ("type=hosted", [4]),
        ("type=embed&status=all", [3, 2, 1]),
    ],
)
def test_forms_are_listed_by_status_and_type(kit: Kit, query: str, ids: list[int]) -> None:
    kit.load(
        forms=[
            FORM,
            {"id": 2, "name": "Old", "uid": "f2", "archived": True},
            {"id": 3, "name": "Gone", "uid": "f3", "trashed": True},
            {"id": 4, "name": "Page", "uid": "f4", "type": "hosted"},
        ]
    )
    assert kit.ids(f"GET /v4/forms?{query}") == ids


@pytest.mark.parametrize("of", ["forms", "sequences"])
def test_members_are_listed_by_status_and_time(kit: Kit, of: str) -> None:
    singular = of[:-1]
    kit.load(
        **{
            of: [{"id": 1, "name": "One", **({"uid": "f1"} if of == "forms" else {})}],
            f"{singular}_members": [
                {f"{singular}_id": 1, "subscriber_id": number, "added_at": f"2023-02-{number:02}T00:00:00Z"}
                for number in (1, 2, 3)
            ],
        },
        subscribers=people("active", "cancelled", "active"),
    )
    assert kit.ids(f"GET /v4/{of}/1/subscribers") == [3, 1]
    assert kit.ids(f"GET /v4/{of}/1/subscribers?status=all&added_after=2023-02-01") == [3, 2]
    assert kit.ids(f"GET /v4/{of}/1/subscribers?status=all&added_before=2023-02-02") == [1]
    row = kit.call(f"GET /v4/{of}/1/subscribers?per_page=1").json["subscribers"][0]
    assert row["added_at"] == "2023-02-03T00:00:00Z"
