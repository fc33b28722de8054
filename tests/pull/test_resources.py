"""What the account has, the site has: every resource, with its links, queried like any model."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import (
    AccountSnapshot,
    Broadcast,
    Connection,
    Contact,
    CustomField,
    EmailTemplate,
    Form,
    Purchase,
    Run,
    Segment,
    Sequence,
    ServiceAccount,
    Tag,
    Webhook,
)
from mktg_integration.pull.engine import pull
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import CREATED, UPDATED, Fill, Pull, people, subscriber, tag, tagging
from tests.push.conftest import declared

STATES = ("active", "inactive", "cancelled", "bounced", "complained")


@pytest.fixture
def account(fill: Fill) -> None:
    fill(
        subscribers=[subscriber(n, state=state, fields={"plan": "gold"}) for n, state in enumerate(STATES, start=1)],
        custom_fields=[{"id": 1, "label": "Plan", "key": "plan", "name": "ck_field_1_plan", "created_at": CREATED}],
        tags=[tag(1, "VIP"), tag(2, "Beta")],
        taggings=[tagging(1, 1), tagging(1, 3), tagging(2, 1)],
        forms=[
            {"id": 1, "name": "Sign up", "uid": "a", "created_at": CREATED},
            {"id": 2, "name": "Old", "uid": "b", "created_at": CREATED, "archived": True},
        ],
        form_members=[{"form_id": 2, "subscriber_id": 3, "added_at": UPDATED}],
        sequences=[{"id": 1, "name": "Welcome", "created_at": CREATED, "hold": True}],
        sequence_members=[{"sequence_id": 1, "subscriber_id": 2, "added_at": UPDATED}],
        segments=[{"id": 1, "name": "Readers", "created_at": CREATED}],
        broadcasts=[
            {"id": 1, "subject": "Draft", "email_template_id": 2, "created_at": CREATED},
            {"id": 2, "subject": "Sent", "email_template_id": 2, "created_at": CREATED, "send_at": UPDATED},
        ],
        purchases=[
            {
                "id": 7,
                "transaction_id": "796-92-4892",
                "status": "paid",
                "email_address": "Person1@Example.com",
                "currency": "USD",
                "transaction_time": UPDATED,
                "subtotal": 78.66,
                "discount": 5,
                "tax": 7.87,
                "total": 81.53,
                "products": [
                    {"quantity": 1, "lid": "l1", "unit_price": 23.22, "sku": None, "name": "Hourglass", "pid": "p1"},
                    {"quantity": 2, "lid": "l2", "unit_price": 32.22, "sku": "S", "name": "Princess", "pid": "p2"},
                ],
            }
        ],
        webhooks=[{"id": 1, "event": "tag_add", "parameter": 1, "target_url": "https://site.example/hook/secret"}],
    )


@pytest.mark.usefixtures("account")
def test_one_pull_reads_every_resource(read: Pull, mktg_sandbox: Sandbox) -> None:
    report = read()

    assert report.status == "done"
    assert mktg_sandbox.undocumented() == []
    assert {contact.status for contact in Contact.objects.all()} == {
        "active", "inactive", "unsubscribed", "bounced", "complained"
    }  # fmt: skip
    assert CustomField.objects.get().field_key == "plan"
    assert Form.objects.get(archived=True).members.get().remote_id == "3"
    assert Sequence.objects.get(hold=True).members.get().remote_id == "2"
    assert Segment.objects.get().name == "Readers"
    assert Broadcast.objects.get(subject="Sent").template == EmailTemplate.objects.get(is_default=True)
    assert set(Broadcast.objects.values_list("subject", "stats__status")) >= {("Draft", "draft")}
    assert Webhook.objects.get().target_url == "https://site.example"
    assert ServiceAccount.objects.get().name == "Sandbox"


@pytest.mark.usefixtures("account")
def test_money_is_decimal_with_its_currency(read: Pull) -> None:
    read("purchases")

    purchase = Purchase.objects.get(email_key="person1@example.com")
    assert (purchase.total, purchase.tax, purchase.currency) == (Decimal("81.53"), Decimal("7.87"), "USD")
    lines = purchase.items.order_by("position").values_list("product", "unit_price", "quantity")
    assert list(lines) == [("p1", Decimal("23.22"), 1), ("p2", Decimal("32.22"), 2)]


@pytest.mark.usefixtures("account")
def test_contacts_are_queried_by_what_they_have(read: Pull) -> None:
    read()

    assert [c.remote_id for c in Contact.objects.filter(tags__name="VIP", status="active")] == ["1"]
    assert [c.remote_id for c in Contact.objects.with_tag("vip").order_by("key")] == ["1", "3"]
    assert [c.remote_id for c in Contact.objects.active().with_tag("VIP")] == ["1"]
    assert [c.remote_id for c in Contact.objects.filter(forms__name="Old")] == ["3"]
    tagged_at = Contact.objects.get(remote_id="1").taggings.get(tag__name="VIP").tagged_at
    assert tagged_at is not None
    assert tagged_at.isoformat() == "2024-03-02T10:00:00+00:00"


def test_a_tag_that_was_taken_away_is_in_no_query(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(30), tags=[tag(1, "VIP")], taggings=[tagging(1, n) for n in range(1, 31)])
    read()
    fill(taggings=[tagging(1, n) for n in range(1, 30)])

    report = read("taggings", full=True)

    assert report.streams["taggings"]["removed"] == 1
    assert Contact.objects.filter(tags__name="VIP").count() == 29
    assert [c.remote_id for c in Contact.objects.exclude(tags__name="VIP")] == ["30"]
    assert not Contact.objects.get(remote_id="30").tags.exists()
    assert Tag.objects.get().contacts.count() == 29
    assert not Contact.objects.with_tag("VIP").filter(remote_id="30").exists()
    assert Contact.objects.get(remote_id="30").taggings.get().deleted_at is not None


def test_the_account_has_one_snapshot_a_day(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(3))
    read("account")
    fill(subscribers=people(5))
    read("account")

    assert AccountSnapshot.objects.get().subscribers == 5


def test_the_run_tells_what_happened(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(1500))
    read("contacts")
    fill(subscribers=[subscriber(1, first_name="Other"), *people(1600)[1:]])

    read("contacts", full=True)

    run = Run.objects.first()
    assert run is not None
    assert (run.status, run.kind) == ("done", "pull")
    assert {name: run.counts[name] for name in ("added", "changed", "unchanged", "removed", "rejected", "pages")} == {
        "added": 100, "changed": 1, "unchanged": 1499, "removed": 0, "rejected": 0, "pages": 2
    }  # fmt: skip


def test_a_key_reads_no_purchases(mktg_sandbox: Sandbox, fill: Fill, marketing: Callable[..., None], db: None) -> None:
    marketing(CONNECTIONS=declared(mktg_sandbox, "kit_by_key"))
    sync_declared()
    fill(subscribers=people(2))

    report = pull(Connection.objects.get().pk, patient=True)

    assert report.status == "done"
    assert "purchases" not in report.streams
    assert Contact.objects.count() == 2
