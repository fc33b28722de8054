"""The mirror as the engines read it, and its links to users."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from mktg_integration.mirror import links, reader, writer
from mktg_integration.models import Connection, Contact, Tag
from mktg_integration.records import ContactRecord, CustomFieldRecord, TagRecord
from tests.mirror.conftest import NOON

Told = Callable[..., ContactRecord]
User = get_user_model()
HOUR = timedelta(hours=1)


def test_contacts_by_address(kit: Connection, told: Told, django_assert_num_queries: Any) -> None:
    other = Connection.objects.create(name="other", provider="kit")
    page = [told("1", email="Ann@Example.com"), told("2", email="bob@example.com"), told("3", email="gone@example.com")]
    writer.write(kit, page, as_of=NOON)
    writer.write(other, [told("9", email="eve@example.com")], as_of=NOON)
    writer.mark_gone(kit, ["3"])
    with django_assert_num_queries(1):
        found = reader.contacts_by_email(kit, ["ANN@example.com ", "gone@example.com", "eve@example.com", ""])
    assert {email: contact.remote_id for email, contact in found.items()} == {"ann@example.com": "1"}


def test_of_two_contacts_with_one_address_the_last_seen_counts(kit: Connection, told: Told) -> None:
    writer.write(kit, [told("1", email="ann@example.com")], as_of=NOON + HOUR)
    writer.write(kit, [told("2", email="ann@example.com")], as_of=NOON)
    assert reader.contacts_by_email(kit, ["ann@example.com"])["ann@example.com"].remote_id == "1"


def test_the_catalogue_goes_by_normal_names(kit: Connection) -> None:
    records = [
        TagRecord(remote_id="1", name="VIP", created_at=NOON),
        TagRecord(remote_id="2", name="vip", created_at=NOON + HOUR),
        TagRecord(remote_id="3", name="Gone"),
        CustomFieldRecord(remote_id="4", key="plan", label="Plan"),
    ]
    writer.write(kit, records, as_of=NOON)
    Tag.objects.filter(remote_id="3").update(deleted_at=NOON)
    tags, fields = reader.catalogue(kit)
    assert {name: tag.remote_id for name, tag in tags.items()} == {kit.driver.normal_tag("VIP"): "1"}
    assert {key: field.label for key, field in fields.items()} == {"plan": "Plan"}


# Links


def sign_up(name: str, email: str) -> Any:
    return User._default_manager.create(**{User.USERNAME_FIELD: name, User.get_email_field_name(): email})


@pytest.mark.skipif(not hasattr(User, User.get_email_field_name()), reason="a user model without addresses")
def test_contacts_are_linked_to_users_by_normal_address(kit: Connection, told: Told) -> None:
    writer.write(kit, [told("1", email="ann@example.com"), told("2", email="bob@example.com")], as_of=NOON)
    writer.write(kit, [told("3", email="eve@example.com")], as_of=NOON, owners={"3": "lead:5"})
    ann, second, _ = sign_up("ann", "Ann@Example.COM"), sign_up("second", "ann@example.com"), sign_up("nobody", "")
    eve = sign_up("eve", "eve@example.com")

    assert links.link_all(kit) == 1

    linked = {contact.remote_id: contact.user for contact in Contact.objects.select_related("user")}
    assert linked["1"] in (ann, second)
    assert linked == {"1": linked["1"], "2": None, "3": None}, "a contact that has an owner keeps it"
    assert links.link_all() == 0
    assert links.link_users([eve]) == 0


@pytest.mark.skipif(not hasattr(User, User.get_email_field_name()), reason="a user model without addresses")
def test_linking_goes_page_by_page(kit: Connection, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PAGE", 2)
    writer.write(kit, [told(str(n), email=f"person{n}@example.com") for n in range(5)], as_of=NOON)
    users = [sign_up(f"person{n}", f"person{n}@example.com") for n in range(5)]
    assert links.link_users(users[:3]) == 3
    assert links.link_all() == 2


@pytest.mark.skipif(hasattr(User, User.get_email_field_name()), reason="only for a user model without addresses")
def test_users_without_addresses_are_linked_to_nobody(kit: Connection) -> None:
    assert links.link_all() == 0
