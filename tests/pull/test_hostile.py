"""Answers that are well formed and still not to be believed: no other row suffers, and the run says what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Broadcast, BroadcastStats, Connection, Contact, Purchase, Tag, Tagging
from mktg_integration.sandbox.server import Sandbox
from tests.pull.bending import Bending
from tests.pull.conftest import CREATED, UPDATED, Fill, Pull, people, subscriber, tag, tagging
from tests.push.conftest import declared

Alter = Callable[[str, Callable[[Any], None]], None]

PURCHASE: dict[str, Any] = {
    "id": 7,
    "transaction_id": "t",
    "status": "paid",
    "email_address": "person1@example.com",
    "currency": "USD",
    "transaction_time": UPDATED,
    "subtotal": 1,
    "discount": 0,
    "tax": 0,
    "total": 1,
    "products": [{"quantity": 1, "lid": "l1", "unit_price": 1, "sku": None, "name": "Hourglass", "pid": "p1"}],
}


@pytest.fixture
def alter(kit: Connection, mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> Iterator[Alter]:
    """``alter("/v4/tags", change)`` lets ``change`` alter each answer of that path."""
    changes: dict[str, Callable[[Any], None]] = {}

    def bend(path: str, query: dict[str, list[str]], answer: Any) -> Any:
        if path in changes:
            changes[path](answer)
        return answer

    with Bending(mktg_sandbox.kit_url) as bending:
        given = declared(mktg_sandbox, "kit")
        given["kit"]["BASE_URL"] = bending.url
        marketing(CONNECTIONS=given, LIST_LAG_SECONDS=0.0)
        sync_declared()
        bending.bend = bend
        yield changes.__setitem__


def test_somebody_who_comes_twice_in_a_page_is_written_as_told_last(read: Pull, fill: Fill, alter: Alter) -> None:
    fill(subscribers=people(3))

    def twice(answer: Any) -> None:
        answer["subscribers"].append({**answer["subscribers"][0], "first_name": "Told last"})

    alter("/v4/subscribers", twice)
    report = read("contacts")

    assert report.status == "done", report.detail
    assert Contact.objects.count() == 3
    assert Contact.objects.filter(first_name="Told last").count() == 1


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_no_calendar_reaches(time: str, read: Pull, fill: Fill, alter: Alter) -> None:
    fill(subscribers=people(3), tags=[tag(1, "VIP")])

    def never(answer: Any) -> None:
        answer["subscribers"][1]["created_at"] = time

    alter("/v4/subscribers", never)
    report = read("contacts", "tags")

    assert report.status == "failed"
    assert "created_at" in report.detail
    assert Contact.objects.count() == 0
    assert Tag.objects.count() == 1, "the other resources are read"


@pytest.mark.parametrize("money", [1e30, 10**25, "1e999999", "NaN", -(10**20)])
def test_money_that_no_column_holds(money: Any, read: Pull, fill: Fill, alter: Alter) -> None:
    fill(subscribers=people(1), purchases=[PURCHASE], tags=[tag(1, "VIP")])

    def much(answer: Any) -> None:
        answer["purchases"][0]["total"] = money

    alter("/v4/purchases", much)
    report = read("purchases", "tags", "webhooks")

    assert report.status in ("done", "failed")
    assert report.streams["webhooks"]["state"] == "done"
    if report.status == "failed":
        assert "total" in report.detail
    else:
        assert report.streams["purchases"]["rejected"]
    assert not Purchase.objects.filter(remote_id="7").exists()


@pytest.mark.parametrize("count", [10**12, 10**20, -1])
def test_a_count_that_no_column_holds(count: int, read: Pull, fill: Fill, alter: Alter) -> None:
    fill(broadcasts=[{"id": 1, "subject": "Draft", "email_template_id": 2, "created_at": CREATED}])

    def many(answer: Any) -> None:
        answer["broadcast"]["stats"]["recipients"] = count

    alter("/v4/broadcasts/1/stats", many)
    report = read("broadcasts", "broadcast_stats", "webhooks")

    assert report.streams["webhooks"]["state"] == "done"
    if report.status == "failed":
        assert "recipients" in report.detail
        assert not BroadcastStats.objects.exists()


def test_texts_with_nothing_in_them_that_a_database_takes(read: Pull, fill: Fill, alter: Alter) -> None:
    fill(subscribers=people(2), tags=[tag(1, "VIP")])

    def nul(answer: Any) -> None:
        answer["subscribers"][0]["first_name"] = "A\x00da \ud800"
        answer["subscribers"][0]["fields"] = {"x\x00": "\ud800", "deep": {"a": [1, {"b": "\x00"}]}}

    alter("/v4/subscribers", nul)
    report = read("contacts")

    assert report.status == "done", report.detail
    assert Contact.objects.count() == 2


def test_two_who_have_one_address_are_both_kept(read: Pull, fill: Fill, alter: Alter) -> None:
    fill(subscribers=people(2))

    def same(answer: Any) -> None:
        for row in answer["subscribers"]:
            row["email_address"] = "Same@Example.com"

    alter("/v4/subscribers", same)

    assert read("contacts").status == "done"
    assert Contact.objects.filter(email_key="same@example.com").count() == 2


def test_a_contact_of_a_tag_whom_nobody_told_of_is_linked_when_it_comes(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(2), tags=[tag(1, "VIP")], taggings=[tagging(1, 1), tagging(1, 2)])
    read("tags", "taggings")
    assert (Tagging.objects.count(), Contact.objects.filter(tags__name="VIP").count()) == (2, 0)

    read("contacts")

    assert Contact.objects.filter(tags__name="VIP", status="active").count() == 2


@pytest.mark.parametrize(
    ("path", "key", "stream"),
    [
        ("/v4/tags", "tags", "tags"),
        ("/v4/broadcasts", "broadcasts", "broadcasts"),
        ("/v4/forms", "forms", "forms"),
    ],
)
@pytest.mark.parametrize("wrong", ["id", "pagination", "list"])
def test_a_page_that_is_not_as_documented_is_named(
    wrong: str, path: str, key: str, stream: str, read: Pull, fill: Fill, alter: Alter
) -> None:
    fill(
        tags=[tag(1, "VIP")],
        forms=[{"id": 1, "name": "Sign up", "uid": "a", "created_at": CREATED}],
        broadcasts=[{"id": 1, "subject": "Draft", "email_template_id": 2, "created_at": CREATED}],
    )

    def break_it(answer: Any) -> None:
        if wrong == "id":
            del answer[key][0]["id"]
        elif wrong == "list":
            answer[key] = None
        else:
            del answer["pagination"]

    alter(path, break_it)
    report = read(stream)

    assert report.status == "failed"
    assert {"id": f"{key}.[].id (missing)", "list": key, "pagination": "pagination (missing)"}[wrong] in report.detail
    assert not Tag.objects.exists()
    assert not Broadcast.objects.exists()


def test_an_opt_out_on_a_page_that_fails_is_not_believed_and_not_lost(read: Pull, fill: Fill, alter: Alter) -> None:
    fill(subscribers=[subscriber(1, state="cancelled"), subscriber(2)])

    def bad(answer: Any) -> None:
        answer["subscribers"][1]["state"] = "hibernating"

    alter("/v4/subscribers", bad)
    assert read("contacts").status == "failed"
    alter("/v4/subscribers", lambda answer: None)

    assert read("contacts").status == "done"
    assert Contact.objects.get(remote_id="1").status == "unsubscribed"
