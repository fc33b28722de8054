"""From the mirror back to the service: who is found by a query is tagged, subscribed and told of like anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from mktg_integration import shortcuts
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import Connection, Contact, DeadRow, OutboxRow, Tag, Tagging
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import Fill, Pull, people, subscriber, tag, tagging
from tests.push.conftest import person, send

VIPS = Contact.objects.filter(tags__name="VIP")


@pytest.fixture
def account(fill: Fill, read: Pull) -> None:
    """Three of whom the site knows nothing, one of them a VIP and one who has left."""
    fill(
        subscribers=[*people(2), subscriber(3, state="cancelled")],
        tags=[tag(1, "VIP")],
        taggings=[tagging(1, 1), tagging(1, 3)],
    )
    read()


def there(sandbox: Sandbox, number: int) -> dict[str, Any]:
    return person(sandbox, "kit", f"person{number}@example.com")


@pytest.mark.usefixtures("account")
def test_contacts_who_are_nobodys_here_are_tagged_and_nothing_else_of_them_changes(
    kit: Connection, mktg_sandbox: Sandbox
) -> None:
    for contact in VIPS:
        shortcuts.add_tag(contact, "Gold")
    send(kit)

    assert not DeadRow.objects.exists()
    assert not OutboxRow.objects.exists()
    rows = {row["id"]: row for row in mktg_sandbox.dump()["kit"]["subscribers"]}
    assert {number: (row["state"], row["first_name"]) for number, row in rows.items()} == {
        1: ("active", "Name1"),
        2: ("active", "Name2"),
        3: ("cancelled", "Name3"),
    }
    assert sorted(there(mktg_sandbox, 1)["tags"]) == ["Gold", "VIP"]
    assert sorted(there(mktg_sandbox, 3)["tags"]) == ["Gold", "VIP"]
    assert Contact.objects.filter(tags__name="Gold", status="active").count() == 1


@pytest.mark.usefixtures("account")
def test_a_tag_is_taken_from_a_contact(kit: Connection, mktg_sandbox: Sandbox) -> None:
    shortcuts.remove_tag(Contact.objects.get(remote_id="1"), "VIP")
    send(kit)

    assert there(mktg_sandbox, 1)["tags"] == []
    assert not Contact.objects.get(remote_id="1").tags.exists()


def test_a_contact_of_a_user_is_that_user(
    kit: Connection, read: Pull, fill: Fill, marketing: Callable[..., None], mktg_sandbox: Sandbox
) -> None:
    fill(subscribers=people(1))
    user = get_user_model().objects.create_user("ada", "Person1@example.com")
    read()

    shortcuts.add_tag(Contact.objects.get(), "Gold")

    assert set(OutboxRow.objects.values_list("subject", flat=True)) == {f"user:{user.pk}"}


@pytest.mark.usefixtures("account")
def test_an_unsubscribe_of_a_contact(kit: Connection, mktg_sandbox: Sandbox) -> None:
    shortcuts.unsubscribe(Contact.objects.get(remote_id="1"), who="staff", how="by telephone")
    send(kit)

    assert mktg_sandbox.dump()["kit"]["subscribers"][0]["state"] == "cancelled"
    assert Contact.objects.get(remote_id="1").status == "unsubscribed"


@pytest.mark.usefixtures("account")
def test_an_address_is_tagged_and_keeps_its_name_at_the_service(kit: Connection, mktg_sandbox: Sandbox) -> None:
    shortcuts.add_tag("person2@example.com", "Gold")
    send(kit)

    rows = {row["id"]: row for row in mktg_sandbox.dump()["kit"]["subscribers"]}
    assert rows[2]["first_name"] == "Name2"
    assert there(mktg_sandbox, 2)["tags"] == ["Gold"]


@pytest.mark.usefixtures("account")
def test_the_mirrors_own_tables_are_not_the_way(kit: Connection) -> None:
    contact, vip = Contact.objects.get(remote_id="2"), Tag.objects.get()
    for wrong in (
        lambda: contact.tags.add(vip),
        lambda: contact.tags.set([vip]),
        lambda: vip.contacts.add(contact),
        lambda: Contact.objects.get(remote_id="1").tags.remove(vip),
        lambda: Contact.objects.get(remote_id="1").tags.clear(),
        lambda: Tag.objects.create(connection=kit, name="Gold"),
        lambda: contact.tags.create(connection=kit, name="Gold"),
    ):
        with pytest.raises(UnsupportedError, match=r"shortcuts\."), transaction.atomic():
            wrong()
    assert Tagging.objects.count() == 2
    assert Tag.objects.count() == 1
