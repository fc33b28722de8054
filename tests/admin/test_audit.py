"""Who did what is written down, can be read and found, and never changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration.admin import audit as pages
from mktg_integration.audit import Actor, record
from mktg_integration.models import AuditAction, AuditEntry, Connection
from tests.admin.conftest import SECRET
from tests.admin.test_connections import ADD, change_page, form

LIST = reverse("admin:mktg_integration_auditentry_changelist")


def written() -> list[tuple[str, dict[str, Any]]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "detail"))


def test_a_connection_made_by_key_is_written_down_without_the_key(staff: Client, untried: None) -> None:
    staff.post(ADD, form(name="crm", provider="conversion", **{"credential-conversion-API_KEY": SECRET}))
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.via, entry.connection_name) == ("connected", "admin", "crm")
    assert entry.actor == User.objects.get(username="root")
    assert "API_KEY" in entry.detail["changed"]
    assert SECRET not in str(entry.detail)


def test_another_mapping_is_written_down_with_the_one_before(staff: Client, connection: Connection) -> None:
    mapping = "mktg_integration.profile.default_mapping"
    Connection.objects.update(stored_options={"PROFILE": "example.before"})
    staff.post(change_page(connection), form(name="crm", stored_options=f'{{"PROFILE": "{mapping}"}}'))
    detail = {"changed": ["stored_options"], "mapping": {"before": "example.before", "now": mapping}}
    assert written() == [("changed", detail)]


def test_a_new_key_is_written_down_by_its_name(staff: Client, connection: Connection, untried: None) -> None:
    staff.post(change_page(connection), form(name="crm", **{"credential-conversion-API_KEY": "another"}))
    assert written() == [("changed", {"changed": ["API_KEY"]})]


def test_what_is_refused_is_not_written_down(staff: Client, connection: Connection) -> None:
    staff.post(change_page(connection), form(name="crm", stored_options='{"DIALECT": "v9"}'))
    assert written() == []


def test_an_entry_outlives_its_connection(staff: Client, connection: Connection) -> None:
    delete = reverse("admin:mktg_integration_connection_delete", args=[connection.pk])
    staff.post(delete, {"post": "yes"})
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.connection, entry.connection_name) == ("disconnected", None, "crm")


def test_nobody_changes_or_removes_an_entry(staff: Client, connection: Connection) -> None:
    entry = record(Actor(None, "command"), AuditAction.PAUSED, connection=connection)
    page = reverse("admin:mktg_integration_auditentry_change", args=[entry.pk])
    assert 'name="_save"' not in staff.get(page).text
    assert staff.post(page, {}).status_code == 403
    assert staff.post(reverse("admin:mktg_integration_auditentry_delete", args=[entry.pk])).status_code == 403
    assert staff.get(reverse("admin:mktg_integration_auditentry_add")).status_code == 403


@pytest.fixture
def entries(connection: Connection) -> None:
    command, link = Actor(None, "command"), Actor(None, "link")
    record(command, AuditAction.PAUSED, connection=connection)
    record(link, AuditAction.UNSUBSCRIBED, subject="user:7")
    record(command, AuditAction.REPLAYED, connection=connection, rows=3)


def listed(client: Client, **query: Any) -> list[str]:
    page = client.get(LIST, query)
    assert page.status_code == 200
    return [entry.action for entry in page.context["cl"].result_list]


@pytest.mark.usefixtures("entries")
def test_the_newest_comes_first_and_each_can_be_found(staff: Client, connection: Connection) -> None:
    assert listed(staff) == ["replayed", "unsubscribed", "paused"]
    assert listed(staff, action="paused") == ["paused"]
    assert listed(staff, via="link") == ["unsubscribed"]
    assert listed(staff, connection__id__exact=connection.pk) == ["replayed", "paused"]
    assert listed(staff, q="user:7") == ["unsubscribed"]
    assert listed(staff, q="user") == []
    assert listed(staff, action="made up") == []


@pytest.mark.usefixtures("entries")
def test_the_list_tells_what_was_done_in_words(staff: Client) -> None:
    text = staff.get(LIST).text
    for told in ("replayed", "rows: 3", "user:7", "crm"):
        assert told in text, told


@pytest.mark.usefixtures("entries")
def test_a_filter_looks_no_further_than_the_newest(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "RECENT", 2)
    assert listed(staff, via="command") == ["replayed"]
    # A day and a person have an index.
    an_hour_ago = timezone.now() - timedelta(hours=1)
    assert listed(staff, at__gte=an_hour_ago.isoformat()) == [
        "replayed",
        "unsubscribed",
        "paused",
    ]
    with CaptureQueriesContext(database) as captured:
        listed(staff, via="command")
    told = [query["sql"] for query in captured if '"via" = ' in query["sql"] or "`via` = " in query["sql"]]
    assert told
    assert all("at" in sql.split("WHERE")[1].split("via")[0] for sql in told)
