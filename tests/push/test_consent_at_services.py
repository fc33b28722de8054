"""Consent end to end, over HTTP: what was said first, what happened at the service, what is wanted now.

In no combination does anybody who unsubscribed, bounced or complained come back without ``subscribe()``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.models import Connection, ConnectionState, Contact, DeadRow, OutboxRow, SyncState
from mktg_integration.push.replay import replay
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, person, send

SERVICES = ("kit", "kit_by_key", "conversion", "convertloop")
# ConvertLoop's people only unsubscribe.
OPT_OUTS = [(name, what) for name in SERVICES[:3] for what in ("unsubscribe", "bounce", "complain")]
OPT_OUTS.append(("convertloop", "unsubscribe"))
CONSENTS = {"granted": True, "refused": False, "unknown": None}
ADA = "ada@example.com"

SignUp = Callable[..., Any]


def service_of(connection: str) -> str:
    return "kit" if connection.startswith("kit") else connection


def status(sandbox: Sandbox, service: str) -> str:
    """The sandbox's own word for Ada's state."""
    row = person(sandbox, service, ADA)
    return str(row.get("state") or row.get("status") or ("subscribed" if row.get("subscribed", True) else "out"))


def want(user: Any, newsletter: bool | None) -> None:
    user.preference.newsletter = newsletter
    user.preference.asked_at = timezone.now()
    user.preference.plan = "gold"
    user.preference.save()
    user.save()


@pytest.mark.parametrize(("connection", "happening"), OPT_OUTS)
@pytest.mark.parametrize(("first", "then"), list(product(CONSENTS, CONSENTS)))
def test_who_opted_out_at_the_service_does_not_come_back(
    first: str, happening: str, then: str, connection: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect(connection)[connection]
    service = service_of(connection)
    user = sign_up("ada", newsletter=CONSENTS[first], groups=("VIP",))
    send(connected)
    if ADA not in emails(mktg_sandbox, service):
        assert first == "refused"
        return
    mktg_sandbox.happens(service, happening, ADA)
    before = status(mktg_sandbox, service)

    want(user, CONSENTS[then])
    send(connected)

    # Who bounced and then refuses at the site is unsubscribed as well.
    assert status(mktg_sandbox, service) in {before, *(("cancelled", "UNSUBSCRIBED") if then == "refused" else ())}
    assert mktg_sandbox.resubscribed(service) == 0


@pytest.mark.parametrize(("connection", "happening"), OPT_OUTS)
def test_who_had_opted_out_before_the_site_knew_the_service_does_not_come_back(
    happening: str, connection: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    """The account is older than the connection: it is read, or asked, before the first write."""
    service = service_of(connection)
    connected = connect(connection)[connection]
    user = sign_up("ada")
    send(connected)
    mktg_sandbox.happens(service, happening, ADA)
    before = status(mktg_sandbox, service)
    for table in (Contact, SyncState, ConnectionState, Connection):
        table.objects.all().delete()

    connected = connect(connection)[connection]
    user.save()
    send(connected)

    assert status(mktg_sandbox, service) == before
    assert mktg_sandbox.resubscribed(service) == 0


def test_subscribe_brings_back_once_where_the_service_can(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    for service in ("conversion", "convertloop"):
        connected = connect(service)[service]
        user = sign_up(f"ada-{service}", email=f"ada-{service}@example.com")
        send(connected)
        mktg_sandbox.happens(service, "unsubscribe", f"ada-{service}@example.com")

        shortcuts.subscribe(user, who="the person", how="profile page")
        send(connected)
        assert mktg_sandbox.resubscribed(service) == 1

        mktg_sandbox.happens(service, "unsubscribe", f"ada-{service}@example.com")
        want(user, True)
        send(connected)
        assert mktg_sandbox.resubscribed(service) == 1


def test_kit_cannot_bring_back_and_says_so(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("ada", plan="silver")
    send(connected)
    mktg_sandbox.happens("kit", "unsubscribe", ADA)
    want(user, True)
    send(connected)

    shortcuts.subscribe(user, who="the person", how="profile page")
    report = send(connected)

    assert report.waiting == ""
    assert mktg_sandbox.resubscribed("kit") == 0
    assert "form" in SyncState.objects.get().note


@pytest.mark.parametrize("connection", ["kit", "kit_by_key", "conversion"])
def test_unsubscribe_stops_the_mail(connection: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect(connection)[connection]
    user = sign_up("ada")
    send(connected)

    shortcuts.unsubscribe(user, who="the person", how="profile page")
    send(connected)

    assert status(mktg_sandbox, service_of(connection)) in ("cancelled", "UNSUBSCRIBED")


def test_where_no_way_to_unsubscribe_is_documented_a_person_is_asked(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("convertloop")["convertloop"]
    user = sign_up("ada", groups=("VIP",))
    send(connected)

    shortcuts.unsubscribe(user, who="the person", how="profile page")
    send(connected)

    assert DeadRow.objects.get().state == "needs_person"
    assert not person(mktg_sandbox, "convertloop", ADA)["segments"]
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize(("policy", "expected"), [("inactive", "inactive"), ("granted", "active"), ("skip", None)])
def test_who_never_said_a_word(
    policy: str, expected: str | None, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit", UNKNOWN_CONSENT=policy)["kit"]
    sign_up("ada", newsletter=None)

    send(connected)

    rows = mktg_sandbox.people("kit")
    assert [row["state"] for row in rows] == ([expected] if expected else [])


def test_an_unsubscribe_anywhere_stops_everywhere(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connections = connect("kit", "conversion")
    user = sign_up("ada", plan="silver")
    for connected in connections.values():
        send(connected)
    mktg_sandbox.happens("kit", "unsubscribe", ADA)

    want(user, True)
    send(connections["kit"])  # Kit's answer tells of it
    want(user, True)
    send(connections["conversion"])

    assert status(mktg_sandbox, "conversion") == "UNSUBSCRIBED"


@pytest.mark.parametrize("policy", ["unsubscribe", "keep", "forget"])
def test_a_deleted_user(
    policy: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, marketing: Callable[..., None]
) -> None:
    connected = connect("conversion", ON_USER_DELETE=policy)["conversion"]
    user = sign_up("ada")
    send(connected)

    user.delete()
    send(connected)

    expected = {"unsubscribe": ["UNSUBSCRIBED"], "keep": ["SUBSCRIBED"], "forget": []}[policy]
    assert [row["status"] for row in mktg_sandbox.people("conversion")] == expected


def test_a_deleted_user_whose_address_somebody_else_has_is_not_unsubscribed(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion")["conversion"]
    first = sign_up("ada")
    send(connected)
    sign_up("ada2", email=ADA)
    send(connected)
    assert DeadRow.objects.get().code == "duplicate_address"

    first.delete()
    send(connected)

    assert status(mktg_sandbox, "conversion") == "SUBSCRIBED"


def test_who_leaves_while_a_connection_is_off_is_unsubscribed_when_it_is_on_again(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit")["kit"]
    gone, asked = sign_up("gone"), sign_up("asked")
    send(connected)
    Connection.objects.update(push_enabled=False)

    gone.delete()
    shortcuts.forget(asked)
    assert send(connected).waiting == "off"

    Connection.objects.update(push_enabled=True)
    send(connected)
    assert {row["state"] for row in mktg_sandbox.people("kit")} == {"cancelled"}


def test_after_a_lost_answer_an_account_declared_empty_is_not_taken_for_empty(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion", options={"EXISTING_CONTACTS": False})["conversion"]
    sign_up("ada")
    mktg_sandbox.fail("conversion", "drop", nth=1, after_work=True)
    send(connected)
    assert status(mktg_sandbox, "conversion") == "SUBSCRIBED"

    mktg_sandbox.happens("conversion", "unsubscribe", ADA)
    send(connected)

    assert status(mktg_sandbox, "conversion") == "UNSUBSCRIBED"
    assert mktg_sandbox.resubscribed("conversion") == 0


def test_an_unsubscribe_that_waits_for_a_person_waits_through_later_saves(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("convertloop")["convertloop"]
    user = sign_up("ada")
    send(connected)
    shortcuts.unsubscribe(user, who="the person", how="profile page")
    send(connected)
    assert DeadRow.objects.get().code == "unsubscribe_by_hand"

    user.preference.plan = "iron"
    user.preference.save()
    user.save()
    send(connected)
    assert DeadRow.objects.get().code == "unsubscribe_by_hand"

    shortcuts.subscribe(user, who="the person", how="profile page")
    send(connected)
    assert not DeadRow.objects.exists()


def test_a_refusal_that_a_person_was_asked_to_carry_out_is_not_asked_for_with_every_save(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("convertloop", MASS_MINIMUM=1, MASS_SHARE=0.5)["convertloop"]
    user = sign_up("ada", groups=("VIP",))
    for name in ("ben", "cy", "dee"):
        sign_up(name)
    send(connected)
    want(user, False)
    send(connected)
    assert DeadRow.objects.get().code == "unsubscribe_by_hand"
    assert SyncState.objects.get(subject=f"user:{user.pk}").sent["consent"] == "refused"

    replay(DeadRow.objects.all())
    send(connected)
    assert DeadRow.objects.get().code == "unsubscribe_by_hand"

    DeadRow.objects.all().delete()
    user.preference.plan = "iron"
    user.preference.save()
    user.save()
    send(connected)

    assert not DeadRow.objects.exists()
    row = next(row for row in mktg_sandbox.people("convertloop") if row["email"] == ADA)
    assert (row["attributes"]["plan"], row["segments"]) == ("iron", [])
