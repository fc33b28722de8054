"""From the mirror back to the service: who is found by a query is tagged, subscribed and told of like anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from mktg_integration import broadcasts, shortcuts
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.http import Unlimited
from mktg_integration.models import Broadcast, Connection, Contact, DeadRow, OutboxRow, Tag, Tagging
from mktg_integration.providers.kit.client import KitClient
from mktg_integration.providers.kit.provider import KitProvider
from mktg_integration.sandbox.server import Sandbox
from tests.providers.kit.serving import Serving
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


def test_a_broadcast_that_was_deleted_is_not_brought_back_by_a_list_that_lags(
    kit: Connection, read: Pull, fill: Fill, marketing: Callable[..., None]
) -> None:
    fill(broadcasts=[{"id": 9, "subject": "Hello", "email_template_id": 2, "created_at": "2024-03-01T10:00:00Z"}])
    read("broadcasts")
    Broadcast.objects.update(seen_at=timezone.now() - timedelta(days=1))
    broadcasts.delete(Broadcast.objects.get())

    fill(broadcasts=[{"id": 9, "subject": "Hello", "email_template_id": 2, "created_at": "2024-03-01T10:00:00Z"}])
    marketing(LIST_LAG_SECONDS=300.0)
    read("broadcasts", full=True)

    assert Broadcast.objects.get().deleted_at is not None


@pytest.mark.parametrize(
    ("draft", "named"),
    [
        ({"audience": broadcasts.Audience(tags=["VIP"])}, "audience: tags: 'VIP' is no id"),
        ({"template": "Classic"}, "template: 'Classic' is no id"),
    ],
)
def test_names_where_ids_are_wanted_are_named(kit: Connection, draft: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        broadcasts.create_draft("kit", subject="Hello", **draft)


def test_an_empty_audience_is_not_everybody(kit: Connection, mktg_sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="no tag and no segment"):
        broadcasts.create_draft("kit", subject="Hello", audience=broadcasts.Audience(tags=[]))
    assert mktg_sandbox.dump()["kit"]["broadcasts"] == []


@pytest.mark.parametrize(
    ("chosen_at_kit", "kept"),
    [
        ([{"all": [{"type": "all_subscribers"}]}], None),
        ([], None),
        ([{"all": [{"type": "tag", "ids": [1]}, {"type": "segment", "ids": [2]}]}], (["1"], ["2"])),
        ([{"any": [{"type": "tag", "ids": [1]}], "none": [{"type": "tag", "ids": [2]}]}], UnsupportedError),
        ([{"all": [{"type": "tag", "ids": [1]}]}, {"none": [{"type": "tag", "ids": [2]}]}], UnsupportedError),
        ([{"all": [{"type": "form", "ids": [1]}]}], UnsupportedError),
        ([{"none": [{"type": "all_subscribers"}]}], UnsupportedError),
    ],
)
def test_a_change_keeps_the_audience_that_was_chosen_at_kit_or_is_refused(chosen_at_kit: Any, kept: Any) -> None:
    with Serving() as service:
        told = {"id": 1, "created_at": "2024-03-01T10:00:00Z", "subscriber_filter": chosen_at_kit}
        service.will_answer(200, {"broadcast": told})
        client = KitClient(api_key="k", base_url=service.url, limiter=Unlimited())
        if kept is UnsupportedError:
            with pytest.raises(UnsupportedError, match="change it there"):
                KitProvider().read_broadcast("1", client)
            return
        audience = KitProvider().read_broadcast("1", client).audience
    assert (audience and (audience.tags, audience.segments)) == kept


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
