"""Whoever may connect accounts may enter credentials, and neither have them told nor have code run by them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mktg_integration.models import Connection
from tests.admin.conftest import SECRET
from tests.security.conftest import Browser

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
