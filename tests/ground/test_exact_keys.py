"""Keys and normalised addresses are compared as they are written, on every database."""

from __future__ import annotations

import pytest
from django.utils import timezone

from mktg_integration.models import Connection, Contact, Lead, Tag
from mktg_integration.records import ContactStatus


@pytest.fixture
def connection(db: None) -> Connection:
    return Connection.objects.create(name="convertloop", provider="convertloop")


def test_two_tags_whose_names_differ_by_case_are_two(connection: Connection) -> None:
    for name in ("VIP", "vip"):
        key = f"{connection.pk}:{name}"
        Tag.objects.create(
            key=key, connection=connection, remote_id=name, name=name, name_key=name, seen_at=timezone.now()
        )

    assert Tag.objects.get(name_key="VIP").remote_id == "VIP"
    assert Tag.objects.get(remote_id="vip").name == "vip"


def test_two_addresses_that_differ_by_an_accent_are_two(connection: Connection) -> None:
    for number, address in enumerate(("jose@example.com", "josé@example.com")):
        Lead.objects.create(email=address, email_key=address)
        Contact.objects.create(
            key=f"{connection.pk}:{number}",
            connection=connection,
            remote_id=str(number),
            email=address,
            email_key=address,
            status=ContactStatus.ACTIVE.value,
            seen_at=timezone.now(),
        )

    assert Contact.objects.get(email_key="jose@example.com").remote_id == "0"
    assert Lead.objects.filter(email_key="josé@example.com").count() == 1
