"""Whom no push may subscribe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.mirror import optouts, writer
from mktg_integration.models import Connection, OptOut, OptOutKind
from mktg_integration.records import ContactRecord, ContactStatus

Told = Callable[..., ContactRecord]
HOUR = timedelta(hours=1)
ANN = "ann@example.com"


@pytest.fixture
def other(db: None) -> Connection:
    return Connection.objects.create(name="other", provider="conversion")


def kind_at(connection: Connection, address: str = ANN) -> str | None:
    found = optouts.optouts_for([address, "bob@example.com"], connection.pk)
    return found[address].kind if found else None


def unsubscribed(connection: Connection, as_of: Any, status: ContactStatus = ContactStatus.UNSUBSCRIBED) -> None:
    record = ContactRecord(remote_id="1", email=f" {ANN.upper()} ", status=status)
    optouts.record_optouts(connection, [record], as_of=as_of)


def test_an_unsubscribe_anywhere_stops_everywhere(kit: Connection, other: Connection) -> None:
    unsubscribed(kit, timezone.now())
    assert (kind_at(kit), kind_at(other)) == ("unsubscribed", "unsubscribed")
    assert OptOut.objects.get().source == "kit"


def test_or_only_there_where_the_site_says_so(kit: Connection, other: Connection, marketing: Any) -> None:
    marketing(UNSUBSCRIBE_SCOPE="connection")
    unsubscribed(kit, timezone.now())
    assert (kind_at(kit), kind_at(other)) == ("unsubscribed", None)


def test_only_a_keyed_hash_is_kept(kit: Connection) -> None:
    unsubscribed(kit, timezone.now())
    assert "example" not in str(OptOut.objects.values().get())


def test_only_opt_outs_are_recorded(kit: Connection) -> None:
    for status in (ContactStatus.ACTIVE, ContactStatus.INACTIVE, ContactStatus.UNREAD):
        unsubscribed(kit, timezone.now(), status)
    assert not OptOut.objects.exists()


def test_looking_up_is_one_statement(kit: Connection, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        optouts.optouts_for([f"person{n}@example.com" for n in range(1000)], kit.pk)
    with django_assert_num_queries(0):
        assert optouts.optouts_for(["", " "], kit.pk) == {}


def test_the_first_reason_is_kept_and_the_last_time(kit: Connection) -> None:
    now = timezone.now()
    unsubscribed(kit, now - HOUR, ContactStatus.BOUNCED)
    unsubscribed(kit, now, ContactStatus.UNSUBSCRIBED)
    unsubscribed(kit, now - 2 * HOUR, ContactStatus.COMPLAINED)
    found = OptOut.objects.get()
    assert (found.kind, found.at) == ("bounced", now)


def test_a_forgotten_address_stays_forgotten(kit: Connection) -> None:
    unsubscribed(kit, timezone.now() - HOUR)
    optouts.opt_out(ANN, kind=OptOutKind.FORGOTTEN)
    unsubscribed(kit, timezone.now(), ContactStatus.BOUNCED)
    assert kind_at(kit) == "forgotten"


# Lifting


def test_subscribe_lifts_every_opt_out(kit: Connection, other: Connection, marketing: Any) -> None:
    optouts.opt_out(ANN, kind=OptOutKind.UNSUBSCRIBED)
    optouts.opt_out(ANN, kind=OptOutKind.UNSUBSCRIBED, scope=kit.pk)
    optouts.lift(ANN.upper())
    assert (kind_at(kit), kind_at(other)) == (None, None)


def test_subscribe_at_one_connection_lifts_it_there_alone(kit: Connection, other: Connection) -> None:
    optouts.opt_out(ANN, kind=OptOutKind.UNSUBSCRIBED)
    optouts.lift(ANN, scope=kit.pk)
    assert (kind_at(kit), kind_at(other)) == (None, "unsubscribed")
    optouts.opt_out(ANN, kind=OptOutKind.UNSUBSCRIBED)
    assert kind_at(kit) == "unsubscribed", "said after it was lifted"


@pytest.mark.parametrize("known_before", [True, False])
def test_an_answer_from_before_the_subscribe_brings_nothing_back(kit: Connection, known_before: bool) -> None:
    asked = timezone.now()
    if known_before:
        unsubscribed(kit, asked - HOUR)
    optouts.lift(ANN)
    unsubscribed(kit, asked)
    assert kind_at(kit) is None


def test_an_unsubscribe_after_the_subscribe_counts(kit: Connection) -> None:
    unsubscribed(kit, timezone.now() - HOUR)
    optouts.lift(ANN)
    unsubscribed(kit, timezone.now() + HOUR, ContactStatus.COMPLAINED)
    assert kind_at(kit) == "complained"
    assert OptOut.objects.get().source == "kit"


def test_a_service_that_goes_on_saying_what_was_lifted_says_nothing_new(kit: Connection, told: Told) -> None:
    """Kit, for one, brings a cancelled subscriber back only through a form: until then it answers "cancelled"."""
    now = timezone.now()
    out = told(email=ANN, status=ContactStatus.UNSUBSCRIBED)
    writer.write(kit, [out], as_of=now - HOUR)
    optouts.lift(ANN)
    writer.write(kit, [out], as_of=now + HOUR, pushed=True)
    writer.write(kit, [told(email=ANN, status=ContactStatus.UNSUBSCRIBED, raw={"new": 1})], as_of=now + HOUR)
    assert kind_at(kit) is None
    writer.write(kit, [told(email=ANN)], as_of=now + 2 * HOUR)
    writer.write(kit, [out], as_of=now + 3 * HOUR)
    assert kind_at(kit) == "unsubscribed"
