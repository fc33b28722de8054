"""Only what has changed is read, and nothing older overwrites something newer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from mktg_integration.mirror import optouts, writer
from mktg_integration.models import Connection, Contact, PullCheckpoint, Tagging
from mktg_integration.records import ContactRecord, ContactStatus
from mktg_integration.signals import contact_subscribed, contact_updated, purchase_created
from tests.pull.conftest import Fill, Pull, people, subscriber, tag, tagging


def test_the_second_pull_asks_for_changes_alone(read: Pull, fill: Fill, kit: Connection) -> None:
    today = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    fill(subscribers=people(50))
    read("contacts")
    fill(subscribers=[subscriber(1, first_name="Other", updated_at=today), *people(50)[1:]])

    report = read("contacts")

    counts = report.streams["contacts"]
    assert (counts["full"], counts["changed"], counts["unchanged"]) == (False, 1, 0)
    assert Contact.objects.get(remote_id="1").first_name == "Other"


def test_a_day_of_overlap_is_read_again(read: Pull, fill: Fill) -> None:
    """The service filters by date alone, and by its own."""
    yesterday = (timezone.now() - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fill(subscribers=people(5))
    read("contacts")
    fill(subscribers=[*people(5), subscriber(6, created_at=yesterday, updated_at=yesterday)])

    assert read("contacts").streams["contacts"]["added"] == 1


def test_new_taggings_come_by_date_and_removed_ones_by_the_full_pace(read: Pull, fill: Fill) -> None:
    now = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    old = [tagging(1, n) for n in range(1, 31)]
    fill(subscribers=people(40), tags=[tag(1, "VIP")], taggings=old)
    read()
    fill(taggings=[*old[1:], tagging(1, 40, now)])

    read("taggings")
    assert Tagging.objects.filter(deleted_at=None).count() == 31

    PullCheckpoint.objects.filter(stream="taggings").update(full_at=timezone.now() - timedelta(days=8))
    read("taggings")
    assert Tagging.objects.filter(deleted_at=None).count() == 30


@pytest.mark.parametrize(
    ("stream", "setting"), [("contacts", "PULL_FULL_DAYS"), ("taggings", "PULL_MEMBERS_FULL_DAYS")]
)
def test_how_often_it_reads_in_full_is_a_setting(
    stream: str, setting: str, read: Pull, fill: Fill, marketing: Callable[..., None]
) -> None:
    fill(subscribers=people(3), tags=[tag(1, "VIP")], taggings=[tagging(1, 1)])
    read()
    PullCheckpoint.objects.update(full_at=timezone.now() - timedelta(hours=20))

    assert not read(stream).streams[stream]["full"]
    marketing(**{setting: 0.5})
    assert read(stream).streams[stream]["full"]


def test_unchanged_rows_are_not_written(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(20))
    read("contacts")
    before = dict(Contact.objects.values_list("pk", "seen_at"))

    read("contacts", full=True)

    assert dict(Contact.objects.values_list("pk", "seen_at")) == before


def test_a_list_that_lags_does_not_undo_what_was_pushed(
    read: Pull, fill: Fill, kit: Connection, marketing: Callable[..., None]
) -> None:
    marketing(LIST_LAG_SECONDS=300.0)
    fill(subscribers=people(3))
    told = ContactRecord(remote_id="1", email="new@example.com", status=ContactStatus.ACTIVE)
    writer.write(kit, [told], as_of=timezone.now(), pushed=True)

    read("contacts")

    assert Contact.objects.get(remote_id="1").email == "new@example.com"
    assert Contact.objects.count() == 3


def test_without_lag_the_same_list_is_newer(read: Pull, fill: Fill, kit: Connection) -> None:
    fill(subscribers=people(3))
    told = ContactRecord(remote_id="1", email="new@example.com", status=ContactStatus.ACTIVE)
    writer.write(kit, [told], as_of=timezone.now(), pushed=True)

    read("contacts")

    assert Contact.objects.get(remote_id="1").email == "person1@example.com"


def test_what_came_in_before_a_full_reading_is_no_news_after_it(read: Pull, fill: Fill, kit: Connection) -> None:
    """Even of rows that the reading found unchanged, and so did not write."""
    fill(subscribers=people(3))
    read("contacts")
    received_at = timezone.now()
    read("contacts", full=True)
    late = ContactRecord(remote_id="1", email="late@example.com", status=ContactStatus.UNSUBSCRIBED)

    writer.write(kit, [late], as_of=received_at, source="inbound")
    assert Contact.objects.get(remote_id="1").status == "active"

    writer.write(kit, [late], as_of=timezone.now(), source="inbound")
    assert Contact.objects.get(remote_id="1").status == "unsubscribed"


def test_opt_outs_of_every_kind_are_remembered(read: Pull, fill: Fill, kit: Connection) -> None:
    states = {1: "cancelled", 2: "bounced", 3: "complained", 4: "active", 5: "inactive"}
    fill(subscribers=[subscriber(n, state=state) for n, state in states.items()])

    read("contacts")

    addresses = [f"person{n}@example.com" for n in states]
    found = {address: row.kind for address, row in optouts.optouts_for(addresses, kit.pk).items()}
    assert found == {
        "person1@example.com": "unsubscribed",
        "person2@example.com": "bounced",
        "person3@example.com": "complained",
    }


@pytest.fixture
def heard() -> Any:
    """The signals that were sent, as ``(signal, remote id of the contact)``."""
    told: list[tuple[str, str | None]] = []

    def subscribed(contact: Contact, **_: Any) -> None:
        told.append(("subscribed", contact.remote_id))

    def updated(contact: Contact, **_: Any) -> None:
        told.append(("updated", contact.remote_id))

    def bought(contact: Contact | None, **_: Any) -> None:
        told.append(("bought", contact and contact.remote_id))

    pairs = [(contact_subscribed, subscribed), (contact_updated, updated), (purchase_created, bought)]
    for signal, receiver in pairs:
        signal.connect(receiver)
    yield told
    for signal, receiver in pairs:
        signal.disconnect(receiver)


@pytest.mark.django_db(transaction=True)
def test_the_first_reading_is_no_news_later_ones_are(read: Pull, fill: Fill, heard: list[Any]) -> None:
    purchase = {
        "status": "paid", "email_address": "person1@example.com", "currency": "EUR", "products": [],
        "transaction_time": "2024-03-02T10:00:00Z", "subtotal": 1, "discount": 0, "tax": 0, "total": 1,
    }  # fmt: skip
    fill(subscribers=people(2), purchases=[{"id": 1, "transaction_id": "a", **purchase}])
    read("contacts", "purchases")
    assert heard == []

    fill(
        subscribers=[subscriber(1, first_name="Other"), *people(3)[1:]],
        purchases=[{"id": n, "transaction_id": str(n), **purchase} for n in (1, 2)],
    )
    read("contacts", full=True)
    read("purchases")

    assert sorted(heard) == [("bought", "1"), ("subscribed", "3"), ("updated", "1")]


def test_contacts_are_linked_to_users_and_stay_so(read: Pull, fill: Fill, kit: Connection) -> None:
    users = get_user_model().objects
    ada = users.create(username="ada", email="Person1@Example.com")
    fill(subscribers=people(3))
    read("contacts")
    assert Contact.objects.get(user=ada).remote_id == "1"

    ada.email = "elsewhere@example.com"
    ada.save()
    fill(subscribers=[subscriber(1, email_address="third@example.com"), *people(3)[1:]])
    read("contacts", full=True)

    assert Contact.objects.get(user=ada).email == "third@example.com"


def test_a_contact_that_appears_later_is_linked_at_once(read: Pull, fill: Fill) -> None:
    now = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    fill(subscribers=people(3))
    read("contacts")
    ada = get_user_model().objects.create(username="ada", email="Ada@Example.com")
    fill(subscribers=[*people(3), subscriber(4, email_address="ada@example.com", created_at=now, updated_at=now)])

    report = read("contacts")

    assert report.streams["contacts"]["full"] is False
    assert Contact.objects.get(user=ada).remote_id == "4"
