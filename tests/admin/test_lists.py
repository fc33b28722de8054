"""The pages of tables that staff only look at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration.admin.base import BoundedPaginator
from mktg_integration.encryption import address_hash
from mktg_integration.models import (
    Company,
    Connection,
    Contact,
    CustomField,
    DeadKind,
    DeadRow,
    ExplicitActs,
    Kind,
    Lane,
    Lead,
    OptOut,
    OutboxRow,
    Run,
    RunKind,
    SyncState,
    Tag,
    Tagging,
)

NOW = timezone.now()
READ_ONLY = [Company, Contact, CustomField, DeadRow, ExplicitActs, Lead, OptOut, OutboxRow, Run, SyncState, Tag]


def address(model: type[Any], page: str, *args: Any) -> str:
    return reverse(f"admin:mktg_integration_{model._meta.model_name}_{page}", args=args)


def add_contact(connection: Connection, number: int) -> Contact:
    return Contact.objects.create(
        key=f"{connection.pk}:{number}",
        connection=connection,
        remote_id=str(number),
        email=f"Person{number}@Example.com",
        email_key=f"person{number}@example.com",
        status="active",
        subject=f"user:{number}",
        values={"city": "Oslo"},
        raw={"id": number},
        seen_at=NOW,
    )


def add_row(connection: Connection, number: int) -> OutboxRow:
    return OutboxRow.objects.create(
        key=f"{connection.pk}:profile:user:{number}",
        connection=connection,
        kind=Kind.PROFILE,
        subject=f"user:{number}",
        lane=Lane.LIVE,
        marked_at=NOW,
        due_at=NOW + timedelta(hours=1),
        version=number,
    )


def add_dead(connection: Connection, number: int, state: DeadKind = DeadKind.REJECTED) -> DeadRow:
    return DeadRow.objects.create(
        key=f"{connection.pk}:profile:user:{number}",
        connection=connection,
        kind=Kind.PROFILE,
        subject=f"user:{number}",
        marked_at=NOW,
        died_at=NOW,
        state=state,
        code="invalid_email",
        reason="email is not a valid address: correct it at the user",
    )


@pytest.fixture
def everything(connection: Connection) -> Connection:
    """A row or two of every table."""
    for number in range(2):
        contact = add_contact(connection, number)
        tag = Tag.objects.create(
            key=f"{connection.pk}:t{number}", connection=connection, remote_id=f"t{number}", name=f"Tag {number}",
            name_key=f"tag {number}", seen_at=NOW,
        )  # fmt: skip
        Tagging.objects.create(
            key=f"{contact.key}:{tag.remote_id}", connection=connection, remote_id="", contact=contact, tag=tag,
            seen_at=NOW,
        )  # fmt: skip
        CustomField.objects.create(
            key=f"{connection.pk}:f{number}", connection=connection, remote_id=f"f{number}", field_key="city",
            label="City", seen_at=NOW,
        )  # fmt: skip
        Company.objects.create(
            key=f"{connection.pk}:c{number}", connection=connection, remote_id=f"c{number}", name="Blue", seen_at=NOW
        )
        add_row(connection, number)
        add_dead(connection, number)
        Lead.objects.create(email=f"Lead{number}@example.com", email_key=f"lead{number}@example.com")
        OptOut.objects.create(
            key=f"*:{number}", scope="*", kind="unsubscribed", at=NOW,
            address_hash=address_hash(f"gone{number}@example.com"),
        )  # fmt: skip
        ExplicitActs.objects.create(key=f"*:user:{number}", subject=f"user:{number}")
        SyncState.objects.create(
            key=f"{connection.pk}:user:{number}", connection=connection, subject=f"user:{number}",
            email_key=f"person{number}@example.com", contact=contact,
        )  # fmt: skip
        Run.objects.create(connection=connection, kind=RunKind.PUSH, started_at=NOW, counts={"done": 3, "reasons": {}})
    return connection


@pytest.mark.parametrize("model", READ_ONLY)
def test_every_table_can_be_read_and_not_written(staff: Client, everything: Connection, model: type[Any]) -> None:
    row = model.objects.first()
    assert staff.get(address(model, "changelist")).status_code == 200
    page = staff.get(address(model, "change", row.pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.text
    # A tag is made at the service, by way of the outbox.
    assert staff.get(address(model, "add")).status_code == (200 if model is Tag else 403)
    assert staff.post(address(model, "change", row.pk), {}).status_code == 403
    assert staff.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", READ_ONLY)
def test_a_list_costs_the_same_for_two_rows_as_for_one(staff: Client, everything: Connection, model: type[Any]) -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            database,
        ) as captured:
            assert staff.get(address(model, "changelist")).status_code == 200
        return len(captured)

    with_two = statements()
    model.objects.filter(pk=model.objects.first().pk).delete()
    assert statements() == with_two


def test_a_list_counts_no_further_than_its_bound(
    staff: Client, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedPaginator, "LIMIT", 3)
    for number in range(5):
        add_contact(connection, number)
    with CaptureQueriesContext(database) as captured:
        page = staff.get(address(Contact, "changelist"))
    assert page.context["cl"].result_count == 3
    counting = [query["sql"] for query in captured if "COUNT(" in query["sql"] and "contact" in query["sql"]]
    assert counting
    assert all("LIMIT 3" in sql for sql in counting)


@pytest.mark.parametrize(
    ("model", "term", "found"),
    [
        (Contact, " PERSON1@example.com ", 1),
        (Contact, "user:0", 1),
        (Contact, "person", 0),
        (Lead, "lead0@Example.com", 1),
        (OptOut, "Gone1@example.com", 1),
        (OutboxRow, "user:1", 1),
        (SyncState, "person0@example.com", 1),
    ],
)
def test_a_person_is_found_by_the_whole_address(
    staff: Client, everything: Connection, model: type[Any], term: str, found: int
) -> None:
    page = staff.get(address(model, "changelist"), {"q": term})
    assert page.context["cl"].result_count == found


def test_a_tag_leads_to_its_contacts(staff: Client, everything: Connection) -> None:
    page = staff.get(address(Tag, "changelist"))
    tag = Tag.objects.get(name="Tag 1")
    link = f"{address(Contact, 'changelist')}?taggings__tag__key__exact={tag.pk.replace(':', '%3A')}"
    assert link in page.text
    contacts = staff.get(link)
    assert contacts.context["cl"].result_count == 1


def test_the_payload_of_an_erasure_is_never_shown(staff: Client, connection: Connection) -> None:
    row = add_row(connection, 1)
    OutboxRow.objects.filter(pk=row.pk).update(payload={"email": "secret@example.com"})
    assert "secret@example.com" not in staff.get(address(OutboxRow, "change", row.pk)).text


def test_push_now_makes_rows_due_at_once(staff: Client, connection: Connection, tasks: list[Any]) -> None:
    chosen, other = add_row(connection, 1), add_row(connection, 2)
    staff.post(address(OutboxRow, "changelist"), {"action": "push_now", "_selected_action": [chosen.pk]})
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert chosen.due_at <= timezone.now() < other.due_at
    assert chosen.version == 1
    assert tasks == [("mktg_integration.tasks.drain", (connection.pk,))]


@pytest.mark.parametrize(("model", "action"), [(OutboxRow, "push_now"), (DeadRow, "replay"), (DeadRow, "confirm")])
def test_who_may_only_look_can_send_nothing(
    connection: Connection, tasks: list[Any], model: type[Any], action: str
) -> None:
    row = add_row(connection, 1) if model is OutboxRow else add_dead(connection, 1, DeadKind.HELD)
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename=f"view_{model._meta.model_name}"))
    client = Client()
    client.force_login(user)
    client.post(address(model, "changelist"), {"action": action, "_selected_action": [row.pk]})
    assert not tasks
    assert model.objects.filter(pk=row.pk).exists()


def test_no_page_calls_a_service(staff: Client, everything: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a page opened a connection")

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("urllib3.connection.HTTPConnection.connect", refuse)
    for model in [Connection, *READ_ONLY]:
        staff.get(address(model, "changelist"))
        staff.get(address(model, "change", model.objects.first().pk))
