"""Keys and normalised addresses are compared as they are written, on every database."""

from __future__ import annotations

import pytest
from django.db import connection as connection_to_database
from django.utils import timezone

from mktg_integration.models import Connection, Contact, Lead, OutboxRow, Tag
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


@pytest.mark.skipif(connection_to_database.vendor != "postgresql", reason="only PostgreSQL has such indexes")
def test_keys_have_one_index_and_find_what_begins_with_a_text(connection: Connection) -> None:
    with connection_to_database.cursor() as cursor:
        indexes = connection_to_database.introspection.get_constraints(cursor, OutboxRow._meta.db_table)
        # On a table so small the planner would read it whole, whatever index there is.
        cursor.execute("SET LOCAL enable_seqscan = off")
        plan = OutboxRow.objects.filter(pk__startswith="1:profile:").explain()

    assert not [name for name in indexes if name.endswith("_like")]
    assert "Index Cond" in plan
