"""The pages of what a pull brings beside contacts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mktg_integration.models import (
    AccountSnapshot,
    Broadcast,
    BroadcastStats,
    Connection,
    Contact,
    EmailTemplate,
    Form,
    FormMember,
    PullCheckpoint,
    Purchase,
    PurchaseItem,
    Segment,
    Sequence,
    ServiceAccount,
    Webhook,
)

MODELS = [
    AccountSnapshot, Broadcast, EmailTemplate, Form, PullCheckpoint, Purchase, Segment, Sequence, ServiceAccount,
    Webhook,
]  # fmt: skip


@pytest.fixture
def account(db: None) -> dict[type[Any], Any]:
    """One row of each."""
    kit = Connection.objects.create(name="kit", provider="kit")

    def common(remote_id: str) -> dict[str, Any]:
        return {"key": f"{kit.pk}:{remote_id}", "connection": kit, "remote_id": remote_id, "seen_at": timezone.now()}

    owner = ServiceAccount.objects.create(name="Sandbox", **common("1"))
    figures = dict.fromkeys(
        ["days", "subscribers", "new_subscribers", "cancellations", "net_new_subscribers", "emails_sent"], 12
    )
    broadcast = Broadcast.objects.create(subject="Hello", **common("1"))
    BroadcastStats.objects.create(broadcast=broadcast, recipients=4321, **common("1"))
    purchase = Purchase.objects.create(
        transaction_id="t-1", email="Ada@Example.com", email_key="ada@example.com", currency="USD",
        total=Decimal("81.53"), **common("1"),
    )  # fmt: skip
    PurchaseItem.objects.create(purchase=purchase, position=1, name="Hourglass", **common("1:1"))
    return {
        ServiceAccount: owner,
        AccountSnapshot: AccountSnapshot.objects.create(
            account=owner, day=timezone.now().date(), emails_opened=1, emails_clicked=1, **figures, **common("1:day")
        ),
        Broadcast: broadcast,
        Purchase: purchase,
        Form: Form.objects.create(name="Sign up", **common("1")),
        Sequence: Sequence.objects.create(name="Welcome", **common("1")),
        Segment: Segment.objects.create(name="Readers", **common("1")),
        EmailTemplate: EmailTemplate.objects.create(name="Classic", **common("1")),
        Webhook: Webhook.objects.create(event="tag_add", target_url="https://site.example", **common("1")),
        PullCheckpoint: PullCheckpoint.objects.create(
            key=f"{kit.pk}:contacts", connection=kit, stream="contacts", table="contact", missing=7
        ),
    }


@pytest.mark.parametrize("model", MODELS)
def test_each_table_can_be_looked_at_and_not_changed(
    model: type[Any], account: dict[type[Any], Any], admin_client: Client
) -> None:
    name = f"admin:mktg_integration_{model._meta.model_name}"
    row = account[model]
    page = reverse(f"{name}_change", args=[row.pk])

    assert admin_client.get(reverse(f"{name}_changelist")).status_code == 200
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"name": "Other"}).status_code == 403
    assert admin_client.get(reverse(f"{name}_add")).status_code == 403
    assert admin_client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def test_a_purchase_is_found_by_its_buyer_and_shows_its_lines(
    account: dict[type[Any], Any], admin_client: Client
) -> None:
    name = "admin:mktg_integration_purchase"
    assert b"t-1" in admin_client.get(reverse(f"{name}_changelist"), {"q": "ADA@example.com"}).content
    assert b"t-1" not in admin_client.get(reverse(f"{name}_changelist"), {"q": "ada"}).content
    assert b"Hourglass" in admin_client.get(reverse(f"{name}_change", args=[account[Purchase].pk])).content


def test_a_broadcast_shows_its_figures(account: dict[type[Any], Any], admin_client: Client) -> None:
    page = reverse("admin:mktg_integration_broadcast_change", args=[account[Broadcast].pk])
    assert b"4321" in admin_client.get(page).content


def test_a_form_leads_to_who_is_in_it(account: dict[type[Any], Any], admin_client: Client) -> None:
    form = account[Form]
    for number in (1, 2):
        key = f"{form.connection_id}:{number}"
        Contact.objects.create(
            key=key, connection=form.connection, remote_id=str(number), email=f"p{number}@example.com",
            email_key=f"p{number}@example.com", status="active", seen_at=timezone.now(),
        )  # fmt: skip
    FormMember.objects.create(
        key="1", connection=form.connection, remote_id="1:1", contact_id=f"{form.connection_id}:1", form=form,
        seen_at=timezone.now(),
    )  # fmt: skip

    listed = admin_client.get(reverse("admin:mktg_integration_form_changelist")).content.decode()
    query = listed.partition("contact/?")[2].partition('"')[0]
    page = admin_client.get(reverse("admin:mktg_integration_contact_changelist") + "?" + query).content

    assert b"p1@example.com" in page
    assert b"p2@example.com" not in page
