"""What becomes of a delivery: what is believed, what is read again, and what the site's code hears of it."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DataError, OperationalError
from django.test import TestCase
from django.utils import timezone

from mktg_integration import signals
from mktg_integration import tasks as entry_points
from mktg_integration.inbound import apply as applying
from mktg_integration.inbound.replay import replay
from mktg_integration.mirror import optouts, writer
from mktg_integration.models import (
    Connection,
    Contact,
    InboxRow,
    Kind,
    Lane,
    OptOut,
    OutboxRow,
    Purchase,
    Tag,
    Tagging,
)
from mktg_integration.providers.kit.webhooks import KitWebhooks
from mktg_integration.push.drain import drain
from mktg_integration.records import TagRecord
from mktg_integration.sandbox.server import Sandbox
from tests.inbound.conftest import Mailbox, batch, call, someone_at, subscriber

UNSUBSCRIBE = "subscriber.subscriber_unsubscribe"
ACTIVATE = "subscriber.subscriber_activate"
NOW = time.time() - 3600


def reads(sandbox: Sandbox) -> int:
    """How often the sandbox was asked anything."""
    return len(sandbox.log.entries("kit"))


def user(name: str) -> Any:
    made = get_user_model().objects.create_user(name, f"{name}@example.com")
    OutboxRow.objects.all().delete()
    return made


def settle(mailbox: Mailbox) -> Any:
    """Apply with the signals that follow the commit."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        return mailbox.apply()


# Unsigned: hints


