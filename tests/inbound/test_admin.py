"""What staff see of the inbox, and how they connect, register and disconnect."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from mktg_integration.models import Connection, InboxRow, WebhookSubscription
from tests.inbound.conftest import TASKS, WHSEC, Mailbox, subscriber

INBOX = reverse("admin:mktg_integration_inboxrow_changelist")
CONNECTIONS = reverse("admin:mktg_integration_connection_changelist")
ACTIVATE = "subscriber.subscriber_activate"


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def row_page(row: InboxRow) -> str:
    return reverse("admin:mktg_integration_inboxrow_change", args=[row.pk])


def act(client: Client, page: str, action: str, *chosen: Any) -> Any:
    return client.post(page, {"action": action, "_selected_action": [one.pk for one in chosen]}, follow=True)


def test_what_was_not_understood_is_shown_with_its_reason(mailbox: Mailbox, staff: Client) -> None:
    mailbox.tell(ACTIVATE, {"subscriber": {"id": "<b>"}})
    mailbox.apply()
    row = InboxRow.objects.get()

    assert "not understood" in staff.get(INBOX).text
    page = staff.get(row_page(row)).text
    assert "not as documented" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page.partition('id="inboxrow_form"')[2]


@pytest.mark.parametrize("body", [b"no json", b"\xff\xfe\x00", b"[" * 50_000, b" "])
def test_whatever_came_can_be_looked_at(mailbox: Mailbox, staff: Client, body: bytes) -> None:
    mailbox.post(mailbox.url(ACTIVATE), body)
    assert staff.get(row_page(InboxRow.objects.get())).status_code == 200


def test_a_wrong_key_breaks_no_page(mailbox: Mailbox, staff: Client, marketing: Any) -> None:
    mailbox.tell(ACTIVATE, {"subscriber": subscriber()})
    row = InboxRow.objects.get()
    marketing(ENCRYPTION_KEYS=["pQ2ArzfZ8A6l5n8XA4Yq7S1uC3m4V6v0k9J2n5r8s1Y="])
    assert staff.get(INBOX).status_code == 200
    assert "cannot be read" in staff.get(row_page(row)).text


def test_it_is_applied_again_at_a_press(mailbox: Mailbox, staff: Client) -> None:
    mailbox.tell(ACTIVATE, {})
    mailbox.apply()
    TASKS.clear()
    page = act(staff, INBOX, "apply_again", InboxRow.objects.get())
    assert "1 delivery is being applied" in page.text
    assert InboxRow.objects.get().state == "pending"
    assert [("mktg_integration.tasks.apply_inbox", (mailbox.connection.pk,))] == TASKS


def test_secrets_of_webhooks_are_never_shown(mailbox: Mailbox, staff: Client) -> None:
    row = WebhookSubscription.objects.get()
    pages = [
        reverse("admin:mktg_integration_webhooksubscription_changelist"),
        reverse("admin:mktg_integration_webhooksubscription_change", args=[row.pk]),
        reverse("admin:mktg_integration_connection_change", args=[mailbox.connection.pk]),
    ]
    secret = mailbox.token.partition("-")[2]
    for page in pages:
        text = staff.get(page).text
        assert WHSEC not in text
        assert secret not in text


@pytest.mark.parametrize(
    "action",
    ["register_webhooks", "remove_webhooks"],
)
def test_actions_ask_for_a_task_and_call_no_service(connection: Connection, staff: Client, action: str) -> None:
    TASKS.clear()
    act(staff, CONNECTIONS, action, connection)
    assert [(f"mktg_integration.tasks.{action}", (connection.pk,))] == TASKS


@pytest.mark.parametrize("action", ["register_webhooks", "remove_webhooks"])
def test_who_may_only_look_does_nothing(connection: Connection, action: str) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_connection"))
    client = Client()
    client.force_login(user)
    TASKS.clear()
    act(client, CONNECTIONS, action, connection)
    assert TASKS == []
