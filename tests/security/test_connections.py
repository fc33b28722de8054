"""Whoever may connect accounts may enter credentials, and neither have them told nor have code run by them."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.signals import got_request_exception
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.views.debug import ExceptionReporter

from mktg_integration.models import Connection, Contact, OutboxRow
from tests.admin.conftest import SECRET
from tests.security.conftest import ADDRESS, Browser

API = "/marketing/api/v1/connections/"
ELSEWHERE = "https://collector.example.net"
MAY = ("connect_accounts", "add_connection", "change_connection")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """Where credentials were tried out: ``(address, credentials)``."""
    places: list[tuple[str, dict[str, str]]] = []

    def try_out(driver: Any, account: Any) -> None:
        places.append((account.base_url, dict(account.credentials)))

    monkeypatch.setattr("mktg_integration.admin.connection_form.try_out", try_out)
    monkeypatch.setattr("mktg_integration.api.connection_form.try_out", try_out)
    return places


def change(client: Client, connection: Connection, by: str, options: dict[str, Any], key: str = "") -> None:
    if by == "api":
        body: dict[str, Any] = {"options": options, **({"credentials": {"API_KEY": key}} if key else {})}
        client.patch(f"{API}{connection.pk}/", json.dumps(body), content_type="application/json")
        return
    form = {"name": connection.name, "push_enabled": "on", "stored_options": json.dumps(options)}
    form |= {f"credential-{connection.provider}-API_KEY": key} if key else {}
    client.post(reverse("admin:mktg_integration_connection_change", args=[connection.pk]), form)


@pytest.mark.parametrize("by", ["admin", "api"])
def test_stored_credentials_are_sent_to_no_other_address(
    staff: Client, connection: Connection, asked: list[Any], by: str
) -> None:
    """Not even by a superuser, who enters them again: else they would come out after all."""
    change(staff, connection, by, {"BASE_URL": ELSEWHERE})
    connection.refresh_from_db()
    assert connection.stored_options == {}
    assert asked == []
    change(staff, connection, by, {"BASE_URL": ELSEWHERE}, key="another")
    connection.refresh_from_db()
    assert connection.account().base_url == ELSEWHERE
    assert connection.account().credentials == {"API_KEY": "another"}
    assert SECRET not in str(asked)
    # Back to the service's own address there is nothing to be afraid of.
    change(staff, connection, by, {})
    connection.refresh_from_db()
    assert connection.stored_options == {}


RESERVED = [
    ("conversion", {"BASE_URL": ELSEWHERE}),
    ("conversion", {"BASE_URL": "http://127.0.0.1:9200"}),
    ("conversion", {"PROFILE": "os.system"}),
    ("convertloop", {"TRACKING_SCRIPT": f"{ELSEWHERE}/loop.min.js"}),
]


@pytest.mark.parametrize(("provider", "options"), RESERVED)
@pytest.mark.parametrize("by", ["admin", "api"])
def test_what_decides_where_requests_go_and_which_code_runs_is_a_superusers(
    viewer: Browser, connection: Connection, asked: list[Any], by: str, provider: str, options: dict[str, str]
) -> None:
    """A mapping is a function that is called, and a tracking script runs on the site's own pages."""
    known = {"API_KEY": SECRET} | ({"APP_ID": "1"} if provider == "convertloop" else {})
    Connection.objects.update(provider=provider, credentials=known)
    connection.refresh_from_db()
    change(viewer(*MAY), connection, by, options, key="another")
    connection.refresh_from_db()
    assert connection.stored_options == {}
    assert asked == []
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    change(root, connection, by, options, key="another")
    connection.refresh_from_db()
    assert connection.stored_options == options


@pytest.mark.parametrize("by", ["admin", "api"])
def test_nobody_makes_a_connection_to_an_address_of_their_own(
    viewer: Browser, asked: list[Any], tasks: Any, by: str
) -> None:
    options = {"BASE_URL": "http://169.254.169.254/latest"}
    client = viewer(*MAY)
    if by == "api":
        body = {"name": "mine", "provider": "conversion", "credentials": {"API_KEY": "k"}, "options": options}
        answer = client.post(API, json.dumps(body), content_type="application/json")
    else:
        form = {"name": "mine", "provider": "conversion", "push_enabled": "on", "credential-conversion-API_KEY": "k"}
        add = reverse("admin:mktg_integration_connection_add")
        answer = client.post(add, {**form, "stored_options": json.dumps(options)})
    assert "superuser" in answer.text
    assert not Connection.objects.exists()
    assert asked == []


