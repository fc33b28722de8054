"""What staff may have done with people, as admin and API ask for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.audit import Actor
from mktg_integration.exceptions import NotNowError, UnsupportedError
from mktg_integration.models import AuditEntry, Connection, ExplicitActs, Lane, Lead, OutboxRow, SyncState
from mktg_integration.operations import people
from mktg_integration.push import outbox
from tests.push.conftest import Connect

SignUp = Callable[..., Any]
COMMAND = Actor(None, "command")
AGREED = people.Evidence(how="a call", when=timezone.now() - timedelta(days=1))


@pytest.fixture
def kit(connect: Connect, tasks: Any) -> Connection:
    return connect("kit")["kit"]


def test_a_generator_is_read_by_the_page_and_becomes_a_backfill(
    kit: Connection, tasks: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    assert people.sync(COMMAND, (f"user:{number}" for number in range(1, 36))) == 35
    assert set(OutboxRow.objects.values_list("lane", flat=True)) == {Lane.BACKFILL}
    assert OutboxRow.objects.count() == 35
    entry = AuditEntry.objects.get()
    assert (entry.subject, entry.detail, entry.actor) == ("", {"people": 35}, None)


def test_one_person_goes_before_a_backfill(kit: Connection) -> None:
    people.sync(COMMAND, ["user:1"])
    assert OutboxRow.objects.get().lane == Lane.LIVE


def test_nobody_is_no_act(kit: Connection) -> None:
    assert people.sync(COMMAND, []) == people.tag(COMMAND, [], "VIP") == people.unsubscribe(COMMAND, []) == 0
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("subject", ["ada", "group:1", "user:", ""])
def test_what_is_no_person_is_refused(kit: Connection, subject: str) -> None:
    for act in (
        lambda: people.sync(COMMAND, [subject]),
        lambda: people.tag(COMMAND, [subject], "VIP"),
        lambda: people.unsubscribe(COMMAND, [subject]),
        lambda: people.subscribe(COMMAND, subject, AGREED),
        lambda: people.forget(COMMAND, subject),
    ):
        with pytest.raises(UnsupportedError, match="user:<id>"):
            act()
    assert not OutboxRow.objects.exists()


def test_who_is_gone_and_was_sent_without_an_address_is_nobody(kit: Connection) -> None:
    SyncState.objects.create(key=f"{kit.pk}:user:4711", connection=kit, subject="user:4711", sent={"first_name": "Ada"})
    with pytest.raises(NotNowError, match="user:4711"):
        people.forget(COMMAND, "user:4711")


def test_who_is_gone_is_neither_subscribed_nor_forgotten(kit: Connection) -> None:
    with pytest.raises(NotNowError, match="user:4711"):
        people.subscribe(COMMAND, "user:4711", AGREED)
    with pytest.raises(NotNowError, match="user:4711"):
        people.forget(COMMAND, "user:4711")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "evidence", [AGREED._replace(how=" "), AGREED._replace(when=timezone.now() + timedelta(days=1))]
)
def test_consent_needs_evidence(kit: Connection, sign_up: SignUp, evidence: people.Evidence) -> None:
    user = sign_up("ada")
    with pytest.raises(UnsupportedError):
        people.subscribe(COMMAND, f"user:{user.pk}", evidence)
    assert not ExplicitActs.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 256])
def test_a_tag_needs_a_name(kit: Connection, sign_up: SignUp, name: str) -> None:
    user = sign_up("ada")
    with pytest.raises(UnsupportedError, match="needs a name"):
        people.tag(COMMAND, [f"user:{user.pk}"], name)


def test_many_are_tagged_in_as_many_statements_as_one(kit: Connection, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(15):
        people.tag(COMMAND, [f"user:{number}" for number in range(1, 201)], "VIP")
    people.tag(COMMAND, ["user:1"], "Gold")
    people.untag(COMMAND, ["user:1"], "vip")
    assert ExplicitActs.objects.count() == 200
    assert ExplicitActs.objects.get(subject="user:1").tags == {"Gold": True, "vip": False}


def test_an_address_is_its_users_or_its_leads(kit: Connection, sign_up: SignUp) -> None:
    user = sign_up("ada")
    people.tag(COMMAND, ["ADA@example.com"], "VIP")
    assert ExplicitActs.objects.get().subject == f"user:{user.pk}"
    people.unsubscribe(COMMAND, ["new@example.com"])
    lead = Lead.objects.get()
    assert ExplicitActs.objects.get(subject=f"lead:{lead.pk}").consent == "refused"
    # No address in the audit.
    assert sorted(AuditEntry.objects.values_list("subject", flat=True)) == [f"lead:{lead.pk}", f"user:{user.pk}"]


def test_a_lead_that_signed_up_is_their_user(kit: Connection, sign_up: SignUp) -> None:
    user = sign_up("ada")
    lead = Lead.objects.create(email=user.email, email_key=user.email, user=user)
    people.subscribe(COMMAND, f"lead:{lead.pk}", AGREED)
    assert ExplicitActs.objects.get().subject == f"user:{user.pk}"
