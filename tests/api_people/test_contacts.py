"""``contacts/``: who is there, and what staff may have done with one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from mktg_integration.api import contacts
from mktg_integration.insight import ids
from mktg_integration.models import AuditEntry, Connection, Contact, ExplicitActs, Lead, OptOut, OutboxRow, Tag, Tagging
from mktg_integration.permissions import APP, ERASE, SYNC, VIEW_PERSONAL_DATA
from mktg_integration.sandbox.server import Sandbox
from tests.api_people.conftest import API, Staff, contact_of, path_of, told
from tests.push.conftest import person, send

SignUp = Callable[..., Any]
Site = Callable[..., Any]
VIEW = f"{APP}.view_contact"
ALL = (VIEW, SYNC, ERASE, VIEW_PERSONAL_DATA)
CONTACTS, SEARCH = f"{API}contacts/", f"{API}contacts/search/"
ADA = "ada@example.com"
ACTIONS = {
    "sync": {},
    "refresh": {},
    "tag": {"name": "VIP"},
    "untag": {"name": "VIP"},
    "subscribe": {"how": "signed the list"},
    "unsubscribe": {},
    "forget": {},
}


@pytest.fixture
def kit(site: Site) -> Connection:
    connection: Connection = site("kit")["kit"]
    return connection


@pytest.fixture
def ada(kit: Connection, sign_up: SignUp) -> Contact:
    """A user's contact, as the service has it."""
    sign_up("ada", newsletter=True)
    send(kit)
    return Contact.objects.get()


def ids_of(answer: Any) -> list[str]:
    return [row["remote_id"] for row in answer.json()["results"]]


# Who may


@pytest.mark.parametrize("missing", [VIEW, SYNC, ERASE, VIEW_PERSONAL_DATA])
def test_each_permission_is_asked_for(missing: str, ada: Contact, staff: Staff) -> None:
    client = staff(*(one for one in ALL if one != missing))
    refused = {
        VIEW: {"list", "retrieve", "search", "export", *ACTIONS},
        SYNC: set(ACTIONS) - {"forget"},
        ERASE: {"forget"},
        VIEW_PERSONAL_DATA: {"search", "export"},
    }[missing]
    answers = {
        "list": client.get(CONTACTS),
        "retrieve": client.get(path_of(ada)),
        "search": client.post(SEARCH, {"email": ADA}),
        "export": client.get(path_of(ada, "export")),
        **{name: client.post(path_of(ada, name), body, format="json") for name, body in ACTIONS.items()},
    }
    assert {name for name, answer in answers.items() if answer.status_code == 403} == refused
    assert {answer.status_code for name, answer in answers.items() if name not in refused} <= {200, 202}


def test_whoever_is_no_staff_may_nothing(ada: Contact, staff: Staff) -> None:
    for client in (staff(*ALL, is_staff=False), APIClient()):
        for answer in (client.get(CONTACTS), client.get(path_of(ada)), client.post(path_of(ada, "forget"))):
            assert answer.status_code in (401, 403)
    assert not OptOut.objects.exists()


def test_personal_data_is_masked_for_those_who_may_not_see_it(ada: Contact, staff: Staff) -> None:
    for answer in (staff(VIEW).get(CONTACTS), staff(VIEW).get(path_of(ada))):
        assert "ada" not in answer.content.decode().casefold()
        assert '"status":"active"' in answer.content.decode()
    assert staff(VIEW, VIEW_PERSONAL_DATA).get(path_of(ada)).json()["email"] == ADA


# Who is there


def test_filters(kit: Connection, staff: Staff) -> None:
    client = staff(VIEW)
    other = Connection.objects.create(name="other", provider="kit")
    vip = told(Tag, kit, "9", name="VIP", name_key="vip")
    for number, status in enumerate(("active", "unsubscribed", "active"), 1):
        contact_of(kit, str(number), status=status, subject="user:1" if number == 3 else "")
    contact_of(kit, "4", deleted_at=timezone.now())
    contact_of(other, "5")
    told(Tagging, kit, "1:9", contact_id=f"{kit.pk}:1", tag=vip)
    told(Tagging, kit, "3:9", contact_id=f"{kit.pk}:3", tag=vip, deleted_at=timezone.now())

    def found(**query: Any) -> list[str]:
        return ids_of(client.get(CONTACTS, query))

    assert found() == ["1", "2", "3", "5"]
    assert found(connection=kit.pk) == ["1", "2", "3"]
    assert found(connection=kit.pk, status="active") == ["1", "3"]
    assert found(tag=f"{kit.pk}:9") == ["1"]
    assert found(subject="user:1") == ["3"]
    assert found(connection=kit.pk, gone="true") == ["1", "2", "3", "4"]
    answer = client.get(CONTACTS, {"status": "active"})
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"status": ["Name the connection too."]}


