"""Lists that lag behind writes, as Kit's do; what is asked for by id never does."""

from __future__ import annotations

import pytest

from .calling import ACCOUNT, Kit, people


@pytest.fixture
def lagging(kit: Kit) -> Kit:
    kit.load(**{**ACCOUNT, "subscribers": people("active", "active", "active")}, settings={"list_lag": 30})
    return kit


def test_something_new_is_listed_after_the_lag(lagging: Kit) -> None:
    lagging.call("POST /v4/subscribers", {"email_address": "new@example.com"})
    assert lagging.call("GET /v4/subscribers/4").status == 200
    assert lagging.ids("GET /v4/subscribers") == [3, 2, 1]
    assert lagging.ids("GET /v4/subscribers?email_address=new@example.com") == []
    lagging.clock.move(29)
    assert lagging.ids("GET /v4/subscribers") == [3, 2, 1]
    lagging.clock.move(1)
    assert lagging.ids("GET /v4/subscribers") == [4, 3, 2, 1]
    assert lagging.ids("GET /v4/subscribers?email_address=new@example.com") == [4]


def test_a_change_is_listed_after_the_lag(lagging: Kit) -> None:
    lagging.call("POST /v4/subscribers/2/unsubscribe")
    lagging.clock.move(10)
    lagging.call("PUT /v4/subscribers/2", {"email_address": "moved@example.com"})
    assert lagging.call("GET /v4/subscribers/2").json["subscriber"]["state"] == "cancelled"
    assert lagging.ids("GET /v4/subscribers") == [3, 2, 1]
    assert lagging.ids("GET /v4/subscribers?email_address=person2@example.com") == [2]
    lagging.clock.move(20)
    row = lagging.call("GET /v4/subscribers?status=cancelled").json["subscribers"][0]
    assert (row["state"], row["email_address"]) == ("cancelled", "person2@example.com")
    lagging.clock.move(10)
    row = lagging.call("GET /v4/subscribers?status=cancelled").json["subscribers"][0]
    assert row["email_address"] == "moved@example.com"


def test_taggings_are_listed_after_the_lag(lagging: Kit) -> None:
    lagging.call("POST /v4/tags/1/subscribers/2")
    lagging.call("DELETE /v4/tags/1/subscribers/1")
    assert lagging.ids("GET /v4/tags/1/subscribers") == [1]
    assert lagging.ids("GET /v4/subscribers/1/tags") == [1]
    assert lagging.ids("GET /v4/subscribers/2/tags") == []
    lagging.clock.move(30)
    assert lagging.ids("GET /v4/tags/1/subscribers") == [2]
    assert lagging.ids("GET /v4/subscribers/1/tags") == []
    assert lagging.ids("GET /v4/subscribers/2/tags") == [1]


def test_what_was_deleted_is_listed_for_the_time_of_the_lag(lagging: Kit) -> None:
    lagging.call("DELETE /v4/custom_fields/1")
    assert lagging.ids("GET /v4/custom_fields") == [2, 1]
    lagging.clock.move(30)
    assert lagging.ids("GET /v4/custom_fields") == [2]


def test_a_total_lags_too(lagging: Kit) -> None:
    lagging.call("POST /v4/subscribers", {"email_address": "new@example.com"})
    page = lagging.call("GET /v4/subscribers?per_page=1&include_total_count=true").json["pagination"]
    assert page["total_count"] == 3
