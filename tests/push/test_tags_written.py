"""Tags of the account: made and renamed at the service through the outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration import shortcuts
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import DeadRow, OutboxRow, Tag
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, person, send
from tests.push.test_faults import later

SignUp = Callable[..., Any]


def tags(sandbox: Sandbox) -> list[str]:
    return sorted(tag["name"] for tag in sandbox.dump()["kit"]["tags"])


def test_a_tag_is_made_and_renamed(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    shortcuts.add_tag(user, "Beta")
    shortcuts.create_tag("Gold")
    send(connection)
    assert tags(mktg_sandbox) == ["Beta", "Gold"]

    shortcuts.rename_tag(Tag.objects.get(name="Beta"), "Preview")
    shortcuts.rename_tag(Tag.objects.get(name="Beta"), "Early access")
    send(connection)

    assert tags(mktg_sandbox) == ["Early access", "Gold"]
    assert person(mktg_sandbox, "kit", user.email)["tags"] == ["Early access"]
    assert sorted(Tag.objects.values_list("name", "name_key")) == [("Early access", "early access"), ("Gold", "gold")]
    assert not OutboxRow.objects.exists()


def test_making_a_tag_that_is_there_is_harmless(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    shortcuts.create_tag("Gold")
    send(connection)
    shortcuts.create_tag(" gold ")
    send(connection)
    assert tags(mktg_sandbox) == ["Gold"]
    assert not DeadRow.objects.exists()


def test_a_rename_survives_an_outage(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    shortcuts.create_tag("Gold")
    send(connection)
    mktg_sandbox.down("kit")
    shortcuts.rename_tag(Tag.objects.get(), "Golden")
    send(connection)
    assert OutboxRow.objects.get().attempts == 0

    mktg_sandbox.faults.clear()
    later(minutes=5)
    send(connection)
    assert tags(mktg_sandbox) == ["Golden"]


def test_a_name_that_is_taken_and_a_tag_that_is_gone_are_rejected(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    for name in ("Gold", "Silver", "Bronze"):
        shortcuts.create_tag(name)
    send(connection)
    world = mktg_sandbox.dump()
    world["kit"]["tags"] = [tag for tag in world["kit"]["tags"] if tag["name"] != "Bronze"]
    mktg_sandbox.load(world)

    shortcuts.rename_tag(Tag.objects.get(name="Silver"), "gold")
    shortcuts.rename_tag(Tag.objects.get(name="Bronze"), "Copper")
    send(connection)

    assert {row.code for row in DeadRow.objects.all()} == {"name_refused", "no_such_tag"}
    assert tags(mktg_sandbox) == ["Gold", "Silver"]


def test_what_cannot_be_done_is_said_at_once(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("convertloop")["convertloop"]
    with pytest.raises(UnsupportedError, match="ConvertLoop cannot create_tag"):
        shortcuts.create_tag("Gold", connection="convertloop")
    with pytest.raises(UnsupportedError, match="ConvertLoop cannot rename_tag"):
        shortcuts.rename_tag(Tag(connection=connection, remote_id="1"), "Gold")
    with pytest.raises(ValueError, match="a tag needs a name"):
        shortcuts.create_tag(" ")
