"""ConvertLoop: an event of somebody of whom there is something to tell carries it, so that one call does for two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration import shortcuts
from mktg_integration.models import Contact, DeadKind, DeadRow, Kind, OutboxRow, SyncState
from mktg_integration.push.reconcile import reconcile
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, person, send

SignUp = Callable[..., Any]


def requests(sandbox: Sandbox) -> list[str]:
    return [entry.operation or "" for entry in sandbox.log.entries("convertloop")]


def test_a_signup_with_an_event_is_one_call(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada", plan="gold", groups=("VIP",))
    shortcuts.track(ada, "signed up", {"page": "pricing"})

    report = send(loop)

    assert requests(mktg_sandbox) == ["POST /event_logs"]
    assert (report.done, report.calls) == (2, 1)
    world = mktg_sandbox.dump()["convertloop"]
    (known,) = world["people"]
    assert (known["email"], known["segments"], known["attributes"]["plan"]) == ("ada@example.com", ["VIP"], "gold")
    assert [(log["name"], log["person_id"]) for log in world["event_logs"]] == [("signed up", known["id"])]
    assert mktg_sandbox.undocumented() == []
    assert not OutboxRow.objects.exists()


def test_what_it_carried_counts_as_sent(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada", groups=("VIP",))
    shortcuts.track(ada, "signed up")
    send(loop)

    assert SyncState.objects.get().sent["tags"] == ["VIP"]
    assert Contact.objects.with_tag("VIP").count() == 1
    assert reconcile(loop).in_step == 1
    ada.save()
    assert send(loop).calls == 0


def test_only_the_first_of_several_carries(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada")
    for name in ("one", "two", "three"):
        shortcuts.track(ada, name)

    assert send(loop).calls == 3

    assert [log["name"] for log in mktg_sandbox.dump()["convertloop"]["event_logs"]] == ["one", "two", "three"]


def test_with_nothing_to_tell_it_carries_nothing(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada")
    send(loop)
    shortcuts.track(ada, "visited")
    assert send(loop).calls == 1


@pytest.mark.parametrize("status", [400, 503])
def test_an_event_that_fails_does_not_keep_the_person_back(
    status: int, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop")["convertloop"]
    sign_up("first")
    send(loop)
    mktg_sandbox.fail("convertloop", path="event_logs", status=status)
    ada = sign_up("ada")
    shortcuts.track(ada, "signed up")

    send(loop)
    send(loop)

    assert person(mktg_sandbox, "convertloop", "ada@example.com")["email"] == "ada@example.com"
    assert not OutboxRow.objects.filter(kind=Kind.PROFILE).exists()
    event = (OutboxRow if status == 503 else DeadRow).objects
    assert event.filter(kind=Kind.EVENT).count() == 1


def test_who_refuses_is_never_carried(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    """A refusal goes first and by itself."""
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada", groups=("VIP",))
    send(loop)
    ada.preference.newsletter = False
    ada.preference.save()
    ada.save()
    shortcuts.track(ada, "left")
    send(loop)
    assert requests(mktg_sandbox)[1:2] == ["POST /people"]
    assert person(mktg_sandbox, "convertloop", "ada@example.com")["segments"] == []


def test_an_explicit_subscribe_is_told_in_its_own_words(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    """Of ``resubscribe`` the document says nothing in an event."""
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada")
    send(loop)
    shortcuts.subscribe(ada, who="the person", how="form")
    shortcuts.track(ada, "came back")
    send(loop)
    assert requests(mktg_sandbox) == ["POST /people", "POST /people", "POST /event_logs"]


def test_other_services_are_told_apart(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    crm = connect("conversion")["conversion"]
    ada = sign_up("ada")
    shortcuts.track(ada, "signed up")
    send(crm)
    operations = [entry.operation for entry in mktg_sandbox.log.entries("conversion")]
    assert operations[-1] == "POST /v2/events"
    assert len(operations) > 1


def test_an_event_makes_nobody_who_refused(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    """Whom an event names is made there, to be mailed."""
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada", newsletter=False)
    shortcuts.track(ada, "ordered")

    send(loop)

    assert requests(mktg_sandbox) == []
    assert mktg_sandbox.people("convertloop") == []
    dead = DeadRow.objects.get()
    assert (dead.kind, dead.state, dead.code) == (Kind.EVENT, DeadKind.REJECTED, "may_not_be_mailed")


def test_who_refuses_later_is_known_there_and_has_events(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop")["convertloop"]
    ada = sign_up("ada")
    send(loop)
    shortcuts.unsubscribe(ada, who="the person", how="form")
    send(loop)
    shortcuts.track(ada, "ordered")
    send(loop)

    assert [log["name"] for log in mktg_sandbox.dump()["convertloop"]["event_logs"]] == ["ordered"]
