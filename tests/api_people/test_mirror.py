"""What the services told, read-only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.api.mirror import MIRROR
from mktg_integration.models import (
    AccountSnapshot,
    Broadcast,
    BroadcastStats,
    Company,
    Connection,
    CustomField,
    EmailTemplate,
    Form,
    Purchase,
    PurchaseItem,
    Segment,
    Sequence,
    ServiceAccount,
    Tag,
    Webhook,
)
from mktg_integration.permissions import APP, VIEW_PERSONAL_DATA
from tests.api_people.conftest import API, Staff, contact_of, told

Site = Callable[..., Any]
SECRET = "grace@example.com"


@pytest.fixture
def kit(site: Site) -> Connection:
    connection: Connection = site("kit")["kit"]
    return connection


@pytest.fixture
def rows(kit: Connection) -> dict[str, Any]:
    """One of each, by its place in the address."""
    template = told(EmailTemplate, kit, name="Plain")
    broadcast = told(Broadcast, kit, subject="Hello", template=template)
    told(BroadcastStats, kit, broadcast=broadcast, recipients=7, open_rate=12.5)
    account = told(ServiceAccount, kit, name="Acme", email=SECRET)
    figures = dict.fromkeys(
        ("subscribers", "new_subscribers", "cancellations", "net_new_subscribers", "emails_sent", "emails_opened",
         "emails_clicked"), 1,
    )  # fmt: skip
    purchase = told(Purchase, kit, transaction_id="T-1", email=SECRET, email_key=SECRET, total=Decimal("9.99"))
    told(PurchaseItem, kit, "1:0", purchase=purchase, position=0, name="Book")
    return {
        "tags": told(Tag, kit, name="VIP", name_key="vip"),
        "custom-fields": told(CustomField, kit, field_key="plan", label="Plan"),
        "companies": told(Company, kit, name="Acme"),
        "forms": told(Form, kit, name="Newsletter"),
        "sequences": told(Sequence, kit, name="Welcome"),
        "segments": told(Segment, kit, name="Loyal"),
        "email-templates": template,
        "broadcasts": broadcast,
        "accounts": account,
        "account-snapshots": told(AccountSnapshot, kit, account=account, day=date(2026, 1, 1), days=90, **figures),
        "service-webhooks": told(Webhook, kit, event="subscriber.activate", target_url="https://example.org"),
        "purchases": purchase,
    }


def permission(row: Any) -> str:
    return f"{APP}.view_{row._meta.model_name}"


def test_each_is_listed_and_told_to_whoever_may_view_it(rows: dict[str, Any], staff: Staff, kit: Connection) -> None:
    assert set(rows) == {*MIRROR, "purchases"}
    for name, row in rows.items():
        client = staff(permission(row))
        (listed,) = client.get(f"{API}{name}/").json()["results"]
        assert (listed["id"], listed["connection"], listed["remote_id"]) == (row.pk, kit.pk, "1")
        assert client.get(f"{API}{name}/{row.pk}/").json() == listed
        assert SECRET not in str(listed)


def test_each_is_read_only_and_asks_for_its_own_permission(rows: dict[str, Any], staff: Staff) -> None:
    every = {permission(row) for row in rows.values()}
    for name, row in rows.items():
        client = staff(*(every - {permission(row)}))
        assert client.get(f"{API}{name}/").status_code == 403
        assert client.get(f"{API}{name}/{row.pk}/").status_code == 403
        client = staff(*every)
        for method in (client.put, client.patch, client.delete):
            assert method(f"{API}{name}/{row.pk}/").status_code == 405
        assert client.post(f"{API}{name}/").status_code == (403 if name == "purchases" else 405)


def test_filters_by_connection_name_and_what_is_gone(kit: Connection, staff: Staff) -> None:
    other = Connection.objects.create(name="other", provider="kit")
    told(Tag, kit, "1", name="VIP", name_key="vip")
    told(Tag, kit, "2", name="Old", name_key="old", deleted_at=timezone.now())
    told(Tag, other, "3", name="VIP", name_key="vip")
    client = staff(f"{APP}.view_tag")

    def found(**query: Any) -> list[str]:
        return [row["remote_id"] for row in client.get(f"{API}tags/", query).json()["results"]]

    assert found() == ["1", "3"]
    assert found(connection=kit.pk) == ["1"]
    assert found(connection=kit.pk, gone="true") == ["1", "2"]
    assert found(name="VIP") == ["1", "3"]
    assert client.get(f"{API}tags/", {"connection": "x"}).status_code == 400


def test_a_broadcast_has_its_figures(rows: dict[str, Any], staff: Staff, kit: Connection) -> None:
    told(Broadcast, kit, "2", subject="A draft")
    client = staff(f"{APP}.view_broadcast")
    first, second = client.get(f"{API}broadcasts/").json()["results"]
    assert (first["stats"]["recipients"], first["stats"]["open_rate"]) == (7, 12.5)
    assert first["template"] == rows["email-templates"].pk
    assert second["stats"] is None


def test_the_purchases_of_a_contact_are_found_without_its_address(
    rows: dict[str, Any], staff: Staff, kit: Connection
) -> None:
    told(Purchase, kit, "2", transaction_id="T-2", email="other@example.com", email_key="other@example.com")
    buyer = contact_of(kit, "8", email=SECRET)
    client = staff(f"{APP}.view_purchase", VIEW_PERSONAL_DATA)
    (bought,) = client.get(f"{API}purchases/", {"contact": buyer.pk}).json()["results"]
    assert (bought["transaction_id"], bought["email"], bought["total"]) == ("T-1", SECRET, "9.9900")
    assert [item["name"] for item in bought["items"]] == ["Book"]
    assert client.get(f"{API}purchases/", {"contact": "1:none"}).json()["results"] == []
