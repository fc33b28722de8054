"""A world comes back as it was dumped, and a file that is wrong is told what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mktg_integration.sandbox.errors import WorldError
from mktg_integration.sandbox.kit import KitService

from .calling import ACCOUNT, API_KEY, Kit, people
from .test_documented import CASES


def test_everything_comes_back(account: Kit) -> None:
    for case in CASES:
        if case.status < 300 and case.settings is None and case.prepare is None:
            account.call(case.target, case.body)
    world = json.loads(json.dumps(account.service.dump()))
    assert [name for name, value in world.items() if value == []] == ["webhook_endpoints", "codes", "tokens"]
    other = KitService(clock=account.clock)
    other.load(world)
    assert json.loads(json.dumps(other.dump())) == world
    assert other.people() == account.service.people()
    other.close()


def test_an_id_is_never_given_twice_even_after_a_deletion_and_a_reload(kit: Kit) -> None:
    kit.call("POST /v4/custom_fields", {"label": "One"})
    kit.call("DELETE /v4/custom_fields/1")
    kit.service.load(kit.service.dump())
    assert kit.call("POST /v4/custom_fields", {"label": "Two"}).json["custom_field"]["id"] == 2


def test_loading_replaces_everything_and_begins_to_count_anew(account: Kit) -> None:
    account.call("POST /v4/subscribers", {"email_address": "a@example.com"}, headers=API_KEY)
    account.load()
    assert account.service.people() == []
    assert account.service.stats.as_json() == KitService().stats.as_json()
    assert account.service.rate_peak == 0


def test_a_file_may_be_short(kit: Kit) -> None:
    kit.load(
        custom_fields=[{"id": 3, "label": "Last name"}],
        subscribers=[{"id": 7, "email_address": "a@example.com", "fields": {"last_name": "A"}}],
        tags=[{"id": 2, "name": "T"}],
        taggings=[{"tag_id": 2, "subscriber_id": 7}],
    )
    assert kit.service.people() == [
        {"email": "a@example.com", "first_name": None, "state": "active", "tags": ["T"], "fields": {"last_name": "A"}}
    ]
    assert kit.call("GET /v4/subscribers/7").json["subscriber"]["created_at"] == "2023-02-17T11:43:55Z"
    assert kit.call("GET /v4/custom_fields").json["custom_fields"][0]["name"] == "ck_field_3_last_name"


@pytest.mark.parametrize(
    ("world", "message"),
    [
        ({"people": []}, "kit: people: "),
        ({"subscribers": [{"id": 1}]}, "subscribers[0].email_address"),
        ({"subscribers": [{**people("active")[0], "state": "gone"}]}, "subscribers[0].state"),
        ({"subscribers": people("active") * 2}, "subscribers has an id twice"),
        (
            {"subscribers": [*people("active"), {"id": 9, "email_address": "PERSON1@example.com"}]},
            "subscribers 1 and 9 have the same email_address",
        ),
        ({"subscribers": [{"id": 1, "email_address": "a@b.co", "fields": {"x": "1"}}]}, "fields ['x']"),
        ({"taggings": [{"tag_id": 1, "subscriber_id": 1}]}, "taggings[0]"),
        ({"settings": {"list_lagg": 1}}, "settings.list_lagg"),
        ({"settings": {"rate_limit": {"api_key": "many"}}}, "settings.rate_limit.api_key"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_changes_nothing(account: Kit, world: dict[str, Any], message: str) -> None:
    before = account.service.dump()
    with pytest.raises(WorldError) as caught:
        account.service.load(world)
    assert message in str(caught.value)
    assert account.service.dump() == before


def test_a_dump_is_a_copy(kit: Kit) -> None:
    kit.load(**ACCOUNT)
    world = kit.service.dump()
    world["settings"]["list_lag"] = 99
    world["account"]["colors"].append("#fff")
    assert kit.settings.list_lag == 0
    assert kit.call("GET /v4/account/colors").json["colors"] == ["#008000"]
