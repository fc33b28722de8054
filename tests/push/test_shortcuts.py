"""The public Python API, through to the services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils.functional import SimpleLazyObject

from mktg_integration import shortcuts
from mktg_integration.exceptions import ProfileError, UnsupportedError
from mktg_integration.models import Contact, DeadRow, ExplicitActs, Lane, Lead, OptOut, OutboxRow, SyncState
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, person, send

SignUp = Callable[..., Any]
SAID = {"who": "the person", "how": "newsletter form"}
NEW = "new@example.com"


def test_an_address_without_an_account_is_subscribed_as_a_lead(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connected = connect("kit")["kit"]

    shortcuts.subscribe(NEW, **SAID, first_name="Ann", tags=["News"])
    send(connected)

    row = person(mktg_sandbox, "kit", NEW)
    assert (row["first_name"], row["state"], row["tags"]) == ("Ann", "active", ["News"])
    assert Contact.objects.get().subject == f"lead:{Lead.objects.get().pk}"


def test_the_user_of_a_request_is_a_user(connect: Connect, sign_up: SignUp) -> None:
    connect("kit")
    user = sign_up("ada")

    shortcuts.subscribe(SimpleLazyObject(lambda: user), **SAID)

    assert not Lead.objects.exists()
    assert OutboxRow.objects.get().subject == f"user:{user.pk}"


def test_a_malformed_address_is_refused_at_once(connect: Connect) -> None:
    connect("kit")
    with pytest.raises(ProfileError, match="email"):
        shortcuts.subscribe("not an address", **SAID)
    assert not Lead.objects.exists()
    assert not OutboxRow.objects.exists()


NOBODY = [
    ("a\x00@example.com", "letters that no address"), ("a\ud800@example.com", "letters that no address"),
    ("", "empty"), (None, "not NoneType"), (4711, "not int"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "why"), NOBODY)
@pytest.mark.parametrize(
    "say",
    [
        lambda who: shortcuts.subscribe(who, **SAID),
        lambda who: shortcuts.unsubscribe(who, **SAID),
        lambda who: shortcuts.add_tag(who, "VIP"),
        shortcuts.sync_user,
        shortcuts.forget,
        shortcuts.preference_url,
    ],
    ids=["subscribe", "unsubscribe", "add_tag", "sync_user", "forget", "preference_url"],
)
def test_what_can_be_nobodys_address_is_refused_before_it_is_looked_up(
    say: Callable[[Any], None], given: Any, why: str, connect: Connect, sign_up: SignUp
) -> None:
    sign_up("ada", email="")
    connect("kit", PUBLIC_URL="https://example.com")
    with pytest.raises(ProfileError, match=why):
        say(given)
    assert not Lead.objects.exists()
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize("verified", [True, False])
def test_a_lead_who_signs_up_is_one_person_once_the_address_is_verified(
    verified: bool, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit", EMAIL_VERIFIED="tests.testapp.models.address_is_verified")["kit"]
    shortcuts.subscribe(NEW, **SAID)
    send(connected)

    user = sign_up("ann", email=NEW, plan="gold")
    user.preference.address_verified = verified
    user.preference.save()
    user.save()
    send(connected)

    owner = Contact.objects.get().subject
    if verified:
        assert owner == f"user:{user.pk}"
        assert Lead.objects.get().user == user
        assert person(mktg_sandbox, "kit", NEW)["fields"]["plan"] == "gold"
    else:
        assert owner == f"lead:{Lead.objects.get().pk}"
        assert DeadRow.objects.get().code == "duplicate_address"


def test_tags_beside_those_of_the_mapping(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("ada", groups=("VIP",))
    send(connected)

    shortcuts.add_tag(user, "Beta")
    send(connected)
    assert sorted(person(mktg_sandbox, "kit", user.email)["tags"]) == ["Beta", "VIP"]

    shortcuts.remove_tag(user, "Beta")
    shortcuts.remove_tag(user, "VIP")
    send(connected)
    assert person(mktg_sandbox, "kit", user.email)["tags"] == []

    user.save()
    assert send(connected).calls == 0


def test_a_tag_that_others_gave_is_taken_by_remove_tag_alone(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    world = mktg_sandbox.dump()
    now = "2026-01-01T00:00:00Z"
    world["kit"]["tags"] = [{"id": 1, "name": "VIP", "created_at": now}]
    world["kit"]["subscribers"] = [
        {"id": 1, "email_address": "ada@example.com", "first_name": "Ada", "state": "active", "created_at": now}
    ]
    world["kit"]["taggings"] = [{"tag_id": 1, "subscriber_id": 1, "tagged_at": now}]
    mktg_sandbox.load(world)
    connected = connect("kit")["kit"]
    user = sign_up("ada", groups=("VIP",))
    send(connected)

    user.groups.clear()
    send(connected)
    assert person(mktg_sandbox, "kit", user.email)["tags"] == ["VIP"]

    shortcuts.remove_tag(user, "VIP")
    send(connected)
    assert person(mktg_sandbox, "kit", user.email)["tags"] == []


def test_a_connection_that_cannot_is_an_error_only_when_it_is_named(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit", "convertloop")
    user = sign_up("ada")
    shortcuts.track(user, "Report exported")

    with pytest.raises(UnsupportedError, match="Kit cannot track"):
        shortcuts.track(user, "Report exported", connection="kit")
    with pytest.raises(UnsupportedError, match="there are: convertloop, kit"):
        shortcuts.add_tag(user, "VIP", connection="mailer")

    for connection in connected.values():
        send(connection)
    assert not DeadRow.objects.exists()


@pytest.mark.parametrize("service", ["conversion", "convertloop"])
def test_events_keep_their_order_and_are_never_coalesced(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect(service)[service]
    user = sign_up("ada")
    for number in range(3):
        shortcuts.track(
            user, f"Step {number}", {"number": number}, occurred_at=datetime(2026, 1, 1, number, tzinfo=UTC)
        )
    shortcuts.track(user, "Once", key="the-same")
    shortcuts.track(user, "Once", key="the-same")

    send(connected)

    world = mktg_sandbox.dump()[service]
    events = world["events"] if service == "conversion" else world["event_logs"]
    assert [event.get("name") or event.get("event") for event in events] == ["Step 0", "Step 1", "Step 2", "Once"]
    assert not OutboxRow.objects.exists()


def test_events_wait_behind_one_that_fails(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("convertloop")["convertloop"]
    user = sign_up("ada")
    send(connected)
    for number in range(3):
        shortcuts.track(user, f"Step {number}")
    mktg_sandbox.fail("convertloop", operation="POST /event_logs", status=500, nth=2)

    send(connected)
    assert [event["name"] for event in mktg_sandbox.dump()["convertloop"]["event_logs"]] == ["Step 0"]

    OutboxRow.objects.update(due_at="2026-01-01T00:00:00Z")
    send(connected)
    logged = [event["name"] for event in mktg_sandbox.dump()["convertloop"]["event_logs"]]
    assert logged == ["Step 0", "Step 1", "Step 2"]


def test_an_unsubscribe_goes_before_all_other_work(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    user = sign_up("ada")

    shortcuts.unsubscribe(user, **SAID)

    assert OutboxRow.objects.get().lane == Lane.URGENT


def test_forget_erases_and_a_later_signup_does_not_bring_the_person_back(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion")["conversion"]
    user = sign_up("ada")
    send(connected)

    shortcuts.forget(user)
    send(connected)

    assert emails(mktg_sandbox, "conversion") == []
    assert not Contact.objects.exists()
    assert not SyncState.objects.exists()
    assert "ada" not in str(list(OptOut.objects.values()))

    user.save()
    send(connected)
    assert emails(mktg_sandbox, "conversion") == []

    shortcuts.subscribe(user, **SAID)
    send(connected)
    assert emails(mktg_sandbox, "conversion") == [user.email]


@pytest.mark.parametrize("by", ["act", "mapping"])
def test_remove_tag_takes_a_tag_however_it_is_written(
    by: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("ada", groups=("VIP",) if by == "mapping" else ())
    if by == "act":
        shortcuts.add_tag(user, "VIP")
    send(connected)
    assert person(mktg_sandbox, "kit", "ada@example.com")["tags"] == ["VIP"]

    shortcuts.remove_tag(user, "vip")
    send(connected)
    assert person(mktg_sandbox, "kit", "ada@example.com")["tags"] == []

    shortcuts.add_tag(user, "Vip")
    send(connected)
    assert person(mktg_sandbox, "kit", "ada@example.com")["tags"] == ["VIP"]


def test_a_last_name_that_was_sent_is_taken_back(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("ada")
    send(connected)
    assert "last_name" not in person(mktg_sandbox, "kit", "ada@example.com")["fields"]
    for name in ("Lovelace", ""):
        user.last_name = name
        user.save()
        send(connected)
        assert (person(mktg_sandbox, "kit", "ada@example.com")["fields"]["last_name"] or "") == name
    user.save()
    assert send(connected).calls == 0


@pytest.mark.parametrize(
    ("stored", "given"), [("jo@bücher.de", "jo@xn--bcher-kva.de"), ("jo@xn--bcher-kva.de", "JO@Bücher.de")]
)
def test_a_user_is_found_however_the_domain_is_spelled(
    stored: str, given: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("kit")["kit"]
    user = sign_up("jo", email=stored)
    send(connected)

    shortcuts.unsubscribe(given, who="jo", how="mail")
    send(connected)

    assert not Lead.objects.exists()
    assert not DeadRow.objects.exists()
    assert ExplicitActs.objects.get().subject == f"user:{user.pk}"
    assert [row["state"] for row in mktg_sandbox.people("kit")] == ["cancelled"]
