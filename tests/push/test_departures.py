"""Who leaves, refuses or is forgotten: never skipped, never at somebody else's cost, and not all at once by mistake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration import shortcuts
from mktg_integration.models import Contact, DeadRow, ExplicitActs, Lead, OptOut, OutboxRow, SyncState
from mktg_integration.push import drain as drains
from mktg_integration.push import record
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, person, send
from tests.testapp import mappings

SignUp = Callable[..., Any]
SAID = {"who": "the person", "how": "profile page"}
OUT = {"kit": "cancelled", "conversion": "UNSUBSCRIBED"}


def state(sandbox: Sandbox, service: str, email: str = "ada@example.com") -> str:
    row = person(sandbox, service, email)
    return str(row.get("state") or row.get("status"))


def no_mapping(user: Any, preference: Any) -> Any:
    raise KeyError(user.pk)


@pytest.mark.parametrize("service", ["kit", "conversion"])
@pytest.mark.parametrize("mapping", ["turned None", "raises"])
def test_unsubscribe_is_carried_out_whatever_the_mapping_says(
    mapping: str,
    service: str,
    connect: Connect,
    sign_up: SignUp,
    mktg_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected = connect(service)[service]
    user = sign_up("ada")
    send(connected)
    if mapping == "raises":
        monkeypatch.setattr(mappings, "_consent", no_mapping)
    else:
        user.email = ""
        user.save()
        send(connected)

    shortcuts.unsubscribe(user, **SAID)
    send(connected)

    assert state(mktg_sandbox, service) == OUT[service]
    assert DeadRow.objects.filter(code="mapping_failed").exists() == (mapping == "raises")


@pytest.mark.parametrize("service", ["kit", "conversion"])
def test_unsubscribe_stops_the_mail_also_where_somebody_else_owns_the_contact(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect(service)[service]
    shortcuts.subscribe("ada@example.com", **SAID)
    send(connected)
    user = sign_up("ada")
    send(connected)

    shortcuts.unsubscribe(user, **SAID)
    send(connected)

    assert state(mktg_sandbox, service) == OUT[service]


def test_deleting_one_of_two_accounts_with_an_address_erases_nobody(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion", ON_USER_DELETE="forget")["conversion"]
    sign_up("ada")
    twin = sign_up("twin", email="ada@example.com")
    send(connected)

    twin.delete()
    send(connected)

    assert state(mktg_sandbox, "conversion") == "SUBSCRIBED"


def test_the_other_account_takes_the_contact_over_with_its_tags(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit")["kit"]
    owner = sign_up("ada", groups=("VIP",))
    twin = sign_up("twin", email="ada@example.com", groups=("Beta",))
    send(connected)

    owner.delete()
    send(connected)
    send(connected)

    assert person(mktg_sandbox, "kit", "ada@example.com")["tags"] == ["Beta"]
    assert Contact.objects.get().subject == SyncState.objects.get().subject == f"user:{twin.pk}"
    assert not DeadRow.objects.exists()


def test_a_deletion_that_forgets_leaves_a_keyed_hash(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("conversion", ON_USER_DELETE="forget")["conversion"]
    sign_up("ada")
    send(connected)
    sign_up_again = sign_up

    from django.contrib.auth import get_user_model

    get_user_model().objects.get().delete()
    send(connected)
    sign_up_again("ada")
    send(connected)

    assert OptOut.objects.get().kind == "forgotten"
    assert emails(mktg_sandbox, "conversion") == []


@pytest.mark.parametrize("policy", ["unsubscribe", "forget"])
def test_mass_deletions_wait_for_a_person_to_the_last_one(
    policy: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion", ON_USER_DELETE=policy, MASS_MINIMUM=3, MASS_SHARE=0.2, CLAIM_SIZE=8)["conversion"]
    users = [sign_up(f"user{number:02}") for number in range(20)]
    send(connected)

    for user in users[:10]:
        user.delete()
    send(connected)

    assert DeadRow.objects.filter(state="held").count() == 10
    assert {row["status"] for row in mktg_sandbox.people("conversion")} == {"SUBSCRIBED"}
    assert len(emails(mktg_sandbox, "conversion")) == 20


def test_who_is_deleted_right_after_a_kill_is_unsubscribed_all_the_same(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("ada")
    with monkeypatch.context() as killed:
        killed.setattr(record, "write_mirror", no_mapping)
        with pytest.raises(TypeError):
            drains.drain(connected.pk, foreground=True)
    assert not SyncState.objects.exists()

    user.delete()
    send(connected)

    assert state(mktg_sandbox, "kit") == "cancelled"


def test_an_opt_out_holds_for_a_new_address_too(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("kit", "convertloop")
    user = sign_up("ada", groups=("VIP",))
    for connection in connected.values():
        send(connection)
    shortcuts.unsubscribe(user, **SAID)
    for connection in connected.values():
        send(connection)

    user.email = "countess@example.com"
    user.save()
    for connection in connected.values():
        send(connection)
    ExplicitActs.objects.all().delete()
    user.groups.create(name="Beta")
    for connection in connected.values():
        send(connection)

    assert person(mktg_sandbox, "convertloop", "countess@example.com")["segments"] == []
    assert state(mktg_sandbox, "kit", "countess@example.com") == "cancelled"


@pytest.mark.parametrize("service", ["kit", "conversion", "convertloop"])
def test_nobody_takes_over_the_contact_of_another_by_an_address(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect(service)[service]
    ada, bob = sign_up("ada"), sign_up("bob")
    send(connected)

    ada.email = bob.email
    ada.save()
    send(connected)

    assert DeadRow.objects.get().code == "duplicate_address"
    assert Contact.objects.get(email_key="bob@example.com").subject == f"user:{bob.pk}"
    row = person(mktg_sandbox, service, "bob@example.com")
    assert "Bob" in str(row)


def test_a_lead_takes_consent_and_tags_along_into_the_account(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit", EMAIL_VERIFIED="tests.testapp.models.address_is_verified")["kit"]
    shortcuts.subscribe("ann@example.com", **SAID, tags=["News"])
    send(connected)
    user = sign_up("ann", email="ann@example.com", newsletter=None)
    user.preference.address_verified = True
    user.preference.save()
    user.save()
    send(connected)

    assert ExplicitActs.objects.get().subject == f"user:{user.pk}"
    assert SyncState.objects.get().sent["consent"] == "granted"
    assert person(mktg_sandbox, "kit", "ann@example.com")["tags"] == [], "the mapping alone says which tags"


def test_a_lead_goes_before_a_user_who_has_not_shown_the_address_to_be_theirs(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit")["kit"]
    shortcuts.subscribe("ann@example.com", **SAID)
    sign_up("ann", email="ann@example.com", newsletter=None)

    send(connected)

    assert state(mktg_sandbox, "kit", "ann@example.com") == "active"
    assert Contact.objects.get().subject == f"lead:{Lead.objects.get().pk}"


@pytest.mark.parametrize("service", ["kit", "convertloop"])
def test_the_site_keeps_nothing_of_who_has_to_be_erased_by_hand(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect(service)[service]
    user = sign_up("ada")
    send(connected)

    shortcuts.forget(user)
    send(connected)

    assert DeadRow.objects.get().state == "needs_person"
    assert not Contact.objects.exists()
    assert not SyncState.objects.exists()


def test_an_erasure_that_waits_does_not_outlive_a_new_subscription(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("ada")
    send(connected)
    shortcuts.forget(user)
    send(connected)

    shortcuts.subscribe(user, **SAID)

    assert not DeadRow.objects.exists()
    assert [row.kind for row in OutboxRow.objects.all()] == ["profile"]


def test_a_mapping_that_fails_now_and_then_stops_nobody_else(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("conversion")["conversion"]
    for number in range(60):
        sign_up(f"user{number:02}")
    mapped = mappings._consent
    monkeypatch.setattr(mappings, "_consent", lambda user, given: 1 / 0 if user.pk % 2 else mapped(user, given))

    report = drains.drain(connected.pk)

    assert (report.waiting, report.done, report.rejected) == ("", 30, 30)


def test_a_mapping_that_fails_for_everybody_keeps_every_row(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("conversion")["conversion"]
    for number in range(25):
        sign_up(f"user{number:02}")
    monkeypatch.setattr(mappings, "_consent", no_mapping)

    report = drains.drain(connected.pk)

    assert report.waiting == "rejections"
    assert OutboxRow.objects.count() == 25
    assert not DeadRow.objects.exists()


def test_a_prepare_that_raises_is_told_and_loses_nothing(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("conversion")["conversion"]
    sign_up("ada")
    monkeypatch.setattr(mappings.newsletter, "prepare", lambda users: 1 / 0)

    report = drains.drain(connected.pk)

    assert report.waiting == "configuration"
    assert "prepare() of PROFILE" in report.detail
    assert OutboxRow.objects.count() == 1