@pytest.mark.parametrize("query", [{"connection": "1e400"}, {"connection": "1.5"}, {"status": "none"}, {"cursor": "x"}])
def test_a_filter_that_cannot_be_used_is_refused(query: dict[str, str], kit: Connection, staff: Staff) -> None:
    assert staff(VIEW).get(CONTACTS, {"connection": kit.pk, **query}).status_code in (400, 404)


@pytest.mark.parametrize("few", [2, 5000])
def test_the_members_of_a_tag_however_many(
    few: int, kit: Connection, staff: Staff, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "FEW", few)
    other = Connection.objects.create(name="other", provider="kit")
    vip = told(Tag, kit, "9", name="VIP", name_key="vip")
    for number in range(1, 6):
        contact_of(kit, str(number))
        told(Tagging, kit, f"{number}:9", contact_id=f"{kit.pk}:{number}", tag=vip)
    contact_of(kit, "6")
    contact_of(other, "1")
    client = staff(VIEW)
    first = client.get(CONTACTS, {"tag": vip.pk, "page_size": 3}).json()
    second = client.get(first["next"]).json()
    assert [row["remote_id"] for row in first["results"] + second["results"]] == ["1", "2", "3", "4", "5"]
    assert ids_of(client.get(CONTACTS, {"tag": "none"})) == []


def test_a_contact_that_was_only_read_is_its_users_too(kit: Connection, staff: Staff, sign_up: SignUp) -> None:
    user = sign_up("ada")
    row = contact_of(kit, "5", email=ADA, user=user)
    client = staff(*ALL)
    assert ids_of(client.get(CONTACTS, {"subject": f"user:{user.pk}"})) == ["5"]
    assert client.post(path_of(row, "unsubscribe")).json() == {"person": f"user:{user.pk}"}
    assert not Lead.objects.exists()


def test_pages_go_by_the_key(kit: Connection, staff: Staff) -> None:
    client = staff(VIEW)
    for number in range(1, 8):
        contact_of(kit, str(number))
    first = client.get(CONTACTS, {"page_size": 3, "connection": kit.pk}).json()
    assert "count" not in first
    second = client.get(first["next"]).json()
    assert [row["remote_id"] for row in first["results"] + second["results"]] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("query", ["", "connection", "status", "subject", "tag"])
def test_no_list_reads_the_whole_table(query: str, kit: Connection, staff: Staff) -> None:
    client = staff(VIEW)
    given: dict[str, Any] = {"connection": kit.pk, "status": "active", "subject": "user:1", "tag": f"{kit.pk}:9"}
    asked = {name: given[name] for name in (query, *(["connection"] if query == "status" else [])) if name}
    contact_of(kit)
    with CaptureQueriesContext(database) as queries:
        assert client.get(CONTACTS, asked).status_code == 200
    statements = [one["sql"] for one in queries if "mktg_integration_contact" in one["sql"]]
    assert statements
    if database.vendor != "sqlite":
        return
    with database.cursor() as cursor:
        for statement in statements:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
            plan = " | ".join(row[3] for row in cursor.fetchall())
            # In the order of the key and cut off at a page's end, or found by an index.
            assert "USE TEMP B-TREE" not in plan or "SEARCH" in plan, plan
            assert "SCAN" not in plan or "USING INDEX sqlite_autoindex" in plan, plan


def test_a_search_by_address_has_it_in_the_body(ada: Contact, staff: Staff) -> None:
    client = staff(*ALL)
    assert [row["email"] for row in client.post(SEARCH, {"email": " ADA@Example.com"}).json()] == [ADA]
    assert client.post(SEARCH, {"email": "bob@example.com"}).json() == []
    # In the address it would be logged, so it does nothing there.
    assert len(ids_of(client.get(CONTACTS, {"email": "bob@example.com"}))) == 1


def test_the_detail_has_the_tags(kit: Connection, staff: Staff) -> None:
    row = contact_of(kit)
    told(Tagging, kit, "1:9", contact=row, tag=told(Tag, kit, "9", name="VIP", name_key="vip"))
    told(Tagging, kit, "1:10", contact=row, tag_id=f"{kit.pk}:10")
    tags = staff(VIEW).get(path_of(row)).json()["tags"]
    assert [(tag["id"], tag["name"]) for tag in tags] == [(f"{kit.pk}:10", ""), (f"{kit.pk}:9", "VIP")]


