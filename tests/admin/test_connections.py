from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection, ConnectionState, Run, WaitReason
from tests.admin.conftest import SECRET

CHANGELIST = reverse("admin:mktg_integration_connection_changelist")
ADD = reverse("admin:mktg_integration_connection_add")


def change_page(connection: Connection) -> str:
    return reverse("admin:mktg_integration_connection_change", args=[connection.pk])


def form(**values: Any) -> dict[str, Any]:
    return {"push_enabled": "on", "stored_options": "{}", **values}


def act(client: Client, action: str, *connections: Connection) -> Any:
    data = {"action": action, "_selected_action": [connection.pk for connection in connections]}
    return client.post(CHANGELIST, data, follow=True)


def press(client: Client, connection: Connection, button: str) -> Any:
    """Press one of the buttons on the connection's page."""
    address = reverse("admin:mktg_integration_connection_act", args=[connection.pk])
    return client.post(address, {"act": button, "back": "page"}, follow=True)


def test_credentials_are_entered_once_and_never_shown(staff: Client, untried: None) -> None:
    page = staff.post(
        ADD,
        form(name="crm", provider="conversion", **{"credential-conversion-API_KEY": SECRET}, _continue="1"),
        follow=True,
    )
    assert Connection.objects.get(name="crm").credentials == {"API_KEY": SECRET}
    assert "API_KEY is set" in page.text
    assert SECRET not in page.text
    assert SECRET not in staff.get(CHANGELIST).text


def test_an_empty_field_keeps_what_is_stored(staff: Client, connection: Connection) -> None:
    staff.post(change_page(connection), form(name="renamed"))
    connection.refresh_from_db()
    assert connection.name == "renamed"
    assert connection.credentials == {"API_KEY": SECRET}


def test_a_new_credential_replaces_the_old_one(staff: Client, connection: Connection, untried: None) -> None:
    staff.post(change_page(connection), form(name="crm", **{"credential-conversion-API_KEY": "another"}))
    connection.refresh_from_db()
    assert connection.credentials == {"API_KEY": "another"}


def test_what_is_missing_is_named_and_nothing_is_stored(staff: Client) -> None:
    page = staff.post(ADD, form(name="crm", provider="conversion"))
    assert "API_KEY" in " ".join(page.context["errors"][0])
    assert not Connection.objects.exists()


def test_credentials_cannot_be_forgotten_without_new_ones(staff: Client, connection: Connection) -> None:
    page = staff.post(change_page(connection), form(name="crm", forget_credentials="on"))
    assert page.context["errors"]
    connection.refresh_from_db()
    assert connection.credentials == {"API_KEY": SECRET}


def test_an_unknown_option_is_refused_by_name(staff: Client, connection: Connection) -> None:
    page = staff.post(change_page(connection), form(name="crm", stored_options='{"DIALCET": "v1"}'))
    assert "DIALCET" in str(page.context["errors"])


def test_a_wrong_option_is_refused_by_name(staff: Client, connection: Connection) -> None:
    page = staff.post(change_page(connection), form(name="crm", stored_options='{"DIALECT": "v9"}'))
    assert "DIALECT" in str(page.context["errors"])


def test_options_that_are_no_object_are_refused(staff: Client, connection: Connection) -> None:
    page = staff.post(change_page(connection), form(name="crm", stored_options='["v1"]'))
    assert "JSON object" in str(page.context["errors"])


def test_a_connection_keeps_its_provider(staff: Client, connection: Connection) -> None:
    staff.post(change_page(connection), form(name="crm", provider="convertloop"))
    connection.refresh_from_db()
    assert connection.provider == "conversion"


def test_pages_open_with_a_wrong_encryption_key_and_say_what_to_do(
    staff: Client, connection: Connection, marketing: Any
) -> None:
    marketing(ENCRYPTION_KEYS=["cHJvYmFibHkgbm90IHRoZSBrZXkgeW91IHdhbnQhISE="])
    assert staff.get(CHANGELIST).status_code == 200
    assert "ENCRYPTION_KEYS" in staff.get(change_page(connection)).text


def test_a_declared_connection_is_changed_in_the_settings_alone(staff: Client, marketing: Any) -> None:
    marketing(CONNECTIONS={"mail": {"PROVIDER": "convertloop", "APP_ID": "app", "API_KEY": SECRET}})
    sync_declared()
    connection = Connection.objects.get(name="mail")
    page = staff.get(change_page(connection))
    assert "API_KEY is set" in page.text
    assert SECRET not in page.text
    assert "credential-convertloop" not in page.text
    assert staff.post(change_page(connection), {"name": "other"}).status_code == 403
    press(staff, connection, "pause")
    connection.refresh_from_db()
    assert (connection.name, connection.paused, connection.credentials) == ("mail", True, {})


@pytest.mark.parametrize(
    ("reason", "ends"),
    [(WaitReason.OUTAGE, True), (WaitReason.FORBIDDEN, True), (WaitReason.RATE, False), (WaitReason.COPY, False)],
)
def test_push_now_ends_a_wait_that_a_person_may_end(
    staff: Client, connection: Connection, tasks: list[Any], reason: WaitReason, ends: bool
) -> None:
    until = timezone.now() + timedelta(hours=1)
    ConnectionState.objects.update(wait_reason=reason, wait_until=until)
    act(staff, "push_now", connection)
    assert tasks == [("mktg_integration.tasks.push_run", (Run.objects.get().pk,))]
    assert (ConnectionState.objects.get().wait_until is None) == ends


def test_a_copy_of_the_database_writes_after_a_person_confirmed(
    staff: Client, connection: Connection, marketing: Any
) -> None:
    Connection.objects.update(bound_url="https://production.example")
    marketing(PUBLIC_URL="https://staging.example")
    act(staff, "confirm_site", connection)
    connection.refresh_from_db()
    assert connection.bound_url == "https://staging.example"


def test_who_may_only_look_can_do_nothing(connection: Connection, tasks: list[Any]) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_connection"))
    client = Client()
    client.force_login(user)
    page = client.get(change_page(connection))
    assert page.status_code == 200
    assert "credential-conversion" not in page.text
    answer = act(client, "push_now", connection)
    assert [str(message) for message in get_messages(answer.wsgi_request)] == []
    assert not tasks
    assert client.post(change_page(connection), form(name="mine")).status_code == 403


def test_health_says_why_a_connection_waits(staff: Client, connection: Connection) -> None:
    ConnectionState.objects.update(wait_reason=WaitReason.FORBIDDEN, wait_detail="the plan is full")
    for page in (CHANGELIST, change_page(connection)):
        text = staff.get(page).text
        assert "The service says that the account may not do this." in text
        assert "the plan is full" in text