@pytest.mark.parametrize("by", ["admin", "api"])
def test_what_the_settings_name_is_anybodys_choice(
    viewer: Browser, connection: Connection, marketing: Any, asked: list[Any], by: str
) -> None:
    mapping = "tests.testapp.mappings.newsletter"
    declared = {"PROVIDER": "conversion", "API_KEY": "k", "BASE_URL": ELSEWHERE, "PROFILE": mapping}
    marketing(CONNECTIONS={"other": declared})
    options = {"BASE_URL": f"{ELSEWHERE}/", "PROFILE": mapping}
    change(viewer(*MAY), connection, by, options)
    connection.refresh_from_db()
    assert connection.stored_options == options
    change(viewer(*MAY), connection, by, {**options, "UNKNOWN_CONSENT": "skip"})
    connection.refresh_from_db()
    assert connection.stored_options["UNKNOWN_CONSENT"] == "skip"


def test_credentials_come_out_nowhere(staff: Client, connection: Connection) -> None:
    change_page = reverse("admin:mktg_integration_connection_change", args=[connection.pk])
    pages = [
        change_page,
        reverse("admin:mktg_integration_connection_history", args=[connection.pk]),
        reverse("admin:mktg_integration_connection_changelist"),
        reverse("admin:mktg_integration_connection_mapping", args=[connection.pk]),
        API,
        f"{API}{connection.pk}/",
        "/marketing/api/v1/status/",
    ]
    for page in pages:
        for kind in ("text/html", "application/json"):
            assert SECRET not in staff.get(page, headers={"Accept": kind}).text, page
    # Nor do those that were just typed, where something else was wrong.
    form = {"name": "not a name!", "stored_options": "{", "credential-conversion-API_KEY": "typed-just-now"}
    assert "typed-just-now" not in staff.post(change_page, form).text
    body = {
        "name": "not a name!",
        "provider": "conversion",
        "credentials": {"API_KEY": "typed-just-now", "X": "typed-just-now"},
    }
    for kind in ("text/html", "application/json"):
        answer = staff.post(API, json.dumps(body), content_type="application/json", headers={"Accept": kind})
        assert answer.status_code == 400
        assert "typed-just-now" not in answer.text


def test_a_connection_in_use_is_not_deleted_from_its_page(viewer: Browser, ada: Contact, tasks: Any) -> None:
    """Django would read all of its people to list them, by keys that hold their addresses."""
    connection = ada.connection
    client = viewer("connect_accounts", "delete_connection")
    delete = reverse("admin:mktg_integration_connection_delete", args=[connection.pk])
    with CaptureQueriesContext(database) as asked:
        page = client.get(delete)
    assert ADDRESS not in page.text
    assert "in use" in page.text
    reads = [one["sql"] for one in asked if 'FROM "mktg_integration_contact"' in one["sql"].replace("`", '"')]
    assert all("LIMIT 1" in sql for sql in reads)
    client.post(delete, {"post": "yes"})
    data = {"action": "delete_selected", "_selected_action": [connection.pk], "post": "yes"}
    client.post(reverse("admin:mktg_integration_connection_changelist"), data)
    assert Connection.objects.filter(pk=connection.pk).exists()
    ada.delete()
    OutboxRow.objects.all().delete()
    assert client.post(delete, {"post": "yes"}).status_code == 302
    assert not Connection.objects.exists()


def test_what_was_typed_is_blanked_in_reports_of_errors(
    staff: Client, connection: Connection, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django mails the fields of a form to ADMINS with whatever went wrong."""

    def fail(*args: Any, **options: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("mktg_integration.admin.connections.record", fail)
    reports = []

    def report(sender: Any, request: Any, **more: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        reports.append(reporter.get_traceback_text() + reporter.get_traceback_html())

    got_request_exception.connect(report)
    staff.raise_request_exception = False
    try:
        change(staff, connection, "admin", {}, key="typed-just-now")
        # By the API too, whose variables are in the report.
        monkeypatch.setattr("mktg_integration.api.connections.record", fail)
        change(staff, connection, "api", {}, key="typed-just-now")
    finally:
        got_request_exception.disconnect(report)
    assert len(reports) == 2
    assert [report for report in reports if "typed-just-now" in report] == []