@pytest.mark.parametrize("remote_id", [ADA, "a/b", "Ünïcode", ".", "x" * 150])
def test_an_id_holds_no_address_and_finds_its_row(remote_id: str, kit: Connection, staff: Staff) -> None:
    row = contact_of(kit, remote_id, email="somebody@example.com")
    (listed,) = staff(VIEW).get(CONTACTS).json()["results"]
    assert "@" not in listed["id"]
    assert "ada" not in listed["id"].casefold()
    assert listed["remote_id"] == (remote_id if ids.is_plain(remote_id) else "")
    assert staff(VIEW).get(f"{CONTACTS}{listed['id']}/").json()["id"] == listed["id"]
    assert ids.shown(row.pk) == listed["id"]


@pytest.mark.parametrize("shown", ["1:~AAAA", "1:~", "1:none", "nothing", "~", "1:~%C3%A9"])
def test_an_id_that_nobody_has_is_not_found(shown: str, ada: Contact, staff: Staff) -> None:
    assert staff(VIEW).get(f"{CONTACTS}{shown}/").status_code == 404


# What may be done


def test_a_tag_and_an_unsubscribe_reach_the_service(
    ada: Contact, kit: Connection, staff: Staff, mktg_sandbox: Sandbox
) -> None:
    client = staff(*ALL)
    answer = client.post(path_of(ada, "tag"), {"name": "VIP"}, format="json")
    assert (answer.status_code, answer.json()) == (202, {"person": ada.subject})
    send(kit)
    assert person(mktg_sandbox, "kit", ADA)["tags"] == ["VIP"]
    client.post(path_of(ada, "untag"), {"name": "VIP"}, format="json")
    client.post(path_of(ada, "unsubscribe"))
    send(kit)
    row = person(mktg_sandbox, "kit", ADA)
    assert (row["tags"], row["state"]) == ([], "cancelled")
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == ["tagged", "untagged", "unsubscribed"]


def test_a_sync_makes_the_person_due(ada: Contact, staff: Staff) -> None:
    staff(*ALL).post(path_of(ada, "sync"))
    assert OutboxRow.objects.filter(subject=ada.subject).exists()


def test_a_contact_is_read_at_its_service_in_the_background(ada: Contact, staff: Staff, tasks: list[Any]) -> None:
    tasks.clear()
    answer = staff(*ALL).post(path_of(ada, "refresh"))
    assert (answer.status_code, answer.json()) == (202, {"person": ada.subject})
    assert tasks == [("mktg_integration.tasks.refresh_contact", (ada.connection_id, ada.pk))]


def test_what_a_service_does_not_tell_is_not_asked_for(site: Site, staff: Staff, tasks: list[Any]) -> None:
    contact = contact_of(site("convertloop")["convertloop"], "1")
    answer = staff(*ALL).post(path_of(contact, "refresh"))
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported")
    assert tasks == []


def test_nobody_is_subscribed_without_evidence(ada: Contact, staff: Staff) -> None:
    client = staff(*ALL)
    for body in ({}, {"how": " "}, {"how": "fair", "when": "2999-01-01T00:00:00Z"}):
        assert client.post(path_of(ada, "subscribe"), body, format="json").status_code == 400
    assert not ExplicitActs.objects.exists()
    body = {"how": "signed the list at the fair", "when": "2026-05-01T10:00:00Z", "who": "Grace"}
    assert client.post(path_of(ada, "subscribe"), body, format="json").status_code == 202
    acts = ExplicitActs.objects.get()
    assert (acts.consent, acts.consent_who, acts.consent_how) == ("granted", "Grace", "signed the list at the fair")


def test_a_contact_that_is_nobodys_here_is_meant_by_its_address(
    kit: Connection, staff: Staff, mktg_sandbox: Sandbox
) -> None:
    row = contact_of(kit, "5", email="stranger@example.com")
    assert staff(*ALL).post(path_of(row, "unsubscribe")).status_code == 202
    assert Lead.objects.get().email == "stranger@example.com"
    assert ExplicitActs.objects.get().consent == "refused"


def test_forgetting_erases(ada: Contact, kit: Connection, staff: Staff) -> None:
    assert staff(*ALL).post(path_of(ada, "forget")).status_code == 202
    assert OptOut.objects.get().kind == "forgotten"
    assert AuditEntry.objects.get().action == "forgotten"


def test_staff_export_what_is_held_of_somebody(ada: Contact, staff: Staff) -> None:
    answer = staff(VIEW, VIEW_PERSONAL_DATA).get(path_of(ada, "export"))
    assert answer.json()["contacts"][0]["email"] == ADA
    assert answer.json()["sent"][0]["sent"]["email"] == ADA
    assert AuditEntry.objects.get().action == "exported"


def test_an_act_over_a_connection_that_is_not_there_is_refused(ada: Contact, staff: Staff) -> None:
    answer = staff(*ALL).post(path_of(ada, "tag"), {"name": "VIP", "connection": 999}, format="json")
    assert answer.status_code == 400
    assert "connection" in answer.json()["errors"]