def test_an_unsubscribe_is_applied_at_once_also_while_the_service_is_down(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    kit.down("kit")
    mailbox.tell(UNSUBSCRIBE, {"subscriber": {**row, "state": "cancelled"}})

    mailbox.apply()

    assert Contact.objects.get().status == "unsubscribed"
    assert "ada@example.com" in optouts.optouts_for(["ada@example.com"], mailbox.connection.pk)
    assert [one.attempts for one in mailbox.rows("pending")] == [1], "and read when the service answers again"


@pytest.mark.parametrize(
    ("event", "state", "status"),
    [
        (UNSUBSCRIBE, "cancelled", "unsubscribed"),
        ("subscriber.subscriber_bounce", "bounced", "bounced"),
        ("subscriber.subscriber_complain", "complained", "complained"),
    ],
)
def test_each_way_to_opt_out(mailbox: Mailbox, kit: Sandbox, event: str, state: str, status: str) -> None:
    someone_at(kit)
    kit.happens(
        "kit", {"cancelled": "unsubscribe", "bounced": "bounce", "complained": "complain"}[state], "ada@example.com"
    )
    [row] = call(kit, "GET", "/v4/subscribers?status=all")["subscribers"]
    mailbox.tell(event, {"subscriber": row})
    mailbox.apply()
    assert Contact.objects.get().status == status
    assert OptOut.objects.get().kind == status


def test_of_an_unsubscribe_only_that_is_believed(mailbox: Mailbox, kit: Sandbox) -> None:
    """Whoever learned the address could unsubscribe people, and no more: what is written is read from the service."""
    row = someone_at(kit)
    mailbox.tell(ACTIVATE, {"subscriber": row})
    mailbox.apply()
    kit.down("kit")
    forged = {**row, "email_address": "victim@example.com", "first_name": "Mallory", "state": "cancelled"}
    mailbox.tell(UNSUBSCRIBE, {"subscriber": forged})
    mailbox.apply()

    contact = Contact.objects.get()
    assert (contact.email, contact.first_name, contact.status) == ("ada@example.com", "Ada", "unsubscribed")
    assert not optouts.optouts_for(["victim@example.com"], mailbox.connection.pk)


def test_anything_else_is_read_by_id(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    mailbox.tell(ACTIVATE, {"subscriber": {**row, "first_name": "Mallory", "email_address": "m@example.com"}})

    done = mailbox.apply()

    contact = Contact.objects.get()
    assert (contact.email, contact.first_name, contact.status) == ("ada@example.com", "Ada", "active")
    assert done.read == 1


def test_a_contact_that_is_not_there_is_not_made_up(mailbox: Mailbox, kit: Sandbox) -> None:
    mailbox.tell(ACTIVATE, {"subscriber": subscriber(404)})
    mailbox.apply()
    assert not Contact.objects.filter(deleted_at=None).exists()
    assert len(mailbox.rows("applied")) == 1


def test_many_hints_of_one_contact_cost_one_call(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    for _ in range(20):
        mailbox.tell(ACTIVATE, {"subscriber": row})
    assert mailbox.apply().read == 1


def test_a_hint_that_tells_nothing_new_costs_no_call(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    mailbox.tell(ACTIVATE, {"subscriber": row})
    mailbox.apply()
    before = reads(kit)
    mailbox.tell(ACTIVATE, {"subscriber": row})
    assert mailbox.apply().read == 0
    assert reads(kit) == before


@pytest.mark.parametrize(
    "event",
    [
        "subscriber.form_subscribe",
        "subscriber.course_subscribe",
        "subscriber.course_complete",
        "subscriber.product_purchase",
    ],
)
def test_events_with_a_number(mailbox: Mailbox, kit: Sandbox, event: str) -> None:
    row = someone_at(kit)
    assert mailbox.tell(event, {"subscriber": row}, "8").status_code == 200
    mailbox.apply()
    assert Contact.objects.get().email == "ada@example.com"


def test_a_tag_that_was_added_and_taken_away(mailbox: Mailbox, kit: Sandbox, news: list[tuple[str, str, str]]) -> None:
    row = someone_at(kit)
    tag = call(kit, "POST", "/v4/tags", {"name": "VIP"})["tag"]
    other = call(kit, "POST", "/v4/tags", {"name": "Other"})["tag"]
    for one in (tag, other):
        call(kit, "POST", f"/v4/tags/{one['id']}/subscribers/{row['id']}", {})
    mailbox.tell("subscriber.tag_add", {"subscriber": row}, str(tag["id"]))
    settle(mailbox)
    assert set(Contact.objects.get().tags.values_list("name", flat=True)) == {"VIP", "Other"}

    call(kit, "DELETE", f"/v4/tags/{tag['id']}/subscribers/{row['id']}", {})
    mailbox.tell("subscriber.tag_remove", {"subscriber": row}, str(tag["id"]))
    settle(mailbox)
    assert set(Tagging.objects.filter(deleted_at=None).values_list("tag__name", flat=True)) == {"Other"}
    told = [(name, what) for name, what, _ in news if name.startswith("tag_")]
    assert sorted(told) == [("tag_added", "Other"), ("tag_added", "VIP"), ("tag_removed", "VIP")]


def test_a_tag_that_the_list_does_not_show_yet_is_looked_for_again(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    tag = call(kit, "POST", "/v4/tags", {"name": "VIP"})["tag"]
    mailbox.tell("subscriber.tag_add", {"subscriber": row}, str(tag["id"]))
    mailbox.apply()
    [pending] = mailbox.rows("pending")
    assert pending.due_at > timezone.now()
    assert "does not show" in pending.detail

    call(kit, "POST", f"/v4/tags/{tag['id']}/subscribers/{row['id']}", {})
    InboxRow.objects.update(due_at=timezone.now())
    mailbox.apply()
    assert Contact.objects.get().tags.get().name == "VIP"


def test_what_the_list_never_shows_is_given_up(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    mailbox.tell("subscriber.tag_add", {"subscriber": row}, "30")
    for _ in range(len(applying.TAG_LAG) + 1):
        InboxRow.objects.update(due_at=timezone.now())
        mailbox.apply()
    assert len(mailbox.rows("applied")) == 1
    assert not Tagging.objects.filter(deleted_at=None).exists()


def test_a_webhook_does_not_take_away_what_is_known_of_a_tag(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    tag = call(kit, "POST", "/v4/tags", {"name": "VIP"})["tag"]
    call(kit, "POST", f"/v4/tags/{tag['id']}/subscribers/{row['id']}", {})
    known = TagRecord(remote_id=str(tag["id"]), name="VIP", created_at=timezone.now(), raw={"all": "of it"})
    writer.write(mailbox.connection, [known], as_of=timezone.now())
    mailbox.tell("subscriber.tag_add", {"subscriber": row}, str(tag["id"]))
    mailbox.apply()
    assert Tag.objects.get().raw == {"all": "of it"}


PURCHASE = {
    "purchase": {
        "transaction_id": "t-1",
        "email_address": "ada@example.com",
        "currency": "USD",
        "products": [{"name": "Boat", "pid": "p", "lid": "l", "quantity": 1, "unit_price": 5.0}],
    }
}


def test_a_purchase_is_read_by_id_and_told_once(mailbox: Mailbox, kit: Sandbox) -> None:
    from mktg_integration.connections import open_client

    client = open_client(mailbox.connection).client
    answer = client._request("POST", "/v4/purchases", json=PURCHASE, expect=(201,))
    made = answer.payload["purchase"]
    heard: list[Any] = []

    def hear(*, purchase: Any, **_: Any) -> None:
        heard.append(purchase)

    signals.purchase_created.connect(hear)
    for _ in range(2):
        mailbox.tell("purchase.purchase_create", {"purchase": {**made, "total": 999_999}})
        settle(mailbox)
    signals.purchase_created.disconnect(hear)

    assert Purchase.objects.get().transaction_id == "t-1"
    assert Purchase.objects.get().total != 999_999
    assert len(heard) == 1


def test_by_a_key_a_purchase_cannot_be_read_and_says_so(
    mailbox: Mailbox, kit: Sandbox, marketing: Callable[..., None], settings: Any
) -> None:
    from mktg_integration.sandbox import credentials

    given = {**settings.MKTG_INTEGRATION["CONNECTIONS"]["kit"], "API_KEY": credentials.KIT_API_KEY}
    given.pop("ACCESS_TOKEN")
    marketing(CONNECTIONS={"kit": given})
    mailbox.tell("purchase.purchase_create", {"purchase": {"id": 1}})
    mailbox.apply()
    [row] = mailbox.rows("unreadable")
    assert "OAuth" in row.detail


# Signed: facts


def test_a_signed_fact_is_written_without_a_call(mailbox: Mailbox, kit: Sandbox) -> None:
    before = reads(kit)
    mailbox.tell_signed(batch(("subscriber.created", {"subscriber": subscriber(7)}, NOW)))
    mailbox.apply()
    contact = Contact.objects.get()
    assert (contact.email, contact.status) == ("person7@example.com", "active")
    assert contact.seen_at.timestamp() == pytest.approx(NOW, abs=1)
    assert reads(kit) == before


def test_a_batch_of_events(mailbox: Mailbox) -> None:
    events = [("subscriber.created", {"subscriber": subscriber(number)}, NOW) for number in range(100)]
    mailbox.tell_signed(batch(*events))
    assert mailbox.apply().applied == 1
    assert Contact.objects.count() == 100


def test_what_was_told_twice_is_not_undone_by_what_was_between(mailbox: Mailbox) -> None:
    """The second telling changes nothing and comes first: its time counts all the same."""
    tag = {"subscriber": subscriber(1, "inactive"), "tag": {"id": 5, "name": "VIP"}}
    for number, step in enumerate((0, 20)):
        mailbox.tell_signed(batch(("subscriber.tag_added", tag, NOW + step)), delivery=str(number))
        mailbox.apply()
    between = {"subscriber": subscriber(1, "bounced"), "tag": {"id": 5, "name": "VIP"}}
    mailbox.tell_signed(
        batch(("subscriber.bounced", between, NOW + 10), ("subscriber.tag_removed", between, NOW + 10)), delivery="9"
    )
    mailbox.apply()
    assert Contact.objects.get().status == "inactive"
    assert Tagging.objects.filter(deleted_at=None).exists()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("at_once", [True, False])
def test_the_last_word_holds_in_whatever_order_they_come(
    mailbox: Mailbox, order: tuple[int, ...], at_once: bool
) -> None:
    events = [
        batch(("subscriber.activated", {"subscriber": subscriber(1, "active")}, NOW)),
        batch(("subscriber.unsubscribed", {"subscriber": subscriber(1, "cancelled")}, NOW + 10)),
        batch(("subscriber.activated", {"subscriber": subscriber(1, "active", first_name="Last")}, NOW + 20)),
    ]
    for number in order:
        mailbox.tell_signed(events[number], delivery=str(number))
        if not at_once:
            mailbox.apply()
    mailbox.apply()
    contact = Contact.objects.get()
    assert (contact.status, contact.first_name) == ("active", "Last")
    if at_once:
        assert OptOut.objects.count() == 1, "that they had opted out in between is their word, and is remembered"


def test_of_two_words_of_one_second_the_opt_out_counts_until_the_service_is_asked(
    mailbox: Mailbox, kit: Sandbox
) -> None:
    kit.down("kit")
    mailbox.tell_signed(
        batch(
            ("subscriber.unsubscribed", {"subscriber": subscriber(1, "cancelled")}, NOW),
            ("subscriber.activated", {"subscriber": subscriber(1, "active")}, NOW),
        )
    )
    mailbox.apply()
    assert Contact.objects.get().status == "unsubscribed"
    assert mailbox.rows("pending")


def test_tags_in_whatever_order_they_come(mailbox: Mailbox) -> None:
    tag = {"id": 5, "name": "VIP"}
    data = {"subscriber": subscriber(1), "tag": tag}
    removed = batch(("subscriber.tag_removed", data, NOW + 10))
    added = batch(("subscriber.tag_added", data, NOW))
    mailbox.tell_signed(removed, delivery="1")
    mailbox.apply()
    mailbox.tell_signed(added, delivery="2")
    mailbox.apply()
    assert not Tagging.objects.filter(deleted_at=None).exists()
    mailbox.tell_signed(batch(("subscriber.tag_added", data, NOW + 20)), delivery="3")
    mailbox.apply()
    assert Tagging.objects.get(deleted_at=None).tag.name == "VIP"


def test_a_repetition_under_another_delivery_is_no_news(mailbox: Mailbox, news: list[tuple[str, str, str]]) -> None:
    data = {"subscriber": subscriber(1), "tag": {"id": 5, "name": "VIP"}}
    body = batch(("subscriber.tag_added", data, NOW))
    for number in range(3):
        mailbox.tell_signed(body, delivery=str(number))
        settle(mailbox)
    assert [name for name, _, _ in news] == ["contact_subscribed", "tag_added"]


def test_a_fact_from_before_a_newer_answer_changes_nothing(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    mailbox.tell(ACTIVATE, {"subscriber": row})
    mailbox.apply()
    mailbox.tell_signed(batch(("subscriber.created", {"subscriber": {**row, "first_name": "Old"}}, NOW)))
    mailbox.apply()
    assert Contact.objects.get().first_name == "Ada"


def test_a_clock_that_is_ahead_does_not_outdo_what_comes_later(mailbox: Mailbox) -> None:
    mailbox.tell_signed(
        batch(("subscriber.activated", {"subscriber": subscriber(1)}, time.time() + 86_400)), delivery="1"
    )
    mailbox.apply()
    time.sleep(0.01)
    mailbox.tell_signed(
        batch(("subscriber.unsubscribed", {"subscriber": subscriber(1, "cancelled")}, time.time() + 86_400)),
        delivery="2",
    )
    mailbox.apply()
    assert Contact.objects.get().status == "unsubscribed"


# Callbacks


def test_a_bulk_callback_goes_the_same_way(mailbox: Mailbox, kit: Sandbox) -> None:
    row = someone_at(kit)
    failure = {"subscriber": {"email_address": None}, "errors": ["Email address is invalid"]}
    assert (
        mailbox.call_back({"subscribers": [{**row, "first_name": "Mallory"}], "failures": [failure]}).status_code == 200
    )
    mailbox.apply()
    assert Contact.objects.get().first_name == "Ada"


# What is not understood

NOT_UNDERSTOOD = [
    b" ",
    b"no json",
    b"\xff\xfe",
    b"[" * 100_000,
    b"null",
    b"[]",
    b"{}",
    b'{"subscriber": null}',
    b'{"subscriber": {"id": 1}}',
    b'{"subscriber": {"id": 1, "email_address": "a@b.c", "state": "sleeping"}}',
    json.dumps({"subscriber": subscriber(5, "cancelled", fields={"a": float("nan")})}).encode(),
]


@pytest.mark.parametrize("body", NOT_UNDERSTOOD, ids=lambda body: repr(body[:40]))
def test_what_is_not_understood_is_kept_and_harms_nobody_else(mailbox: Mailbox, kit: Sandbox, body: bytes) -> None:
    row = someone_at(kit)
    mailbox.post(mailbox.url(UNSUBSCRIBE), body)
    mailbox.tell(ACTIVATE, {"subscriber": row})

    done = mailbox.apply()

    assert (done.unreadable, done.applied) == (1, 1)
    [kept] = mailbox.rows("unreadable")
    assert kept.detail
    assert "a@b.c" not in kept.detail
    assert kept.body["raw"].encode("utf-8", "surrogateescape") == body


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"events": [1]}',
        b'{"events": [{"type": "subscriber.created"}]}',
        json.dumps({"events": [{"type": "subscriber.created", "created": "2026-01-01T00:00:00", "data": {}}]}).encode(),
    ],
)
def test_signed_and_not_understood(mailbox: Mailbox, body: bytes) -> None:
    mailbox.tell_signed(body)
    assert mailbox.apply().unreadable == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("created_at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_calendar_reaches_harms_nobody_else(
    mailbox: Mailbox, kit: Sandbox, created_at: str, signed: bool
) -> None:
    told = {"subscriber": subscriber(5, "cancelled", created_at=created_at)}
    if signed:
        mailbox.tell_signed(batch(("subscriber.unsubscribed", told, NOW)))
    else:
        mailbox.tell(UNSUBSCRIBE, told)
    mailbox.tell(ACTIVATE, {"subscriber": someone_at(kit)})

    done = mailbox.apply()

    assert (done.unreadable, done.applied) == (1, 1)
    assert Contact.objects.get().email == "ada@example.com"
    [kept] = mailbox.rows("unreadable")
    assert kept.detail == "a time is out of range"


@pytest.mark.parametrize("signed", [False, True])
def test_whatever_breaks_the_applying_breaks_one_delivery(
    mailbox: Mailbox, kit: Sandbox, monkeypatch: pytest.MonkeyPatch, signed: bool
) -> None:
    original = writer.write

    def write(connection: Any, records: Any, **more: Any) -> Any:
        if any(record.remote_id == "5" for record in records):
            raise DataError("value of ann@example.com is too long")
        return original(connection, records, **more)

    monkeypatch.setattr(writer, "write", write)
    told = {"subscriber": subscriber(5, "cancelled")}
    if signed:
        mailbox.tell_signed(batch(("subscriber.unsubscribed", told, NOW)))
    else:
        mailbox.tell(UNSUBSCRIBE, told)
    for name in ("ada", "bob", "cid"):
        mailbox.tell(ACTIVATE, {"subscriber": someone_at(kit, name)})

    done = mailbox.apply()

    assert (done.unreadable, done.applied) == (1, 3)
    assert Contact.objects.count() == 3
    assert mailbox.rows("unreadable")[0].detail == "it cannot be applied: DataError"


@pytest.mark.django_db(transaction=True)
def test_a_nul_in_a_name_stops_no_inbox(mailbox: Mailbox, kit: Sandbox) -> None:
    """PostgreSQL holds none; the others do."""
    mailbox.tell_signed(batch(("subscriber.created", {"subscriber": subscriber(5, first_name="A\0")}, NOW)))
    mailbox.tell(ACTIVATE, {"subscriber": someone_at(kit)})
    done = mailbox.apply()
    assert done.unreadable + done.applied == 2
    assert Contact.objects.filter(email="ada@example.com").exists()


def test_a_database_that_is_down_condemns_no_delivery(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox.tell(ACTIVATE, {"subscriber": subscriber()})

    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(applying, "read_rows", fail)
    with pytest.raises(OperationalError):
        mailbox.apply()
    assert len(mailbox.rows("pending")) == 1


@pytest.mark.parametrize("fault", [{"effect": "status", "status": 422}, {"effect": "html", "status": 418}])
def test_a_contact_that_cannot_be_read_holds_up_nobody_else(
    mailbox: Mailbox, kit: Sandbox, fault: dict[str, Any]
) -> None:
    bad, good = someone_at(kit, "bad"), someone_at(kit, "good")
    kit.fail("kit", path=f"^/v4/subscribers/{bad['id']}$", **fault)
    mailbox.tell(ACTIVATE, {"subscriber": bad})
    mailbox.tell(ACTIVATE, {"subscriber": good})

    done = mailbox.apply()

    assert (done.unreadable, done.applied) == (1, 1)
    assert Contact.objects.get().email == "good@example.com"


def test_an_event_that_is_not_known_here(mailbox: Mailbox) -> None:
    mailbox.tell("subscriber.subscriber_levitate", {"subscriber": subscriber()})
    assert mailbox.apply().unreadable == 1


def test_after_an_upgrade_it_is_applied_again(mailbox: Mailbox, kit: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    row = someone_at(kit)
    mailbox.tell(ACTIVATE, {"contact": row})
    mailbox.apply()
    assert mailbox.rows("unreadable")
    original = KitWebhooks.read

    def upgraded(self: Any, event: str, parameter: str, body: Any, *, signed: bool) -> Any:
        return original(self, event, parameter, {"subscriber": body["contact"]}, signed=signed)

    monkeypatch.setattr(KitWebhooks, "read", upgraded)
    assert replay(InboxRow.objects.all()) == 1
    mailbox.apply()
    assert Contact.objects.get().email == "ada@example.com"
    assert mailbox.rows("applied")


# Users, signals, the outbox


def test_the_signals_carry_the_user(mailbox: Mailbox, kit: Sandbox, news: list[tuple[str, str, str]]) -> None:
    row = someone_at(kit)
    user("ada")
    mailbox.tell(ACTIVATE, {"subscriber": row})
    settle(mailbox)
    kit.happens("kit", "unsubscribe", "ada@example.com")
    mailbox.tell(UNSUBSCRIBE, {"subscriber": {**row, "state": "cancelled"}})
    settle(mailbox)
    assert ("contact_subscribed", "ada@example.com", "ada") in news
    assert ("contact_unsubscribed", "ada@example.com", "ada") in news
    assert Contact.objects.get().user.username == "ada"


def test_no_signal_before_the_commit(mailbox: Mailbox, kit: Sandbox, news: list[tuple[str, str, str]]) -> None:
    mailbox.tell_signed(batch(("subscriber.created", {"subscriber": subscriber(1)}, NOW)))
    mailbox.apply()  # within the test's own transaction
    assert news == []


def test_a_receiver_that_raises_harms_nothing(mailbox: Mailbox) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError

    signals.contact_subscribed.connect(fail)
    mailbox.tell_signed(batch(("subscriber.created", {"subscriber": subscriber(1)}, NOW)))
    settle(mailbox)
    signals.contact_subscribed.disconnect(fail)
    assert mailbox.rows("applied")


def test_the_echo_of_our_own_push_causes_no_push_and_no_call(mailbox: Mailbox, kit: Sandbox) -> None:
    ada = get_user_model().objects.create_user("ada", "ada@example.com", first_name="Ada")
    drain(mailbox.connection.pk, foreground=True)
    row = call(kit, "GET", "/v4/subscribers")["subscribers"][0]
    before = reads(kit)

    mailbox.tell(ACTIVATE, {"subscriber": row})
    mailbox.apply()

    assert not OutboxRow.objects.exists()
    assert reads(kit) == before
    assert Contact.objects.get().user_id == ada.pk


def test_our_own_unsubscribe_that_is_under_way_is_no_word_of_the_persons(mailbox: Mailbox, kit: Sandbox) -> None:
    """Its webhook may come before the drain has written what it did."""
    ada = get_user_model().objects.create_user("ada", "ada@example.com")
    drain(mailbox.connection.pk, foreground=True)
    row = call(kit, "GET", "/v4/subscribers")["subscribers"][0]
    OutboxRow.objects.create(
        key=f"{mailbox.connection.pk}:profile:user:{ada.pk}", connection=mailbox.connection, kind=Kind.PROFILE,
        subject=f"user:{ada.pk}", version=1, lane=Lane.URGENT, claim_token="t", claimed_version=1,
        due_at=timezone.now(), marked_at=timezone.now(),
    )  # fmt: skip
    call(kit, "POST", f"/v4/subscribers/{row['id']}/unsubscribe", {})
    mailbox.tell(UNSUBSCRIBE, {"subscriber": {**row, "state": "cancelled"}})

    mailbox.apply()
    assert not OptOut.objects.exists()
    assert mailbox.rows("pending")

    # The drain ends, and has told the mirror.
    Contact.objects.update(status="unsubscribed", seen_at=timezone.now())
    OutboxRow.objects.all().delete()
    InboxRow.objects.update(due_at=timezone.now())
    mailbox.apply()
    assert not OptOut.objects.exists()
    assert mailbox.rows("applied")


def test_a_persons_own_unsubscribe_waits_no_longer_than_the_push(mailbox: Mailbox, kit: Sandbox) -> None:
    ada = get_user_model().objects.create_user("ada", "ada@example.com")
    drain(mailbox.connection.pk, foreground=True)
    row = call(kit, "GET", "/v4/subscribers")["subscribers"][0]
    OutboxRow.objects.create(
        key="x", connection=mailbox.connection, kind=Kind.PROFILE, subject=f"user:{ada.pk}", version=1,
        claim_token="t", due_at=timezone.now(), marked_at=timezone.now(),
    )  # fmt: skip
    mailbox.tell(UNSUBSCRIBE, {"subscriber": {**row, "state": "cancelled"}})
    InboxRow.objects.update(attempts=applying.OWN_PUSH_TRIES)
    mailbox.apply()
    assert OptOut.objects.get().kind == "unsubscribed"


@pytest.mark.parametrize("scope", ["everywhere", "connection"])
def test_an_unsubscribe_is_told_to_the_other_services(
    mailbox: Mailbox, kit: Sandbox, marketing: Callable[..., None], scope: str
) -> None:
    marketing(UNSUBSCRIBE_SCOPE=scope)
    row = someone_at(kit)
    ada = user("ada")
    other = Connection.objects.create(name="other", provider="convertloop")
    mailbox.tell(UNSUBSCRIBE, {"subscriber": {**row, "state": "cancelled"}})

    for _ in range(2):
        entry_points.apply_inbox(mailbox.connection.pk)
        told = [(row.connection_id, row.subject, row.lane) for row in OutboxRow.objects.all()]
        expected = [(other.pk, f"user:{ada.pk}", Lane.URGENT)] if scope == "everywhere" else []
        assert told == expected


def test_no_push_subscribes_again_who_unsubscribed_at_the_service(mailbox: Mailbox, kit: Sandbox) -> None:
    get_user_model().objects.create_user("ada", "ada@example.com")
    drain(mailbox.connection.pk, foreground=True)
    row = call(kit, "GET", "/v4/subscribers")["subscribers"][0]
    kit.happens("kit", "unsubscribe", "ada@example.com")
    mailbox.tell(UNSUBSCRIBE, {"subscriber": {**row, "state": "cancelled"}})
    mailbox.apply()

    get_user_model().objects.get().save()
    drain(mailbox.connection.pk, foreground=True)
    assert kit.people("kit")[0]["state"] == "cancelled"
    assert kit.resubscribed("kit") == 0


# The task


def test_the_schedule_finds_what_no_task_was_woken_for(mailbox: Mailbox, tasks: list[Any]) -> None:
    mailbox.tell(ACTIVATE, {"subscriber": subscriber()})
    tasks.clear()
    entry_points.apply_all()
    assert tasks == [("mktg_integration.tasks.apply_inbox", (mailbox.connection.pk,))]


def test_two_tasks_do_not_apply_at_the_same_time(mailbox: Mailbox, tasks: list[Any]) -> None:
    from mktg_integration.models import InboundAddress
    from mktg_integration.models.leases import take_row_lease

    mailbox.tell(ACTIVATE, {"subscriber": subscriber()})
    lease = take_row_lease(InboundAddress, mailbox.connection.pk, 60)
    assert lease is not None
    assert mailbox.apply().busy
    lease.release()
    assert mailbox.apply().applied == 1


def test_a_connection_that_is_gone(mailbox: Mailbox) -> None:
    entry_points.apply_inbox(10_000)


def test_what_was_applied_goes_after_a_while(mailbox: Mailbox) -> None:
    from mktg_integration.pruning import prune

    mailbox.tell_signed(batch(("subscriber.created", {"subscriber": subscriber(1)}, NOW)))
    mailbox.post(mailbox.url(ACTIVATE), b"no json")
    mailbox.apply()
    assert prune().inbox == 0
    InboxRow.objects.update(received_at=timezone.now() - timedelta(days=15))
    assert prune(dry_run=True).inbox == 1
    assert prune().inbox == 1
    assert [row.state for row in InboxRow.objects.all()] == ["unreadable"]


def test_a_storm_with_duplicates_in_whatever_order(mailbox: Mailbox) -> None:
    """A small one; the benchmark has ten thousand."""
    shuffled = random.Random(4)
    deliveries = []
    last: dict[int, str] = {}
    for number in range(20):
        for step in range(10):
            state = shuffled.choice(["active", "cancelled", "bounced", "inactive"])
            kind = {"cancelled": "subscriber.unsubscribed", "bounced": "subscriber.bounced"}.get(
                state, "subscriber.activated"
            )
            body = batch((kind, {"subscriber": subscriber(number, state)}, NOW + step * 20 + number))
            deliveries += [(body, f"{number}-{step}")] * shuffled.choice([1, 1, 2])
            last[number] = state
    shuffled.shuffle(deliveries)
    for position, (body, delivery) in enumerate(deliveries):
        mailbox.tell_signed(body, delivery=delivery)
        if position % 60 == 0:
            mailbox.apply()
    mailbox.apply()
    names = {"cancelled": "unsubscribed"}
    assert {int(row.remote_id): row.status for row in Contact.objects.all()} == {
        number: names.get(state, state) for number, state in last.items()
    }
