"""Forms and sequences: consent that a form has confirmed, and nobody on either who did not ask for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration import shortcuts
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import DeadRow, ExplicitActs, Form, OutboxRow, SequenceMember, SyncState
from mktg_integration.providers.kit import steps
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, person, send

SignUp = Callable[..., Any]
SAID: dict[str, Any] = {"who": "the person", "how": "newsletter form"}
NEW = "new@example.com"
NOW = "2026-01-01T00:00:00Z"
ADD_TO_FORM = "POST /v4/forms/{form_id}/subscribers/{id}"
ADD_TO_SEQUENCE = "POST /v4/sequences/{sequence_id}/subscribers/{id}"


@pytest.fixture
def account(mktg_sandbox: Sandbox) -> Sandbox:
    """Kit with a form that asks for confirmation, and a sequence."""
    world = mktg_sandbox.dump()
    world["kit"]["forms"] = [{"id": 5, "name": "Newsletter", "created_at": NOW, "type": "embed", "uid": "u5"}]
    world["kit"]["sequences"] = [{"id": 8, "name": "Welcome", "created_at": NOW, "hold": False, "repeat": False}]
    mktg_sandbox.load(world)
    return mktg_sandbox


def on_form(sandbox: Sandbox) -> list[int]:
    return [row["subscriber_id"] for row in sandbox.dump()["kit"]["form_members"]]


def in_sequence(sandbox: Sandbox) -> list[int]:
    return [row["subscriber_id"] for row in sandbox.dump()["kit"]["sequence_members"]]


def asked(sandbox: Sandbox, operation: str) -> int:
    return sum(entry.operation == operation for entry in sandbox.log.entries("kit"))


@pytest.mark.parametrize("form", [5, "newsletter "])
@pytest.mark.parametrize("name", ["kit", "kit_by_key"])
def test_subscribing_by_a_form_waits_for_its_confirmation(
    name: str, form: str | int, connect: Connect, account: Sandbox
) -> None:
    connection = connect(name)[name]

    shortcuts.subscribe(NEW, **SAID, form=form, first_name="Ann")
    send(connection)

    assert person(account, "kit", NEW)["state"] == "inactive"
    assert len(on_form(account)) == 1
    assert SyncState.objects.get().note == steps.AWAITS_CONFIRMATION
    assert not OutboxRow.objects.exists()


def test_a_form_is_joined_once_for_each_subscribe(connect: Connect, account: Sandbox, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada", newsletter=None)
    shortcuts.subscribe(user, **SAID, form=5)
    send(connection)
    user.first_name = "Grace"
    user.save()
    send(connection)

    assert asked(account, ADD_TO_FORM) == 1
    assert person(account, "kit", user.email)["first_name"] == "Grace"

    shortcuts.subscribe(user, **SAID, form=5)
    send(connection)
    assert asked(account, ADD_TO_FORM) == 2


def test_the_option_form_is_for_subscribe_alone(connect: Connect, account: Sandbox, sign_up: SignUp) -> None:
    connection = connect("kit", options={"FORM": "Newsletter"})["kit"]
    user = sign_up("ada")
    send(connection)
    assert person(account, "kit", user.email)["state"] == "active"
    assert asked(account, ADD_TO_FORM) == 0

    shortcuts.subscribe(NEW, **SAID)
    send(connection)
    assert person(account, "kit", NEW)["state"] == "inactive"
    assert Form.objects.get().name == "Newsletter"


def test_who_cancelled_comes_back_by_a_form_and_its_confirmation_alone(
    connect: Connect, account: Sandbox, sign_up: SignUp
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    send(connection)
    shortcuts.unsubscribe(user, **SAID)
    send(connection)
    assert person(account, "kit", user.email)["state"] == "cancelled"

    shortcuts.subscribe(user, **SAID)
    send(connection)
    assert person(account, "kit", user.email)["state"] == "cancelled"
    assert SyncState.objects.get().note == steps.CANNOT_RESUBSCRIBE

    shortcuts.subscribe(user, **SAID, form="Newsletter")
    send(connection)
    assert person(account, "kit", user.email)["state"] == "inactive"
    assert SyncState.objects.get().note == steps.AWAITS_CONFIRMATION


@pytest.mark.parametrize("form", [99, "Newslettre"])
def test_a_form_that_is_not_there_is_named(form: str | int, connect: Connect, account: Sandbox) -> None:
    connection = connect("kit")["kit"]
    shortcuts.subscribe(NEW, **SAID, form=form)
    send(connection)

    dead = DeadRow.objects.get()
    assert dead.code == "no_such_form"
    assert str(form) in dead.reason
    assert person(account, "kit", NEW)["state"] == "inactive"


def test_a_form_is_for_the_connections_that_have_forms(connect: Connect, account: Sandbox, sign_up: SignUp) -> None:
    connected = connect("kit", "conversion")
    user = sign_up("ada", newsletter=None)
    shortcuts.subscribe(user, **SAID, form=5)
    for connection in connected.values():
        send(connection)

    assert ExplicitActs.objects.get().scope == str(connected["kit"].pk)
    with pytest.raises(UnsupportedError, match="Conversion cannot subscribe by a form"):
        shortcuts.subscribe(user, **SAID, form=5, connection="conversion")


@pytest.mark.parametrize("sequence", [8, "WELCOME"])
def test_a_person_enters_a_sequence_once(
    sequence: str | int, connect: Connect, account: Sandbox, sign_up: SignUp
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    shortcuts.add_to_sequence(user, sequence)
    send(connection)
    user.save()
    send(connection)

    assert len(in_sequence(account)) == 1
    assert asked(account, ADD_TO_SEQUENCE) == 1
    member = SequenceMember.objects.get()
    assert member.contact.user == user
    assert not OutboxRow.objects.exists()


def test_nobody_enters_a_sequence_without_consent(connect: Connect, account: Sandbox, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    unknown = sign_up("ada", newsletter=None)
    refused = sign_up("bob", newsletter=False)
    cancelled = sign_up("cyd")
    send(connection)
    account.happens("kit", "unsubscribe", cancelled.email)
    shortcuts.unsubscribe(cancelled, **SAID)
    for user in (unknown, refused, cancelled):
        shortcuts.add_to_sequence(user, 8)
    send(connection)

    assert in_sequence(account) == []
    assert set(emails(account, "kit")) == {unknown.email, cancelled.email}
    told = {row.code: row.subject for row in DeadRow.objects.all()}
    assert set(told) == {"may_not_be_mailed"}


def test_a_sequence_that_is_not_there_is_named(connect: Connect, account: Sandbox, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    shortcuts.add_to_sequence(user, "Wellcome")
    shortcuts.add_to_sequence(user, 99)
    send(connection)

    assert {row.code for row in DeadRow.objects.all()} == {"no_such_sequence"}
    assert DeadRow.objects.count() == 2


def test_what_has_no_sequences_says_so(connect: Connect, sign_up: SignUp) -> None:
    connect("convertloop")
    user = sign_up("ada")
    with pytest.raises(UnsupportedError, match="ConvertLoop cannot add_to_sequence"):
        shortcuts.add_to_sequence(user, 8, connection="convertloop")
    with pytest.raises(ValueError, match="sequence"):
        shortcuts.add_to_sequence(user, " ")
